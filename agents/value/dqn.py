"""Deep Q-network (Mnih et al. 2015, https://doi.org/10.1038/nature14236).

Options: double (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461), dueling (Wang et al. 2016,
https://arxiv.org/abs/1511.06581), n-step returns (Sutton and Barto, chapter 7), prioritized replay
(Schaul et al. 2016, https://arxiv.org/abs/1511.05952), and quantiles of the return in place of its mean (QR-DQN, Dabney
et al. 2018, https://arxiv.org/abs/1710.10044).

Differs from the paper: Adam instead of RMSProp; the whole gradient is clipped by its norm; a target network may follow
by a moving average (tau) instead of copies.

Logs, as means over updates: train/loss, train/q_mean (of the actions taken), train/td_error (absolute),
train/gradient_norm; and train/learning_rate, train/epsilon (probability of a random action), train/n_updates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.api import Actor, Algorithm, Parts
from agents.experience.memory.choose import replay
from agents.experience.rewards.make import make_rewards
from agents.experience.rewards.rewards import Rewards
from agents.experience.rollout import actor_of
from agents.maths.losses import double_target, huber, max_target, quantile_huber, quantile_target
from agents.parts.action_values import EpsilonGreedy, QNetwork
from agents.parts.value_learner import ValueLearner
from agents.records import Sample
from agents.value.configs.dqn import DQN
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.trained import Found, TrainState, tensors


class Batch(NamedTuple):
    obs: Tensor  # [n, *obs]
    action: Tensor  # [n] int64
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, *obs]
    next_mask: Tensor | None  # [n, A] bool
    weight: Tensor | None  # [n] importance weights


class Learner(ValueLearner[DQN]):
    def __init__(self, config: DQN, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        network = config.network
        self.network = QNetwork(
            spec, network, config.normalize, network.dueling, generator, quantiles=network.quantiles
        ).to(device)
        loss = self.quantile_loss if network.quantiles else self.loss
        super().__init__(config, self.network, loss, device, compiled)
        self.step = accelerate(self.learn, device, compiled)

    def update(self, sample: Sample) -> Tensor | None:
        self.updates += 1
        rate = torch.tensor(self.rate, device=self.device)
        columns = tensors((*sample.rows[:6], sample.weight), self.device)
        error: Tensor = self.step(self.trained.state, rate, *columns)
        return None if sample.weight is None else error

    def learn(self, state: TrainState, rate: Tensor, *columns: Any) -> Tensor:
        """The closed step: gradient, clipping, Adam, and the target towards the network. Returns |TD error| [n]."""
        found = self.trained.descend(state, rate, state.target, Batch(*columns))
        if self.config.learner.tau is not None:
            state.follow(self.config.learner.tau)
        return found["td_error"]

    def loss(self, parameters: Tensor, target: Tensor, batch: Batch) -> Found:
        """Huber's loss of the TD error [n], times the importance weights. q_mean, td_error [n]."""
        options, call = self.config.learner, self.trained.flat.call
        next_q = call(target, batch.next_obs)
        if options.double:
            next_online = call(parameters.detach(), batch.next_obs)
            goal = double_target(batch.reward, batch.discount, next_q, next_online, batch.next_mask)
        else:
            goal = max_target(batch.reward, batch.discount, next_q, batch.next_mask)
        q = call(parameters, batch.obs).gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
        error = goal - q
        return found(huber(error, options.huber), batch.weight, q, error)

    def quantile_loss(self, parameters: Tensor, target: Tensor, batch: Batch) -> Found:
        """The same of quantiles; q_mean and td_error are of their means."""
        options, call = self.config.learner, self.trained.flat.call
        following = call(target, batch.next_obs)  # [n, A, N]
        chooser = call(parameters.detach(), batch.next_obs) if options.double else following
        goal = quantile_target(batch.reward, batch.discount, following, chooser.mean(-1), batch.next_mask)
        rows = torch.arange(len(batch.action), device=batch.action.device)
        quantiles = call(parameters, batch.obs)[rows, batch.action]
        q = quantiles.mean(-1)
        return found(quantile_huber(quantiles, goal, options.huber), batch.weight, q, goal.mean(-1) - q)


def found(loss: Tensor, weight: Tensor | None, q: Tensor, error: Tensor) -> Found:
    return {"loss": loss if weight is None else loss * weight}, {"q_mean": q, "td_error": error.abs()}


def make(config: DQN, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps * config.learner.updates_per_step
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    models, memory = make_rewards(config, spec, seeds), config.memory
    replayed = replay(
        config.env, memory, config.learner, spec, seeds, config.steps, Rewards(models), memory.prioritized
    )
    return Parts(learner, *replayed, models)


def policy(config: DQN, spec: Spec, device: torch.device) -> EpsilonGreedy:
    network = config.network
    return EpsilonGreedy(spec, network, config.normalize, network.dueling, device, network.quantiles)


def actor(config: DQN, index: int, incarnation: int) -> Actor:
    return actor_of(
        config,
        policy,
        index,
        incarnation,
        observations=config.normalize.observations,
    )


ALGORITHM = Algorithm[DQN](make=make, actor=actor, policy=policy)

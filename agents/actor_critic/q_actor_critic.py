"""Actor-critic with action values (Sutton et al. 2000, https://papers.nips.cc/paper/1713): the policy follows
Q(s, a) grad log pi(a|s), where Q is learned beside it. One discrete action.

After each collection first the critic takes a step, then the policy by the new critic. The critic learns the values of
the policy itself: its target is r + gamma sum over a' of pi(a'|s') Q(s', a'), the expectation of Sarsa's.

Differs from the paper: neither compatible features nor a fixed critic between steps of the policy; Adam; the factor
gamma^t of the discounted return's gradient is left out, as nearly everywhere.

Logs, as means over updates: train/critic_loss, train/td_error, train/q_mean; train/loss, train/policy_gradient_loss,
train/entropy_loss (minus the entropy); and train/learning_rate (of the critic), train/n_updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from agents.actor_critic.configs.q_actor_critic import QActorCritic
from agents.api import Actor, Algorithm, Parts
from agents.experience.own_steps import fed
from agents.experience.rollout import actor_of
from agents.maths.distributions import categorical_log_probs
from agents.maths.losses import policy_gradient, squared, td_target
from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from agents.maths.stochastic import stochastic
from agents.parts.networks import torso_of
from agents.parts.normalizer import Normalizer
from agents.parts.on_policy import PolicyNetwork, StochasticPolicy, discounts, log_prob_of
from agents.parts.state import Assembled
from agents.records import Round, Sample, Unroll, lived
from envs.api import Array, Discrete, Spec
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.networks.heads import Q
from supervised.trained import Found, Trained, TrainState, tensors


class Batch(NamedTuple):
    obs: Tensor  # [n, *obs]
    mask: Tensor | None  # [n, A] bool
    action: Tensor  # [n]
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, *obs]
    next_mask: Tensor | None  # [n, A] bool


class Learner(Assembled):
    STATE = ("policy", "critic", "normalizer", "updates")

    def __init__(self, config: QActorCritic, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        """Raises ValueError where an action isn't one choice of several."""
        if not isinstance(spec.actions, Discrete):
            raise ValueError(f"q_actor_critic wants one discrete action, but {spec.name} has {spec.actions}; use a2c")
        self.config, self.device, options = config, device, config.learner
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.family = stochastic(spec.actions)
        self.network = PolicyNetwork(spec, self.family, config.network, config.normalize, generator).to(device)
        torso, features = torso_of(config.network, spec, "orthogonal", generator)
        critic = nn.Sequential(torso, Q(features, spec.actions.n, generator)).to(device)
        self.policy = Trained(
            self.network,
            self.policy_loss,
            {"policy_gradient_loss": 1.0, "entropy_loss": options.entropy_coefficient},
            compiled=compiled,
        )
        self.critic = Trained(critic, self.critic_loss, {"critic_loss": 1.0}, ["q_mean", "td_error"], compiled=compiled)
        self.normalizer = Normalizer(self.network.normalize)
        self.step = accelerate(self.learn, device, compiled)
        self.updates, self.progress = 0, 0.0

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)
        self.normalizer.merge(round.moments)

    def update(self, sample: Sample) -> None:
        options = self.config.learner
        rates = [self.at(options.learning_rate), self.at(options.policy_learning_rate)]
        state = (self.critic.state, self.policy.state)
        self.step(state, torch.tensor(rates, device=self.device), *self.batch(sample.rows))
        self.updates += 1

    def batch(self, unroll: Unroll) -> Batch:
        """Each step with the true observation that it led to."""
        steps, mask, next_mask = lived(unroll), None, None
        if unroll.mask is not None:
            actions = unroll.mask.shape[2]
            mask, next_mask = unroll.mask[:-1].reshape(-1, actions), unroll.mask[1:].reshape(-1, actions).copy()
            next_mask[unroll.final_at] = unroll.final_mask
        discount = discounts(unroll, self.config.learner.discount).reshape(-1)
        columns = (steps.obs, mask, steps.action, steps.reward, discount, steps.next_obs, next_mask)
        return Batch(*tensors(columns, self.device))

    def learn(self, state: tuple[TrainState, TrainState], rates: Tensor, *columns: Any) -> None:
        """Closed step: the critic, then the policy by the new critic."""
        critic, policy = state
        batch = Batch(*columns)
        self.critic.descend(critic, rates[0], policy.parameters, batch)
        self.policy.descend(policy, rates[1], critic.parameters, batch)

    def values(self, critic: Tensor, obs: Tensor) -> Tensor:
        """Q [n, A]."""
        q: Tensor = self.critic.flat.call(critic, self.network.normalize(obs))
        return q

    def critic_loss(self, parameters: Tensor, policy: Tensor, batch: Batch) -> Found:
        """Half the squared TD error, q_mean and td_error, [n] each."""
        log_probs = categorical_log_probs(self.policy.flat.call(policy, batch.next_obs), batch.next_mask)
        following = (log_probs.exp() * self.values(parameters, batch.next_obs)).sum(-1)
        q = self.values(parameters, batch.obs).gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
        error = td_target(batch.reward, batch.discount, following) - q
        return {"critic_loss": squared(error)}, {"q_mean": q, "td_error": error.abs()}

    def policy_loss(self, parameters: Tensor, critic: Tensor, batch: Batch) -> Found:
        """-Q log pi and minus the entropy, [n] each."""
        outputs = self.policy.flat.call(parameters, batch.obs)
        q = self.values(critic, batch.obs).gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
        return {
            "policy_gradient_loss": policy_gradient(self.family.log_prob(outputs, batch.action, batch.mask), q),
            "entropy_loss": -self.family.entropy(outputs, batch.mask),
        }, {}

    def at(self, setting: float | Schedule) -> float:
        return scheduled(setting, self.progress)

    def log_prob(self, obs: Array, action: Array) -> Array:
        """log pi(action | obs) [n] float32 of the policy as it is."""
        return log_prob_of(self.family, self.network, obs, action)

    def metrics(self) -> Mapping[str, float]:
        means = {**self.critic.drain("train/"), **self.policy.drain("train/")}
        if not means:
            return {}
        return means | {
            "train/learning_rate": self.at(self.config.learner.learning_rate),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        self.normalizer.write()
        return self.policy.flat.weights()


def make(config: QActorCritic, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps / (config.rollout.steps * config.env.count)
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    return fed(learner, config, spec, seeds)


def policy(config: QActorCritic, spec: Spec, device: torch.device) -> StochasticPolicy:
    return StochasticPolicy(spec, stochastic(spec.actions), config.network, config.normalize, device)


def actor(config: QActorCritic, index: int, incarnation: int) -> Actor:
    return actor_of(config, policy, index, incarnation, observations=config.normalize.observations)


ALGORITHM = Algorithm[QActorCritic](make=make, actor=actor, policy=policy)

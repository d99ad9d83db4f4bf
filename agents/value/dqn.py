"""Deep Q-network (Mnih et al. 2015, https://doi.org/10.1038/nature14236).

Options: double (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461), dueling (Wang et al. 2016,
https://arxiv.org/abs/1511.06581), n-step returns (Sutton and Barto, chapter 7) and prioritized replay
(Schaul et al. 2016, https://arxiv.org/abs/1511.05952).

Differs from the paper: Adam instead of RMSProp; the whole gradient is clipped by its norm; a target network may follow
by a moving average (tau) instead of copies.

Logs, as means over updates: train/loss, train/q_mean (of the actions taken), train/td_error (absolute),
train/gradient_norm; and train/learning_rate, train/epsilon (probability of a random action), train/n_updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.api import Actor, Algorithm, Parts, State
from agents.explore import epsilon_greedy
from agents.losses import double_target, huber, max_target
from agents.means import Means
from agents.memory.choose import replay
from agents.networks import acting, normalize, set_statistics, torso_of
from agents.records import Acted, Carry, Sample
from agents.rollout import actor_of
from agents.schedules import value as scheduled
from agents.value.config import DQN
from envs.api import Array, Discrete, Spec, Step
from envs.normalize import Moments
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.flat import Adam, Flat, clip_by_norm, differentiate
from supervised.networks.heads import DuelingQ, Q


class QNetwork(nn.Module):
    """obs [B, *obs] -> action values [B, A]. The buffer `epsilon` travels with the weights to whoever explores."""

    epsilon: Tensor

    def __init__(self, config: DQN, spec: Spec, generator: torch.Generator) -> None:
        super().__init__()
        if not isinstance(spec.actions, Discrete):
            raise ValueError(f"dqn wants one discrete action, but {spec.name} has {spec.actions}; use ppo or ddpg")
        self.normalize = normalize(spec, config.normalize)
        if config.network.dueling:
            # The last hidden layer belongs to the two streams of the head.
            *hidden, width = config.network.hidden
            trunk = config.network.model_copy(update={"hidden": tuple(hidden)})
            self.torso, features = torso_of(trunk, spec, "fan_in", generator)
            self.head: nn.Module = DuelingQ(features, spec.actions.n, width, generator)
        else:
            self.torso, features = torso_of(config.network, spec, "fan_in", generator)
            self.head = Q(features, spec.actions.n, generator)
        self.register_buffer("epsilon", torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.torso(self.normalize(obs)))


class Policy:
    """Greedy in the action values; epsilon-greedy when exploring. No carry."""

    def __init__(self, config: DQN, spec: Spec, device: torch.device) -> None:
        self.network = QNetwork(config, spec, torch.Generator()).to(device)
        self.flat = Flat(self.network)
        self.forward = acting(self.network, device)
        self.epsilon = 1.0

    def initial(self, batch: int) -> Carry:
        return {}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        epsilon = self.epsilon if explore else 0.0
        return Acted(carry, epsilon_greedy(self.forward(step.obs), epsilon, step.mask, rng), {})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)
        self.epsilon = self.network.epsilon.item()


class Batch(NamedTuple):
    obs: Tensor  # [n, *obs]
    action: Tensor  # [n] int64
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, *obs]
    next_mask: Tensor | None  # [n, A] bool
    weight: Tensor | None  # [n] importance weights


METRICS = ("loss", "q_mean", "td_error", "gradient_norm")


class Learner:
    def __init__(self, config: DQN, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.device = config, device
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.network = QNetwork(config, spec, generator).to(device)
        self.flat = Flat(self.network)
        self.target = self.flat.parameters.clone()
        self.adam = Adam.zeros(self.flat.parameters)
        self.means = Means.zeros(METRICS, device)
        self.observations = Moments(spec.obs_shape) if config.normalize.observations else None
        self.updates = 0
        self.steps = 0
        self.gradient = differentiate(self.loss, functional=compiled)
        self.step = accelerate(self.learn, device, compiled)
        self.observe(0, [])

    def update(self, sample: Sample) -> Tensor | None:
        config = self.config.learner
        settings = torch.tensor([scheduled(config.learning_rate, self.progress), config.tau or 0.0], device=self.device)
        columns = (*sample.rows, sample.weight)
        self.updates += 1
        state = (self.flat.parameters, self.target, self.adam, self.means)
        error: Tensor = self.step(state, settings, *(self.tensor(column) for column in columns))
        return None if sample.weight is None else error

    def tensor(self, array: Array | None) -> Tensor | None:
        return None if array is None else torch.from_numpy(array).to(self.device, non_blocking=True)

    def learn(self, state: tuple[Tensor, Tensor, Adam, Means], settings: Tensor, *columns: Any) -> Tensor:
        """The closed step: gradient, clipping, Adam, and the target towards the network. Returns |TD error| [n]."""
        parameters, target, adam, means = state
        learning_rate, tau = settings.unbind()
        gradient, metrics = self.gradient(parameters, target, Batch(*columns))
        gradient, norm = clip_by_norm(gradient, self.config.learner.max_gradient_norm)
        parameters.sub_(learning_rate * adam.step(gradient, self.config.learner.adam_epsilon))
        if self.config.learner.tau is not None:
            target.lerp_(parameters, tau)
        error = metrics["error"]
        means.add([metrics["loss"], metrics["q_mean"], error.mean(), norm])
        return error

    def loss(self, parameters: Tensor, target: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config.learner
        next_q = self.flat.call(target, batch.next_obs)
        if config.double:
            next_online = self.flat.call(parameters.detach(), batch.next_obs)
            goal = double_target(batch.reward, batch.discount, next_q, next_online, batch.next_mask)
        else:
            goal = max_target(batch.reward, batch.discount, next_q, batch.next_mask)
        q = self.flat.call(parameters, batch.obs).gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
        error = goal - q
        loss = huber(error, config.huber)
        if batch.weight is not None:
            loss = loss * batch.weight
        return loss.mean(), {"q_mean": q.mean(), "error": error.abs()}

    @property
    def progress(self) -> float:
        return min(self.steps / self.config.steps, 1.0)

    def observe(self, steps: int, moments: list[State]) -> None:
        interval = self.config.learner.target_interval
        if interval and steps // interval > self.steps // interval:
            self.target.copy_(self.flat.parameters)
        self.steps = steps
        self.network.epsilon.fill_(scheduled(self.config.epsilon, self.progress))
        for news in moments:
            if self.observations is not None:
                self.observations.merge(news["observations"])

    def metrics(self) -> Mapping[str, float]:
        metrics = {f"train/{name}": mean for name, mean in self.means.drain(METRICS).items()}
        return metrics | {
            "train/learning_rate": scheduled(self.config.learner.learning_rate, self.progress),
            "train/epsilon": self.network.epsilon.item(),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        if self.observations is not None and self.observations.count:
            set_statistics(self.network.normalize, self.observations)
        return self.flat.weights()

    def state_dict(self) -> State:
        return {
            "network": self.flat.weights(),
            "target": self.target.cpu().numpy().copy(),
            "adam": self.adam.state_dict(),
            "observations": {} if self.observations is None else self.observations.state_dict(),
            "means": self.means.state_dict(),
            "updates": self.updates,
            "steps": self.steps,
        }

    def load_state_dict(self, state: State) -> None:
        self.flat.load(state["network"])
        self.target.copy_(torch.from_numpy(state["target"]))
        self.adam.load_state_dict(state["adam"])
        if self.observations is not None:
            self.observations.load_state_dict(state["observations"])
        self.means.load_state_dict(state["means"])
        self.updates, self.steps = state["updates"], state["steps"]


def make(config: DQN, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps * config.learner.updates_per_step
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    memory = config.memory
    replayed = replay(config.env, memory, config.learner, spec, seeds, config.steps, memory.prioritized)
    return Parts(learner, *replayed)


def actor(config: DQN, index: int, incarnation: int) -> Actor:
    return actor_of(
        config,
        Policy,
        index,
        incarnation,
        observations=config.normalize.observations,
    )


ALGORITHM = Algorithm[DQN](make=make, actor=actor, policy=Policy)

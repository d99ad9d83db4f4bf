"""Deep deterministic policy gradient (Lillicrap et al. 2016, https://arxiv.org/abs/1509.02971) for continuous actions.

With `learner.critics=2`, `learner.policy_delay=2` and `learner.smoothing=0.2` this is TD3 (Fujimoto et al. 2018,
https://arxiv.org/abs/1802.09477). Actions are learned in [-1, 1] and scaled to the bounds of the action space.

Differs from the paper: no weight decay, no batch normalization, the action enters the critic's first layer; Gaussian
exploration noise unless `noise.kind=ornstein_uhlenbeck`; uniformly random actions at the start.

Logs, as means over updates: train/critic_loss, train/actor_loss, train/q_mean, train/td_error; and
train/learning_rate, train/n_updates (of the critics).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.actor_critic.configs.ddpg import DDPG, NoiseOptions
from agents.api import Actor, Algorithm, Parts
from agents.experience.memory.choose import replay
from agents.experience.rewards.make import make_rewards
from agents.experience.rewards.rewards import Rewards
from agents.experience.rollout import actor_of
from agents.maths.explore import gaussian_noise, ornstein_uhlenbeck
from agents.maths.losses import clipped_target, deterministic_policy_gradient, squared
from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from agents.parts.critics import Critics
from agents.parts.deterministic import DeterministicNetwork, DeterministicPolicy, middle
from agents.parts.normalizer import Normalizer
from agents.parts.state import Assembled
from agents.records import Round, Sample
from envs.api import Array, Spec
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.trained import Found, Trained, TrainState, tensors


class Batch(NamedTuple):
    obs: Tensor  # [n, F]
    action: Tensor  # [n, D] in [-1, 1]
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, F]
    noise: Tensor  # [n, D] smoothing of the target action


class Learner(Assembled):
    STATE = ("policy", "critics", "normalizer", "rng", "updates")

    def __init__(self, config: DDPG, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.device = config, device
        self.rng = seeds.generator("learner", "smoothing")
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.network = DeterministicNetwork(spec, config.network, config.normalize, generator).to(device)
        critics = Critics(spec, config.network, config.learner.critics, generator).to(device)
        self.policy = Trained(self.network, self.policy_loss, {"actor_loss": 1.0}, target=True, compiled=compiled)
        self.critics = Trained(
            critics, self.critic_loss, {"critic_loss": 1.0}, ["q_mean", "td_error"], target=True, compiled=compiled
        )
        self.normalizer = Normalizer(self.network.normalize)
        self.center, self.half = tensors(middle(spec), device)
        self.updates = 0
        self.critic_step = accelerate(self.learn_critics, device, compiled)
        self.both_step = accelerate(self.learn_both, device, compiled)
        self.begin_round(Round(0, 0))  # schedules begin before there is anything to learn from

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)
        self.network.random.fill_(float(round.steps < self.config.random_steps))
        self.normalizer.merge(round.moments)

    def update(self, sample: Sample) -> None:
        options = self.config.learner
        rates = self.rate(options.learning_rate), self.rate(options.policy_learning_rate)
        settings = torch.tensor(rates, device=self.device)
        rows = tensors(sample.rows[:5], self.device)
        noise = torch.zeros_like(rows[1])
        if options.smoothing:
            noise = torch.from_numpy(self.rng.standard_normal(rows[1].shape, np.float32)).to(self.device)
        self.updates += 1
        step = self.critic_step if self.updates % options.policy_delay else self.both_step
        step((self.critics.state, self.policy.state), settings, *rows, noise)

    def rate(self, setting: float | Schedule) -> float:
        return scheduled(setting, self.progress)

    def learn_critics(self, state: tuple[TrainState, TrainState], settings: Tensor, *columns: Tensor) -> Batch:
        """Closed step: the critics alone."""
        critics, policy = state
        batch = self.prepare(*columns)
        self.critics.descend(critics, settings[0], critics.target, policy.target, batch)
        return batch

    def learn_both(self, state: tuple[TrainState, TrainState], settings: Tensor, *columns: Tensor) -> None:
        """Closed step: the critics, then the policy by the new critics, then both targets."""
        critics, policy = state
        batch = self.learn_critics(state, settings, *columns)
        self.policy.descend(policy, settings[1], critics.parameters, batch)
        for learned in state:
            learned.follow(self.config.learner.tau)

    def prepare(
        self, obs: Tensor, action: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor, noise: Tensor
    ) -> Batch:
        options = self.config.learner
        noise = (noise * options.smoothing).clamp(-options.smoothing_clip, options.smoothing_clip)
        return Batch(obs, (action - self.center) / self.half, reward, discount, next_obs, noise)

    def critic_loss(self, parameters: Tensor, target: Tensor, policy_target: Tensor, batch: Batch) -> Found:
        """The squared TD error, 0-d: summed over twins, for each critic learns as if it were alone. q_mean, td_error:
        [K, n]."""
        normalize, call = self.network.normalize, self.critics.flat.call
        next_action = (self.policy.flat.call(policy_target, batch.next_obs) + batch.noise).clamp(-1, 1)
        next_q = call(target, normalize(batch.next_obs), next_action)  # [K, n]
        goal = clipped_target(batch.reward, batch.discount, next_q)
        q = call(parameters, normalize(batch.obs), batch.action)
        error = goal - q
        return {"critic_loss": squared(error).mean(-1).sum()}, {"q_mean": q, "td_error": error.abs()}

    def policy_loss(self, parameters: Tensor, critics: Tensor, batch: Batch) -> Found:
        """What the first critic thinks of the policy's actions, negated, [n]."""
        action = self.policy.flat.call(parameters, batch.obs)
        q = self.critics.flat.call(critics, self.network.normalize(batch.obs), action)
        return {"actor_loss": deterministic_policy_gradient(q[0])}, {}

    def metrics(self) -> Mapping[str, float]:
        return {**self.critics.drain("train/"), **self.policy.drain("train/")} | {
            "train/learning_rate": self.rate(self.config.learner.learning_rate),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        self.normalizer.write()
        return self.policy.flat.weights()


def make(config: DDPG, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps * config.learner.updates_per_step
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    models = make_rewards(config, spec, seeds)
    replayed = replay(config.env, config.memory, config.learner, spec, seeds, config.steps, Rewards(models))
    return Parts(learner, *replayed, models)


def noise(options: NoiseOptions) -> Callable[[Array, np.random.Generator], Array]:
    """The exploration noise: its level [B, D] at the last step -> at this one."""
    if options.kind == "ornstein_uhlenbeck":
        return lambda level, rng: ornstein_uhlenbeck(level, options.theta, options.sigma, rng)
    return lambda level, rng: gaussian_noise(level.shape, options.sigma, rng)


def policy(config: DDPG, spec: Spec, device: torch.device) -> DeterministicPolicy:
    return DeterministicPolicy(spec, config.network, config.normalize, noise(config.noise), device)


def actor(config: DDPG, index: int, incarnation: int) -> Actor:
    return actor_of(
        config,
        policy,
        index,
        incarnation,
        observations=config.normalize.observations,
    )


ALGORITHM = Algorithm[DDPG](make=make, actor=actor, policy=policy)

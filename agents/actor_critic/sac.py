"""Soft actor-critic (Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905): off-policy, with twin critics, and a
temperature that is learned. For continuous actions, and for discrete ones (Christodoulou 2019,
https://arxiv.org/abs/1910.07207).

The policy is worth V(s) = E Q(s, a) + temperature * entropy: of one drawn action where they are continuous, summed over
all of them where they are discrete. Continuous actions are learned in [-1, 1] and scaled to their bounds.

Differs from the papers: policy, critics and temperature move at once, down one gradient, each judged by what the others
were before; the logarithm of the temperature is learned, by a loss linear in it; the target entropy of discrete actions
is that of the legal ones.

Logs, as means over updates: train/critic_loss, train/actor_loss, train/temperature_loss, train/loss (their sum),
train/q_mean, train/td_error, train/entropy, train/temperature; and train/learning_rate, train/n_updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.actor_critic.configs.sac import SAC
from agents.api import Actor, Algorithm, Parts
from agents.experience.memory.choose import replay
from agents.experience.rewards.make import make_rewards
from agents.experience.rewards.rewards import Rewards
from agents.experience.rollout import actor_of
from agents.maths.losses import squared, td_target
from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from agents.parts.normalizer import Normalizer
from agents.parts.soft import SoftNetwork, SoftPolicy, soft_of
from agents.parts.state import Assembled
from agents.records import Round, Sample, Transition
from envs.api import Array, Spec
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.trained import Found, Trained, TrainState, tensors


class Batch(NamedTuple):
    obs: Tensor  # [n, *obs]
    action: Tensor  # [n, D] in [-1, 1], or [n] int64
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, *obs]
    next_mask: Tensor | None  # [n, A] bool
    mask: Tensor | None  # [n, A] bool
    noise: Tensor  # [2, n, D] of the actions at obs and next_obs


class Learner(Assembled):
    STATE = ("trained", "normalizer", "rng", "updates")

    def __init__(self, config: SAC, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.device, options = config, device, config.learner
        self.rng = seeds.generator("learner", "noise")
        self.soft = soft_of(spec)
        if options.target_entropy is not None and options.target_entropy >= self.soft.ceiling:
            raise ValueError(
                f"learner.target_entropy is {options.target_entropy}, but in {spec.name} no policy has more than "
                f"{self.soft.ceiling:.4g} nats, and the temperature would grow without end: set it to less"
            )
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        network = SoftNetwork(spec, self.soft, config.network, config.normalize, options.temperature, generator)
        self.network = network.to(device)
        self.trained = Trained(
            self.network,
            self.loss,
            {"critic_loss": 1.0, "actor_loss": 1.0, "temperature_loss": 1.0},
            ["q_mean", "td_error", "entropy", "temperature"],
            target=True,
            compiled=compiled,
        )
        self.normalizer = Normalizer(self.network.policy.normalize)
        self.updates = 0
        self.step = accelerate(self.learn, device, compiled)
        self.begin_round(Round(0, 0))  # schedules begin before there is anything to learn from

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)
        self.network.policy.random.fill_(float(round.steps < self.config.random_steps))
        self.normalizer.merge(round.moments)

    def update(self, sample: Sample) -> None:
        options, rows = self.config.learner, sample.rows
        assert isinstance(rows, Transition)
        rates = options.policy_learning_rate, options.learning_rate, options.temperature_learning_rate
        settings = torch.tensor([self.rate(rate) for rate in rates], device=self.device)
        noise = self.rng.standard_normal((2, len(rows.reward), self.soft.noise), np.float32)
        self.updates += 1
        columns = rows._replace(action=self.soft.learned(rows.action))
        self.step(self.trained.state, settings, *tensors((*columns, noise), self.device))

    def rate(self, setting: float | Schedule) -> float:
        return scheduled(setting, self.progress)

    def learn(self, state: TrainState, rates: Tensor, *columns: Any) -> None:
        """The closed step: policy, critics and temperature each by its own step size, then the target critics."""
        rate = torch.cat([rate.expand(size) for rate, size in zip(rates, self.network.sizes, strict=True)])
        self.trained.descend(state, rate, state.target, Batch(*columns))
        state.follow(self.config.learner.tau)

    def loss(self, parameters: Tensor, target: Tensor, batch: Batch) -> Found:
        """Critics: the squared TD error, 0-d, summed over twins, for each learns as if it were alone. Policy: minus its
        soft value [n]. Temperature: [n], it falls where the entropy exceeds its target. q_mean, td_error: [2, n].

        Each term moves its own part alone: to the others' parameters it is blind.
        """
        call, fixed, soft = self.trained.flat.call, parameters.detach(), self.soft
        temperature = call(fixed, "temperature").exp()
        noise, next_noise = batch.noise

        next_outputs = call(fixed, "policy", batch.next_obs)
        next_q, next_entropy = soft.prospects(
            next_outputs, partial(call, target, "critics"), batch.next_obs, batch.next_mask, next_noise
        )
        goal = td_target(batch.reward, batch.discount, next_q + temperature * next_entropy)
        q = soft.taken(partial(call, parameters, "critics"), batch.obs, batch.action)
        error = goal - q

        outputs = call(parameters, "policy", batch.obs)
        expected_q, entropy = soft.prospects(outputs, partial(call, fixed, "critics"), batch.obs, batch.mask, noise)
        return {
            "critic_loss": squared(error).mean(-1).sum(),
            "actor_loss": -(expected_q + temperature * entropy),
            "temperature_loss": call(parameters, "temperature") * (entropy.detach() - self.target_entropy(batch.mask)),
        }, {"q_mean": q, "td_error": error.abs(), "entropy": entropy, "temperature": temperature}

    def target_entropy(self, mask: Tensor | None) -> float | Tensor:
        """A number, or [n] where it depends on what is legal."""
        asked = self.config.learner.target_entropy
        return self.soft.goal(mask) if asked is None else asked

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/") | {
            "train/learning_rate": self.rate(self.config.learner.learning_rate),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        self.normalizer.write()
        return self.trained.flat.weights(self.network.acting)


def make(config: SAC, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps * config.learner.updates_per_step
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    models = make_rewards(config, spec, seeds)
    replayed = replay(config.env, config.memory, config.learner, spec, seeds, config.steps, Rewards(models))
    return Parts(learner, *replayed, models)


def policy(config: SAC, spec: Spec, device: torch.device) -> SoftPolicy:
    return SoftPolicy(spec, config.network, config.normalize, device)


def actor(config: SAC, index: int, incarnation: int) -> Actor:
    return actor_of(config, policy, index, incarnation, observations=config.normalize.observations)


ALGORITHM = Algorithm[SAC](make=make, actor=actor, policy=policy)

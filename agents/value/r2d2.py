"""Action values of a torso that remembers, learned from sequences (R2D2, Kapturowski et al. 2019,
https://openreview.net/forum?id=r1lyTjAqYX).

A sequence is kept with what its actor remembered at its first step. The first `burn_in` of its steps only bring that up
to date with today's network; those behind them are learned from, through all of their steps.

Differs from the paper: sequences are drawn uniformly; no dueling heads, and values aren't rescaled; every actor has the
same epsilon; targets of the last n - 1 steps of a sequence sum fewer rewards, so that none of it is lost.

Logs, as means over updates: train/loss, train/q_mean (of the actions taken), train/td_error (absolute),
train/gradient_norm; and train/learning_rate, train/epsilon (probability of a random action), train/n_updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents import records
from agents.api import Actor, Algorithm, Parts
from agents.config import NetworkOptions, NormalizeOptions
from agents.experience.memory.ratio import PerStep
from agents.experience.memory.replay import Replay
from agents.experience.memory.sequences import Sequences
from agents.experience.memory.uniform import Uniform
from agents.experience.rewards.make import make_rewards
from agents.experience.rewards.rewards import Rewards
from agents.experience.rollout import actor_of
from agents.maths.explore import epsilon_greedy
from agents.maths.losses import huber
from agents.maths.returns import transitions
from agents.parts.networks import normalize, torso_of
from agents.parts.recalling import Recalled, recalled, remembering, values_along
from agents.parts.value_learner import ValueLearner
from agents.records import Acted, Sample, Unroll
from agents.value.configs.r2d2 import R2D2
from envs.api import Array, Discrete, Spec, Step
from experiment.seeding import Seeds
from supervised.flat import Flat
from supervised.networks.heads import Q
from supervised.networks.sequence import Carry, Recall
from supervised.trained import Found


class RecallingQ(nn.Module):
    """Steps of an episode -> what is remembered after them, and action values [T, B, A]. Raises ValueError for a torso
    that doesn't remember, and for worlds that it can't learn."""

    epsilon: Tensor  # 0-d, the probability of a random action

    def __init__(
        self, spec: Spec, options: NetworkOptions, normalization: NormalizeOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if not isinstance(spec.actions, Discrete) or spec.masked or spec.seats > 1:
            raise ValueError(
                f"r2d2 wants one discrete action without masks, and one seat, but {spec.name} has {spec.actions}, "
                f"masks: {spec.masked}, seats: {spec.seats}; use ppo"
            )
        self.normalize = normalize(spec, normalization)
        torso, features = torso_of(options, spec, "fan_in", generator, recalls=True)
        if not isinstance(torso, Recall):
            raise ValueError(f"r2d2 wants a torso that remembers, but network.torso is {options.kind}; use dqn, or gru")
        self.torso = torso
        self.head = Q(features, spec.actions.n, generator)
        self.register_buffer("epsilon", torch.ones(()))

    def forward(self, seen: Recalled) -> tuple[Carry, Tensor]:
        carry, features = self.torso(seen.carry, self.normalize(seen.obs), seen.first)
        return carry, self.head(features)


class Policy:
    """Greedy in the action values; epsilon-greedy when exploring. Its carry is the torso's."""

    def __init__(self, config: R2D2, spec: Spec, device: torch.device) -> None:
        self.network = RecallingQ(spec, config.network, config.normalize, torch.Generator()).to(device)
        self.flat, self.epsilon = Flat(self.network), 1.0
        self.forward = remembering(self.network, device)

    def initial(self, batch: int) -> records.Carry:
        return {name: part.cpu().numpy() for name, part in self.network.torso.initial(batch).items()}

    def act(self, carry: records.Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        carry, q = self.forward(carry, step.obs)
        return Acted(carry, epsilon_greedy(q, self.epsilon if explore else 0.0, step.mask, rng), {})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)
        self.epsilon = self.network.epsilon.item()


class Learner(ValueLearner[R2D2]):
    def __init__(self, config: R2D2, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.network = RecallingQ(spec, config.network, config.normalize, generator).to(device)
        super().__init__(config, self.network, self.loss, device, compiled)

    def update(self, sample: Sample) -> None:
        options, unroll = self.config.learner, sample.rows
        self.updates += 1
        goal = self.goals(unroll)[options.burn_in :]
        self.trained.update(self.rate, self.warmed(unroll), unroll.action[options.burn_in :], goal)
        if options.tau is not None:
            self.trained.state.follow(options.tau)

    @torch.no_grad()
    def warmed(self, unroll: Unroll) -> Recalled:
        """The steps behind the burn-in, with what the network remembers there."""
        seen, burn_in = recalled(unroll, self.device), self.config.learner.burn_in
        carry = self.network(seen.part(0, burn_in, seen.carry))[0] if burn_in else seen.carry
        return seen.part(burn_in, len(seen.obs), carry)

    def goals(self, unroll: Unroll) -> Array:
        """R + discount * Q'(s', a) [T, B], n steps ahead within the sequence; Q' remembers for itself."""
        options = self.config.learner
        seen = unroll._replace(carry=twofold(unroll.carry, unroll.carry)) if options.double else unroll
        value, cut = values_along(self.best, seen, self.device)
        following = value[1:].copy()
        following.reshape(-1)[unroll.cut()[0]] = cut
        ends = unroll.terminated, unroll.truncated
        ahead = transitions(unroll.reward, *ends, options.discount, options.n_step, starts=len(unroll.reward))
        goal: Array = ahead.reward + ahead.discount * np.take_along_axis(following, ahead.last, 0)
        return goal

    def best(self, seen: Recalled) -> tuple[Carry, Tensor]:
        """The target network's values of the best actions [T, B]: by itself, or with `double` by the network."""
        call, state = self.trained.flat.call, self.trained.state
        if not self.config.learner.double:
            carry, q = call(state.target, seen)
            return carry, q.amax(-1)
        kept, q = call(state.target, seen._replace(carry=half(seen.carry, "target")))
        own, online = call(state.parameters, seen._replace(carry=half(seen.carry, "online")))
        chosen = q.gather(-1, online.argmax(-1, keepdim=True)).squeeze(-1)
        return twofold(kept, own), chosen

    def loss(self, parameters: Tensor, seen: Recalled, action: Tensor, goal: Tensor) -> Found:
        """Huber's loss of the TD error. All [T - burn_in, B]."""
        _, values = self.trained.flat.call(parameters, seen)
        q = values.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        error = goal - q
        return {"loss": huber(error, self.config.learner.huber)}, {"q_mean": q, "td_error": error.abs()}


def twofold(target: Mapping[str, Any], online: Mapping[str, Any]) -> dict[str, Any]:
    """One carry of two networks that each remember along the same steps."""
    both = {"target": target, "online": online}
    return {f"{who}/{name}": part for who, carry in both.items() for name, part in carry.items()}


def half(carry: Carry, who: str) -> Carry:
    return {name.partition("/")[2]: part for name, part in carry.items() if name.startswith(who)}


def make(config: R2D2, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    options, models = config.learner, make_rewards(config, spec, seeds)
    learner = Learner(config, spec, seeds, device, compiled=config.compile == "on")
    table = Sequences(
        config.memory.capacity, config.env.count, options.length, overlap=options.burn_in, rewards=Rewards(models)
    )
    memory = Replay(table, Uniform(), options.batch_size, seeds.generator("memory"))
    return Parts(learner, memory, PerStep(options.updates_per_step, config.memory.start), models)


def actor(config: R2D2, index: int, incarnation: int) -> Actor:
    return actor_of(config, Policy, index, incarnation, observations=config.normalize.observations)


ALGORITHM = Algorithm[R2D2](make=make, actor=actor, policy=Policy)

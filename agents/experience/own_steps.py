"""What algorithms share that learn from their own latest steps: who acts, and what hands the steps to the learner.

def make(config: NPG, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    return fed(Learner(config, spec, seeds, device), config, spec, seeds)

ALGORITHM = Algorithm[NPG](make=make, actor=actor, policy=policy)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from agents.api import Actor, Learner, Parts, Policy
from agents.config import NormalizeOptions
from agents.experience.memory.latest import Latest
from agents.experience.memory.ratio import EveryCollection
from agents.experience.rewards.configs import Rewarded
from agents.experience.rewards.make import make_rewards
from agents.experience.rewards.rewards import Rewards
from agents.experience.rollout import actor_of
from agents.maths.stochastic import stochastic
from agents.parts.config import ActorCriticLearning, NaturalLearning, StochasticOptions
from agents.parts.on_policy import StochasticPolicy
from agents.records import Unroll, side_by_side
from envs.api import Array, Spec
from experiment.seeding import Seeds


class Probable(Learner, Protocol):
    """A learner whose policy has probabilities."""

    def log_prob(self, obs: Array, action: Array) -> Array:
        """log pi(action | obs) [n] float32 of the policy as it is."""
        ...


def fed(
    learner: Probable,
    config: Rewarded,
    spec: Spec,
    seeds: Seeds,
    join: Callable[[Sequence[Unroll]], Unroll] = side_by_side,
) -> Parts:
    """A learner that sees each collection once, judged by the config's reward models; join: what makes one Unroll of
    many."""
    models = make_rewards(config, spec, seeds, learner.log_prob)
    return Parts(learner, Latest(Rewards(models), join), EveryCollection(), models)


class OfNetwork(Protocol):
    """A config of a policy that is one network."""

    @property
    def network(self) -> StochasticOptions: ...

    @property
    def normalize(self) -> NormalizeOptions: ...


def policy(config: OfNetwork, spec: Spec, device: torch.device) -> StochasticPolicy:
    return StochasticPolicy(spec, stochastic(spec.actions), config.network, config.normalize, device)


def acting_by(policy: Callable[..., Policy]) -> Callable[[ActorCriticLearning | NaturalLearning, int, int], Actor]:
    """An algorithm's `actor`, with this policy in place of `policy`."""

    def actor(config: ActorCriticLearning | NaturalLearning, index: int, incarnation: int) -> Actor:
        return actor_of(
            config,
            policy,
            index,
            incarnation,
            observations=config.normalize.observations,
            returns=config.learner.discount if config.normalize.rewards else None,
        )

    return actor


actor = acting_by(policy)

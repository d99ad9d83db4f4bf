"""A learner whose policy and values are one network, moved down one loss: what PPO, A2C and IMPALA share.

class Learner(ActorCriticLearner[A2C]):
    def rows(self, unroll: Unroll) -> Rows:
        ...  # advantages and targets

    def update(self, sample: Sample) -> None:
        self.descend(self.rows(sample.rows))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from agents.maths.losses import policy_gradient, value_loss
from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from agents.maths.stochastic import stochastic
from agents.parts.config import ActorCriticLearning
from agents.parts.normalizer import Normalizer
from agents.parts.on_policy import ActorCritic, Rows, explained_variance, log_prob_of
from agents.parts.state import Assembled
from agents.records import Round
from envs.api import Array, Spec
from experiment.seeding import Seeds
from supervised.trained import Found, Trained

C = TypeVar("C", bound=ActorCriticLearning)


class ActorCriticLearner(Assembled, Generic[C]):
    STATE: ClassVar[tuple[str, ...]] = ("trained", "normalizer", "explained_variance", "updates")

    def __init__(
        self,
        config: C,
        spec: Spec,
        seeds: Seeds,
        device: torch.device,
        compiled: bool,
        measures: Sequence[str] = (),
    ) -> None:
        """measures: what `loss` measures beside its terms."""
        self.config, self.device, options = config, device, config.learner
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.family = stochastic(spec.actions, config.network.log_std)
        shared = config.network.shared
        network = ActorCritic(spec, self.family, config.network, config.normalize, shared, generator)
        self.network = network.to(device)
        self.trained = Trained(
            self.network,
            self.loss,
            {
                "policy_gradient_loss": 1.0,
                "value_loss": options.value_coefficient,
                "entropy_loss": options.entropy_coefficient,
            },
            measures,
            max_gradient_norm=options.max_gradient_norm,
            adam_epsilon=options.adam_epsilon,
            compiled=compiled,
        )
        self.normalizer = Normalizer(self.network.policy.normalize, rewards=config.normalize.rewards)
        self.explained_variance, self.updates, self.progress = 0.0, 0, 0.0

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)
        self.normalizer.merge(round.moments)

    def descend(self, rows: Rows) -> None:
        """One step of Adam."""
        self.explained_variance = explained_variance(rows.target - rows.value, rows.target)
        self.trained.update(self.at(self.config.learner.learning_rate), *rows)
        self.updates += 1

    def loss(self, parameters: Tensor, *columns: Any) -> Found:
        """The terms of the advantage actor-critic, [n] each, to be minimized."""
        rows = Rows(*columns)
        outputs, value = self.trained.flat.call(parameters, rows.obs)
        return {
            "policy_gradient_loss": policy_gradient(
                self.family.log_prob(outputs, rows.action, rows.mask), rows.advantage
            ),
            "value_loss": value_loss(value, rows.target),
            "entropy_loss": -self.family.entropy(outputs, rows.mask),
        }, {}

    def log_prob(self, obs: Array, action: Array) -> Array:
        """log pi(action | obs) [n] float32 of the policy as it is."""
        return log_prob_of(self.family, self.network.policy, obs, action)

    def at(self, setting: float | Schedule) -> float:
        return scheduled(setting, self.progress)

    def metrics(self) -> Mapping[str, float]:
        means = self.trained.drain("train/")
        if not means:
            return {}
        deviation = self.network.policy.deviation()
        return means | {
            "train/explained_variance": self.explained_variance,
            "train/learning_rate": self.at(self.config.learner.learning_rate),
            "train/n_updates": self.updates,
            **({} if deviation is None else {"train/std": deviation}),
        }

    def weights(self) -> Array:
        self.normalizer.write()
        return self.trained.flat.weights(self.network.acting)

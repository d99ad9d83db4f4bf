"""A learner of a policy that has a baseline beside it: what REINFORCE and the natural gradients share.

class Learner(PolicyLearner):
    def update(self, sample: Sample) -> None:
        rows = self.rows(sample.rows, discount, lambda_)
        ...  # move self.flat.parameters by these rows
        self.learned(rows)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from agents.maths.stochastic import stochastic
from agents.parts.baselines import Baseline
from agents.parts.config import PolicyLearning
from agents.parts.normalizer import Normalizer
from agents.parts.on_policy import PolicyNetwork, Rows, explained_variance, log_prob_of, rows_of
from agents.parts.state import Assembled
from agents.records import Round, Unroll
from envs.api import Array, Spec
from experiment.seeding import Seeds
from supervised.flat import Flat

C = TypeVar("C", bound=PolicyLearning)


class PolicyLearner(Assembled, Generic[C]):
    STATE: ClassVar[tuple[str, ...]] = ("baseline", "normalizer", "explained_variance", "updates")
    baseline: Baseline
    flat: Flat  # of the policy's network

    def __init__(self, config: C, spec: Spec, seeds: Seeds, device: torch.device) -> None:
        self.config, self.device = config, device
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.family = stochastic(spec.actions, config.network.log_std)
        self.network = PolicyNetwork(spec, self.family, config.network, config.normalize, generator).to(device)
        self.normalizer = Normalizer(self.network.normalize, rewards=config.normalize.rewards)
        self.explained_variance, self.updates, self.progress = 0.0, 0, 0.0

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)
        self.normalizer.merge(round.moments)

    def rows(self, unroll: Unroll, discount: float, lambda_: float) -> Rows:
        """Valued by the baseline as it was before."""
        rows = rows_of(unroll, self.baseline, self.normalizer, discount, lambda_, self.device)
        self.explained_variance = explained_variance(rows.target - rows.value, rows.target)
        return rows

    def learned(self, rows: Rows) -> None:
        """The policy has learned from these rows: now the baseline may."""
        assert isinstance(rows.obs, Tensor), "its policy remembers nothing"
        self.baseline.fit(rows.obs, rows.target, self.at(self.config.baseline.learning_rate))
        self.updates += 1

    def log_prob(self, obs: Array, action: Array) -> Array:
        """log pi(action | obs) [n] float32 of the policy as it is."""
        return log_prob_of(self.family, self.network, obs, action)

    def at(self, setting: float | Schedule) -> float:
        return scheduled(setting, self.progress)

    def metrics(self) -> Mapping[str, float]:
        deviation = self.network.deviation()
        return {
            **self.baseline.metrics(),
            "train/explained_variance": self.explained_variance,
            "train/n_updates": self.updates,
            **({} if deviation is None else {"train/std": deviation}),
        }

    def weights(self) -> Array:
        self.normalizer.write()
        return self.flat.weights()


def standardized(advantage: Tensor) -> Tensor:
    """With mean 0 and deviation 1, [n]; 0 where there is no deviation."""
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)

"""A policy that moves by natural steps: what NPG and TRPO share. What becomes of a step is up to them (`move`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from agents.maths.losses import surrogate
from agents.maths.natural import fisher_product, natural_step
from agents.parts.baselines import NetworkBaseline
from agents.parts.config import NaturalLearning
from agents.parts.on_policy import Rows
from agents.parts.policy_learner import PolicyLearner, standardized
from agents.records import Sample
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.flat import Flat, differentiate
from supervised.means import Means

NAMES = ["surrogate", "kl", "entropy", "gradient_norm", "step_share"]


C = TypeVar("C", bound=NaturalLearning)


class NaturalLearner(PolicyLearner[C]):
    STATE = (*PolicyLearner.STATE, "flat", "means")

    def __init__(self, config: C, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        super().__init__(config, spec, seeds, device)
        self.flat = Flat(self.network)
        layer, options = self.network.normalize, config.baseline
        self.baseline = NetworkBaseline(spec, config.network, options, layer, seeds, device, compiled)
        self.gradient = differentiate(self.loss, functional=False)
        self.means = Means.zeros(NAMES, device)

    def update(self, sample: Sample) -> None:
        options = self.config.learner
        rows = self.rows(sample.rows, options.discount, options.gae_lambda)
        advantage = standardized(rows.advantage) if options.normalize_advantage else rows.advantage
        self.improve(rows._replace(advantage=advantage))
        self.learned(rows)

    def improve(self, rows: Rows) -> None:
        options, before = self.config.learner, self.flat.parameters.clone()
        old = self.flat.call(before, rows.obs)
        gradient, found = self.gradient(before, rows)
        product = fisher_product(lambda p: self.divergence(p, old, rows), before, options.damping)
        step = natural_step(-gradient, product, self.at(options.radius), options.iterations)
        share = self.move(before, step, old, rows, found["loss"])
        with torch.no_grad():
            gained = found["loss"] - self.loss(self.flat.parameters, rows)[0]
            kl = self.divergence(self.flat.parameters, old, rows)
        self.means.add([gained, kl, found["entropy"], gradient.norm(), torch.tensor(share)])

    @abstractmethod
    def move(self, before: Tensor, step: Tensor, old: Tensor, rows: Rows, loss: Tensor) -> float:
        """Change `flat.parameters` from `before` by some share of the step, and return the share.

        old [n, K]: outputs of the policy as it was before; loss: 0-d, there.
        """

    def loss(self, parameters: Tensor, rows: Rows) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The mean surrogate loss, 0-d; entropy [n] as it was before the ratio moved."""
        outputs = self.flat.call(parameters, rows.obs)
        log_prob = self.family.log_prob(outputs, rows.action, rows.mask)
        mean = surrogate(log_prob, rows.log_prob, rows.advantage).mean()
        return mean, {"entropy": self.family.entropy(outputs, rows.mask).mean()}

    def divergence(self, parameters: Tensor, old: Tensor, rows: Rows) -> Tensor:
        """The mean of KL(old || new) over the rows, 0-d."""
        return self.family.kl(old, self.flat.call(parameters, rows.obs), rows.mask).mean()

    def metrics(self) -> Mapping[str, float]:
        means = self.means.drain(NAMES)
        return {f"train/{name}": mean for name, mean in means.items()} | dict(super().metrics()) if means else {}

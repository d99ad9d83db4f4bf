"""IMPALA: actors and a learner that don't wait for each other (Espeholt et al. 2018, https://arxiv.org/abs/1802.01561).

With `runtime.kind=ray runtime.mode=asynchronous` an actor goes on with weights that are some updates old, mu, while the
learner has become pi. V-trace corrects for that: values are learned towards V-trace targets, and advantages weighed by
min(clip_rho, pi / mu). Where actors are waited for both policies are one, and this is A2C with n-step returns.

Differs from the paper: Adam in place of RMSProp; no recurrent network; one network for each of policy and values unless
`network.shared`; what arrives is learned from once, at once, one step for each delivery.

Logs, as means over updates: train/loss, train/policy_gradient_loss, train/value_loss, train/entropy_loss (minus the
entropy), train/gradient_norm; of the last update train/rho (mean of min(clip_rho, pi / mu)), train/explained_variance,
train/learning_rate, train/std (continuous actions), train/n_updates. fleet/staleness says by how many updates the
weights were old that acted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from agents.actor_critic.configs.impala import IMPALA
from agents.api import Algorithm, Parts
from agents.experience.own_steps import actor, fed, policy
from agents.maths.returns import vtrace
from agents.parts.actor_critic import ActorCriticLearner
from agents.parts.on_policy import Rows, discounts, flattened, valued
from agents.parts.recalling import worth_compiling
from agents.records import Sample, Unroll
from envs.api import Array, Spec
from experiment.seeding import Seeds


class Learner(ActorCriticLearner[IMPALA]):
    STATE = (*ActorCriticLearner.STATE, "rho")

    def __init__(self, config: IMPALA, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        super().__init__(config, spec, seeds, device, compiled)
        self.rho = 1.0

    def update(self, sample: Sample) -> None:
        self.descend(self.rows(sample.rows))

    def rows(self, unroll: Unroll) -> Rows:
        options = self.config.learner
        value, following = valued(unroll, self.network, self.device)
        log_rho = self.log_ratio(unroll)
        self.rho = float(np.exp(log_rho).clip(max=options.clip_rho).mean())
        target, advantage = vtrace(
            log_rho,
            self.normalizer.scale(unroll.reward),
            value,
            following,
            discounts(unroll, options.discount),
            unroll.terminated | unroll.truncated,
            options.clip_rho,
            options.clip_c,
            options.trace_lambda,
        )
        return flattened(unroll, advantage, target, value, self.device)

    @torch.no_grad()
    def log_ratio(self, unroll: Unroll) -> Array:
        """log pi(a|s) - log mu(a|s) [T, B] of what the actors did."""
        none = np.zeros_like(unroll.reward)
        rows = flattened(unroll, none, none, none, self.device)
        now = self.family.log_prob(self.network.policy(rows.obs), rows.action, rows.mask)
        ratio: Array = (now - rows.log_prob).cpu().numpy().reshape(unroll.reward.shape)
        return ratio

    def metrics(self) -> Mapping[str, float]:
        found = super().metrics()
        return {**found, "train/rho": self.rho} if found else {}


def make(config: IMPALA, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps / (config.rollout.steps * config.env.count)
    compiled = worth_compiling(config.compile, config.network, updates, device)
    learner = Learner(config, spec, seeds, device, compiled)
    return fed(learner, config, spec, seeds)


ALGORITHM = Algorithm[IMPALA](make=make, actor=actor, policy=policy)

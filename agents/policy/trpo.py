"""Trust region policy optimization (Schulman et al. 2015, https://arxiv.org/abs/1502.05477).

The direction is that of the natural gradient, F^-1 g by conjugate gradients, and the first step as long as a KL
divergence of `radius` is to second order. A line search then makes it shorter until the surrogate has improved and the
true mean KL(old || new) of what was collected is within the radius. If no attempt is both, the policy stays as it was,
bit for bit.

Differs from the paper: F is damped, on both sides of the step's length; advantages by generalized advantage estimation
from a network of values, normalized; products with F take all rows, where the paper takes a tenth.

Logs, as means over updates: train/surrogate (gain of the surrogate), train/kl (mean KL(old || new) of the step made),
train/entropy, train/gradient_norm, train/step_share (of the first step, 0 where all attempts failed), train/value_loss;
and train/explained_variance, train/std (continuous actions), train/n_updates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.api import Algorithm, Parts
from agents.experience.own_steps import actor, fed, policy
from agents.maths.natural import line_search
from agents.parts.natural import NaturalLearner
from agents.parts.on_policy import Rows
from agents.policy.configs.trpo import TRPO
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.accelerate import pays_off


class Learner(NaturalLearner[TRPO]):
    def move(self, before: Tensor, step: Tensor, old: Tensor, rows: Rows, loss: Tensor) -> float:
        """The longest share that improves the surrogate within the radius; none where there is no such."""
        options = self.config.learner
        radius = self.at(options.radius)

        @torch.no_grad()
        def accepts(share: float) -> bool:
            self.flat.parameters.copy_(before + share * step)
            better = self.loss(self.flat.parameters, rows)[0] < loss
            return bool(better & (self.divergence(self.flat.parameters, old, rows) <= radius))

        share = line_search(accepts, options.shrink, options.attempts)
        if not share:
            self.flat.parameters.copy_(before)
        return share


def make(config: TRPO, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    fits = config.steps / config.baseline.batch_size * config.baseline.epochs
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, fits, device))
    return fed(learner, config, spec, seeds)


ALGORITHM = Algorithm[TRPO](make=make, actor=actor, policy=policy)

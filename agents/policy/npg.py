"""Natural policy gradient (Kakade 2001, https://papers.nips.cc/paper/2073).

The policy takes the step d = sqrt(2 radius / g' F^-1 g) F^-1 g, with g the policy gradient and F the Fisher matrix of
the actions, both from what was just collected: to second order it moves the policy by a KL divergence of `radius`. F is
never formed; F^-1 g comes from conjugate gradients on products with it. Nothing checks the step: `trpo` does.

Differs from the paper: the step has a length of its own (as in https://arxiv.org/abs/1703.02660); F is damped;
advantages by generalized advantage estimation from a network of values, normalized, in place of compatible features.

Logs, as means over updates: train/surrogate (gain of the surrogate), train/kl (mean KL(old || new) of the step made),
train/entropy, train/gradient_norm, train/step_share (1), train/value_loss; and train/explained_variance, train/std
(continuous actions), train/n_updates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.api import Algorithm, Parts
from agents.experience.own_steps import actor, fed, policy
from agents.parts.natural import NaturalLearner
from agents.parts.on_policy import Rows
from agents.policy.configs.npg import NPG
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.accelerate import pays_off


class Learner(NaturalLearner[NPG]):
    def move(self, before: Tensor, step: Tensor, old: Tensor, rows: Rows, loss: Tensor) -> float:
        """All of it."""
        self.flat.parameters.copy_(before + step)
        return 1.0


def make(config: NPG, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    fits = config.steps / config.baseline.batch_size * config.baseline.epochs
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, fits, device))
    return fed(learner, config, spec, seeds)


ALGORITHM = Algorithm[NPG](make=make, actor=actor, policy=policy)

"""Stochastic mixing iterative learning, SMILe (Ross & Bagnell 2010, http://proceedings.mlr.press/v9/ross10a.html): a
mixture that begins as the expert alone and passes to policies that were learned in its own states.

Who acts is drawn anew at each step. In collection n policy n learns from what the expert would have done where the
mixture came to, from these states alone, and the mixture becomes

    pi_n = (1 - alpha)^n expert + alpha * sum over j = 1..n of (1 - alpha)^(j - 1) policy_j

What is evaluated, and saved, is the mixture without the expert, its weights divided by their sum 1 - (1 - alpha)^n.

Logs, as means over steps of Adam: train/loss (-log pi of the expert's action), train/entropy; and train/share (the
expert's weight), train/rows, train/learning_rate, train/n_updates (steps of Adam).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from agents.api import Actor, Algorithm, Parts
from agents.contenders import contender
from agents.experience.guided import Guided, guide, labelled
from agents.experience.memory.latest import Latest
from agents.experience.memory.ratio import EveryCollection
from agents.experience.own_steps import policy as own_policy
from agents.experience.rollout import actor_of
from agents.imitation.configs.smile import SMILe
from agents.parts.correcting import CorrectionLearner
from agents.parts.on_policy import PolicyNetwork
from agents.records import Acted, Carry, Sample, forgets
from envs.api import Array, Spec, Step
from experiment.seeding import Seeds


def mixture_weights(alpha: float, n: int) -> tuple[float, Array]:
    """The expert's weight (1 - alpha)^n after n policies, and theirs [n]; the sum of all is 1."""
    return (1 - alpha) ** n, alpha * (1 - alpha) ** np.arange(n)


class Mixture:
    """Each row, at each step, is played by one of the policies, as well as it can; without an expert.

    Its weights are how many have learned, and those of all that may. Before one has, the first acts as it was drawn.
    """

    initial = staticmethod(forgets)

    def __init__(self, config: SMILe, spec: Spec, device: torch.device) -> None:
        self.members = [own_policy(config, spec, device) for _ in range(config.policies)]
        self.alpha, self.chances = config.learner.alpha, np.ones(1)

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        chosen = rng.choice(len(self.chances), len(step.obs), p=self.chances)
        actions = {j: self.members[j].act(carry, step, rng, False).action for j in np.unique(chosen).tolist()}
        action = np.stack([actions[j][row] for row, j in enumerate(chosen.tolist())])
        return Acted(carry, action, {})

    def load(self, weights: Array) -> None:
        learned, each = int(weights[0]), np.split(weights[1:], len(self.members))
        for member, own in zip(self.members, each, strict=True):
            member.load(own)
        _, theirs = mixture_weights(self.alpha, max(learned, 1))
        self.chances = theirs / theirs.sum()


class Learner(CorrectionLearner[SMILe]):
    STATE: ClassVar[tuple[str, ...]] = (*CorrectionLearner.STATE, "members", "learned")

    def __init__(self, config: SMILe, spec: Spec, seeds: Seeds, device: torch.device) -> None:
        super().__init__(config, spec, seeds, device)
        first = self.trained.flat.weights()
        self.members = np.zeros((config.policies, len(first)), np.float32)
        self.members[0] = first
        self.learned = 0

    def update(self, sample: Sample) -> None:
        if self.learned == len(self.members):
            return  # the last collection went beyond what was asked for
        self.restart()
        self.fit(labelled(sample.rows, self.spec))
        self.members[self.learned] = self.trained.flat.weights()
        self.learned += 1

    def restart(self) -> None:
        """A new network, drawn at random."""
        config, generator = self.config, torch.Generator().manual_seed(int(self.rng.integers(2**63)))
        self.trained.restart(PolicyNetwork(self.spec, self.cloner.family, config.network, config.normalize, generator))

    @property
    def share(self) -> float:
        return mixture_weights(self.config.learner.alpha, self.learned)[0]

    def metrics(self) -> Mapping[str, float]:
        return {**super().metrics(), "train/share": self.share}

    def weights(self) -> Array:
        mixture = np.append(np.float32(self.learned), self.members)
        return guide(mixture, self.share)


def make(config: SMILe, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    contender(config.expert, spec)  # one that isn't there is refused before anybody acts
    return Parts(Learner(config, spec, seeds, device), Latest(), EveryCollection())


def policy(config: SMILe, spec: Spec, device: torch.device) -> Guided:
    return Guided(Mixture(config, spec, device))


def corrected(config: SMILe, spec: Spec, device: torch.device) -> Guided:
    return Guided(Mixture(config, spec, device), contender(config.expert, spec))


def actor(config: SMILe, index: int, incarnation: int) -> Actor:
    return actor_of(config, corrected, index, incarnation, observations=config.normalize.observations)


ALGORITHM = Algorithm[SMILe](make=make, actor=actor, policy=policy)

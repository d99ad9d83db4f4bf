"""Data set aggregation (Ross et al. 2011, https://arxiv.org/abs/1011.0686): an expert corrects the learner in the
states that the learner itself comes to, and the policy is fitted to all corrections so far.

In collection i the expert acts at each step with probability p^(i-1), else the policy as it is: the first is behaviour
cloning. Errors then cost of the order of their number times the horizon, not times its square.

Logs, as means over steps of Adam: train/loss (-log pi of the expert's action), train/entropy; and train/share (of the
steps, the expert's in the next collection), train/rows, train/learning_rate, train/n_updates (steps of Adam).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from agents.api import Actor, Algorithm, Parts
from agents.contenders import contender
from agents.experience.guided import Guided, guide, labelled
from agents.experience.memory.ratio import EveryCollection
from agents.experience.memory.replay import Replay
from agents.experience.memory.table import Change, Table
from agents.experience.memory.whole import Whole
from agents.experience.own_steps import policy as own_policy
from agents.experience.rollout import actor_of
from agents.imitation.configs.dagger import DAgger
from agents.parts.cloning import Examples
from agents.parts.correcting import CorrectionLearner
from agents.records import Experience, Sample
from envs.api import Array, Spec
from experiment.seeding import Seeds


class Corrections(Table):
    """What the expert would have done, in all states so far."""

    def __init__(self, capacity: int, spec: Spec) -> None:
        super().__init__(capacity, Examples)
        self.spec = spec

    def add(self, experience: Experience) -> Change:
        return super().add(experience._replace(rows=labelled(experience.rows, self.spec)))


class Learner(CorrectionLearner[DAgger]):
    def update(self, sample: Sample) -> None:
        self.fit(sample.rows)

    @property
    def share(self) -> float:
        return self.config.learner.decay**self.rounds

    def metrics(self) -> Mapping[str, float]:
        return {**super().metrics(), "train/share": self.share}

    def weights(self) -> Array:
        return guide(self.cloner.trained.flat.weights(), self.share)


def make(config: DAgger, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    contender(config.expert, spec)  # one that isn't there is refused before anybody acts
    memory = Replay(Corrections(config.memory.capacity, spec), Whole(), 1, seeds.generator("memory"))
    return Parts(Learner(config, spec, seeds, device), memory, EveryCollection())


def policy(config: DAgger, spec: Spec, device: torch.device) -> Guided:
    return Guided(own_policy(config, spec, device))


def corrected(config: DAgger, spec: Spec, device: torch.device) -> Guided:
    return Guided(own_policy(config, spec, device), contender(config.expert, spec))


def actor(config: DAgger, index: int, incarnation: int) -> Actor:
    return actor_of(config, corrected, index, incarnation, observations=config.normalize.observations)


ALGORITHM = Algorithm[DAgger](make=make, actor=actor, policy=policy)

"""A learner that is fitted to what an expert would have done in its place: what DAgger and SMILe share.

class Learner(CorrectionLearner[DAgger]):
    def update(self, sample: Sample) -> None:
        self.fit(sample.rows)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import torch

from agents.maths.schedules import value as scheduled
from agents.parts.batches import shuffled
from agents.parts.cloning import Cloner, Examples
from agents.parts.config import Correcting
from agents.parts.normalizer import Normalizer
from agents.parts.state import Assembled
from agents.records import Round
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.accelerate import pays_off
from supervised.trained import tensors

C = TypeVar("C", bound=Correcting)


class CorrectionLearner(Assembled, Generic[C]):
    STATE: ClassVar[tuple[str, ...]] = ("trained", "normalizer", "rng", "rounds", "updates", "rows")

    def __init__(self, config: C, spec: Spec, seeds: Seeds, device: torch.device) -> None:
        self.config, self.spec, self.device, options = config, spec, device, config.learner
        rounds = config.steps / (config.rollout.steps * config.env.count)
        compiled = pays_off(config.compile, rounds * options.updates, device)
        seed = seeds.integer("learner", "network")
        cloner = Cloner(spec, config.network, config.normalize, options.regularization, seed, device, compiled)
        self.cloner, self.trained = cloner, cloner.trained
        self.normalizer = Normalizer(cloner.network.normalize)
        self.rng = seeds.generator("learner", "batches")
        self.rounds = self.updates = self.rows = 0  # collections, steps of Adam, rows of the last fit
        self.progress = 0.0

    def begin_round(self, round: Round) -> None:
        self.progress, self.rounds = round.progress(self.config.steps), round.number + 1
        self.normalizer.merge(round.moments)
        self.normalizer.write()

    def fit(self, examples: Examples) -> None:
        """So many steps of Adam, in which all rows come equally often."""
        options, self.rows = self.config.learner, len(examples.obs)
        rows = tensors([column for column in examples if column is not None], self.device)
        batches = shuffled(self.rng, self.rows, options.updates, min(options.batch_size, self.rows))
        for index in torch.from_numpy(batches).to(self.device):
            self.trained.update(self.rate, *(column[index] for column in rows))
        self.updates += options.updates

    @property
    def rate(self) -> float:
        return scheduled(self.config.learner.learning_rate, self.progress)

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/") | {
            "train/rows": self.rows,
            "train/learning_rate": self.rate,
            "train/n_updates": self.updates,
        }

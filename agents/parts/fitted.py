"""From a config to the course of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.maths.schedules import value as scheduled
from envs.api import Array
from experiment.seeding import Seeds
from supervised.fit import Fitting
from supervised.trained import Trained


def fitted(
    config: Any, seeds: Seeds, trained: Trained, rows: Sequence[Array], held_out: Sequence[Array], **more: Any
) -> Fitting:
    """What `trained` learns from rows, by the steps and the learner of a config of data; more: as `Fitting` has it."""
    learner = config.learner

    def rate(progress: float) -> float:
        return scheduled(learner.learning_rate, progress)

    rng = seeds.generator("learner", "batches")
    return Fitting(trained, rows, held_out, learner.batch_size, rate, config.steps, rng, **more)

"""What configs of fits to data have in common. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.config import Gradients, Threads, World
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Positive, PositiveFloat, Rows


class OfData(Gradients):
    """A fit to a data set: `supervised.fit.Fitting` is its course, or the base of it."""

    steps: Positive = 10_000
    """updates"""
    data: Fixed[str]
    """the data set"""
    held_out: Fixed[Annotated[float, Field(gt=0, lt=1)]] = 0.2
    """fraction of the rows, drawn by the seed, that is not learned from: the evaluation is by these"""
    threads: Threads = 1
    """torch threads; the same everywhere, so that a run computes the same"""

    @property
    def world(self) -> World:
        return World("data", self.data)


class BatchLearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam; a number or a schedule over the run"""
    batch_size: Rows = 64
    """rows of one update"""

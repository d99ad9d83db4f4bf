"""Config of a fit. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.config import Gradients, NetworkOptions, Threads, World
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, NonNegative, Positive, PositiveFloat, Rows
from supervised.datasets import Name


class FitLearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam; a number or a schedule over the run"""
    batch_size: Rows = 64
    """rows of one update"""
    loss: Literal["cross_entropy", "squared"] | None = None
    """what is minimized; null is cross_entropy for classes, and for numbers squared, which is all that they can have"""
    regularization: NonNegative = 0.0
    """added to the loss: this times the square of the parameters' length"""


class Fit(Gradients):
    algorithm: Literal["fit"] = "fit"
    """a network that predicts, fitted to a data set"""
    steps: Positive = 10_000
    """updates"""
    data: Fixed[Name]
    """the data set, one of those that ship with scikit-learn; diabetes has numbers to predict, the others classes"""
    held_out: Fixed[Annotated[float, Field(gt=0, lt=1)]] = 0.2
    """fraction of the rows, drawn by the seed, that is not learned from: the evaluation is by these"""
    network: Fixed[NetworkOptions] = NetworkOptions()
    """what predicts: a torso, and a linear layer behind it"""
    learner: FitLearner = FitLearner()
    """the update"""
    threads: Threads = 1
    """torch threads; the same everywhere, so that a run computes the same"""

    @property
    def world(self) -> World:
        return World("data", self.data)

"""Config of a fit. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import NetworkOptions
from agents.fitting.configs.data import BatchLearner, OfData
from experiment.config import Fixed, Natural, NonNegative, Positive, Several
from supervised.datasets import Name


class FitLearner(BatchLearner):
    loss: Literal["cross_entropy", "squared", "absolute", "huber"] | None = None
    """what is minimized; null is cross_entropy for classes, and squared for numbers, which can't have the former"""
    regularization: NonNegative = 0.0
    """added to the loss: this times the square of the parameters' length"""
    shift: Natural = 0
    """pixels by which pictures are moved at most, to each side, anew whenever they are learned from"""


class Fit(OfData):
    algorithm: Literal["fit"] = "fit"
    """a network that predicts, fitted to a data set"""
    data: Fixed[Name | Annotated[str, Field(pattern=r"\.npz$")]]
    """the data set, one of those that ship with scikit-learn; diabetes has numbers to predict, the others classes. Or a
    file of numpy's, FILE.npz, with arrays inputs and targets: integers [n] are classes"""
    fold: Fixed[Natural] = 0
    """which rows are held out: with held_out of 1 / n, folds 0 to n - 1 of one seed hold out each row once"""
    standardize: Fixed[bool] = True
    """each column of the inputs by itself; false divides all by their largest number, as pictures want it"""
    shape: Fixed[Several[Positive] | None] = None
    """of a row's inputs, [channels, height, width] for pictures, so [1, 8, 8] for digits; null leaves them in a line"""
    network: Fixed[NetworkOptions] = NetworkOptions()
    """what predicts: a torso, and a linear layer behind it"""
    learner: FitLearner = FitLearner()
    """the update"""

    @model_validator(mode="after")
    def _pictures_are_shifted(self) -> Self:
        if self.learner.shift and (self.shape is None or len(self.shape) != 3):
            raise ValueError("learner.shift is of pictures: say their shape, [channels, height, width]")
        return self

    @model_validator(mode="after")
    def _what_is_frozen_is_not_shortened(self) -> Self:
        if self.network.frozen and self.learner.regularization:
            raise ValueError("network.frozen is on, but learner.regularization would shrink the torso: set it to 0")
        return self

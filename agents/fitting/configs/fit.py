"""Config of a fit. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import NetworkOptions
from agents.fitting.configs.data import BatchLearner, OfData
from experiment.config import Fixed, NonNegative
from supervised.datasets import Name


class FitLearner(BatchLearner):
    loss: Literal["cross_entropy", "squared"] | None = None
    """what is minimized; null is cross_entropy for classes, and for numbers squared, which is all that they can have"""
    regularization: NonNegative = 0.0
    """added to the loss: this times the square of the parameters' length"""


class Fit(OfData):
    algorithm: Literal["fit"] = "fit"
    """a network that predicts, fitted to a data set"""
    data: Fixed[Name]
    """the data set, one of those that ship with scikit-learn; diabetes has numbers to predict, the others classes"""
    network: Fixed[NetworkOptions] = NetworkOptions()
    """what predicts: a torso, and a linear layer behind it"""
    learner: FitLearner = FitLearner()
    """the update"""

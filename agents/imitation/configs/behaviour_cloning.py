"""Config of behaviour cloning. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import Demonstrations, Gradients, NormalizeOptions, OfEnvironment, Threads
from agents.fitting.configs.data import BatchLearner
from agents.parts.config import StochasticOptions
from experiment.config import Fixed, NonNegative, Positive


class CloningLearner(BatchLearner):
    regularization: NonNegative = 0.0
    """added to the loss: this times the square of the parameters' length"""


class BehaviourCloning(Demonstrations, OfEnvironment, Gradients):
    algorithm: Literal["behaviour_cloning"] = "behaviour_cloning"
    """behaviour cloning: a policy fitted to what an expert did"""
    steps: Positive = 2_000
    """updates"""
    held_out: Fixed[Annotated[float, Field(gt=0, lt=1)]] = 0.1
    """fraction of the steps, drawn by the seed, that is not learned from: eval/loss is of these"""
    network: Fixed[StochasticOptions] = StochasticOptions()
    """the policy"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """of observations, by those that were demonstrated"""
    learner: CloningLearner = CloningLearner()
    """the update"""
    threads: Threads = 1
    """torch threads; the same everywhere, so that a run computes the same"""

    @model_validator(mode="after")
    def _nobody_is_met(self) -> Self:
        if self.evaluation.opponents is not None:
            raise ValueError("evaluation.opponents are met in matches, but cloning in a game is measured by its loss")
        return self

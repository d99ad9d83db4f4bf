"""Config of SMILe. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.parts.config import Correcting, CorrectionFit
from experiment.config import Fixed, Positive


class SMILeLearner(CorrectionFit):
    alpha: Fixed[Annotated[float, Field(gt=0, le=1)]] = 0.2
    """of the weight that the expert still has, how much goes to each new policy"""


class SMILe(Correcting):
    algorithm: Literal["smile"] = "smile"
    """SMILe: a mixture of policies that takes over from an expert step by step"""
    steps: Positive = 40_000
    """environment steps to train for, over all environments together"""
    policies: Fixed[Annotated[int, Field(gt=0, le=1024)]] = 20
    """how many are mixed in the end; each learns from one collection"""
    learner: SMILeLearner = SMILeLearner()
    """the fits"""

    @model_validator(mode="after")
    def _every_collection_has_its_policy(self) -> Self:
        most = self.policies * self.rollout.steps * self.env.count
        if self.steps > most:
            raise ValueError(
                f"steps is {self.steps}, but {self.policies} policies of {self.rollout.steps} x {self.env.count} steps "
                f"are learned in {most}: set policies to more, or steps to less"
            )
        return self

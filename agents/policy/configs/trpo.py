"""Config of TRPO. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.experience.rewards.configs import Rewarded
from agents.parts.config import NaturalLearning, NaturalStep
from experiment.config import Positive


class TrustRegion(NaturalStep):
    shrink: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """a step that is too long is tried again, this many times as long"""
    attempts: Positive = 10
    """lengths that are tried; if none will do, the policy stays as it is"""


class TRPO(NaturalLearning, Rewarded):
    algorithm: Literal["trpo"] = "trpo"
    """trust region policy optimization"""
    learner: TrustRegion = TrustRegion()
    """the update of the policy"""

"""Config of IMPALA. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import Collection
from agents.experience.rewards.configs import Rewarded
from agents.parts.config import ActorCriticLearning, Descent
from experiment.config import Fraction, NonNegative, PositiveFloat


class IMPALALearner(Descent):
    entropy_coefficient: NonNegative = 0.01
    """weight of the entropy bonus"""
    clip_rho: PositiveFloat = 1.0
    """bound on the ratio pi / mu that weighs TD errors and advantages; infinite, values are those of pi"""
    clip_c: PositiveFloat = 1.0
    """bound on the ratios that carry later TD errors back"""
    trace_lambda: Fraction = 1.0
    """each step back multiplies a TD error by this, too"""


class IMPALA(ActorCriticLearning, Rewarded):
    algorithm: Literal["impala"] = "impala"
    """actor-critic with actors that don't wait, corrected by V-trace"""
    rollout: Collection = Collection(steps=20)
    """how much an actor brings home at once"""
    learner: IMPALALearner = IMPALALearner()
    """the update"""

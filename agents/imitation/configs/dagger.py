"""Config of DAgger. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.parts.config import Correcting, CorrectionFit
from experiment.config import Config, Fixed, Fraction, Positive


class AggregateOptions(Config):
    capacity: Fixed[Positive] = 100_000
    """corrected states kept; the oldest are overwritten"""


class DAggerLearner(CorrectionFit):
    decay: Fraction = 0.5
    """p: in collection i, from 1, the expert acts at each step with probability p^(i-1); 0 is in the first alone"""


class DAgger(Correcting):
    algorithm: Literal["dagger"] = "dagger"
    """DAgger: imitation corrected in the learner's own states"""
    memory: AggregateOptions = AggregateOptions()
    """what was corrected so far"""
    learner: DAggerLearner = DAggerLearner()
    """the fits"""

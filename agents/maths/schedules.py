"""Numbers that change over a run, as plain data: functions of progress, 0 at the start of a run and 1 at its end."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from experiment.config import Config


class Schedule(Config):
    kind: Literal["linear", "exponential", "cosine"] = "linear"
    """how it goes from start to end: in a straight line, by a constant factor, or as half a cosine wave"""
    start: float
    """value at the start of the run"""
    end: float
    """value from `until` on"""
    until: float = Field(default=1.0, gt=0, le=1)
    """fraction of the run after which the value stays at the end"""

    @model_validator(mode="after")
    def _a_factor_leads_from_start_to_end(self) -> Self:
        if self.kind == "exponential" and not self.start * self.end > 0:
            raise ValueError(
                f"no constant factor leads from {self.start} to {self.end}: an exponential schedule needs a start and "
                "an end of one sign, neither of them 0; use kind linear or cosine"
            )
        return self


def value(schedule: float | Schedule, progress: float) -> float:
    """What a schedule is worth at `progress`, in [0, 1]; a plain number is worth the same always.

    Raises ValueError outside [0, 1]: steps above the budget, or progress counted down, is the caller's mistake.
    """
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"progress goes from 0 at the start of a run to 1 at its end, but is {progress}")
    if not isinstance(schedule, Schedule):
        return float(schedule)
    gone = progress / schedule.until
    if gone >= 1.0:
        return schedule.end
    if schedule.kind == "exponential":
        return schedule.start * (schedule.end / schedule.start) ** gone
    if schedule.kind == "cosine":
        gone = 0.5 * (1.0 - math.cos(math.pi * gone))
    return schedule.start + (schedule.end - schedule.start) * gone

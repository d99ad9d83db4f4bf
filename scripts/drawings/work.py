"""What a picture took to compute, and what a plain loop in Python would have taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Work(NamedTuple):
    amount: str  # what was done, such as "100 runs of 500 episodes"
    seconds: float
    plain: float  # of a loop in Python that does the same; some of it timed, the rest extrapolated

    def __str__(self) -> str:
        return (
            f"{self.amount} in {self.seconds:.3g} s; plain Python {self.plain:.3g} s, {self.plain / self.seconds:.0f}x"
        )


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Processor time of the shortest of some turns, after one that compiles; others may be busy on the machine."""
    work()
    return min(_once(work) for _ in range(times))


def _once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began

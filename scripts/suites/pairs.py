"""Two sides doing the same work in turns, and what the pairs of rates say about their ratio.

Both sides live in one process. Pair 0 runs A B, pair 1 runs B A, and so on, so that a machine that slows down or speeds
up meanwhile favours neither. A side is started just before its first trial; what that took (building, compiling,
burn-in) is a cost of its own and in no rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import numpy as np

from agents.arena.estimates import Interval, bootstrap_mean

Trial = Callable[[], float]  # does a fixed piece of work and returns its rate
Start = Callable[[], AbstractContextManager[Trial]]


class Absent(Exception):
    """A row that can't be measured here: the peer isn't installed, or the hardware isn't there. Says which."""


class Side(NamedTuple):
    label: str
    start: Start


class Floor(NamedTuple):
    """A rate that our side can't exceed, because its work includes what was measured alone."""

    label: str
    rate: float


class Row(NamedTuple):
    """What a comparison found. Rates are geometric means over the pairs, start-up costs means in seconds."""

    name: str
    unit: str
    ours: str
    theirs: str
    rates: tuple[float, float]
    startup: tuple[float, float]
    pairs: list[tuple[float, float]]  # rates (ours, theirs), in the order of the pairs
    ratio: float  # ours / theirs, geometric mean over the pairs
    interval: Interval | None  # of the ratio, 95 %; None for a single pair
    floor: Floor | None = None
    asked: str = ""  # what the ratio or the rate should be
    met: bool | None = None

    def expect(self, asked: str, met: bool) -> Row:
        return self._replace(asked=asked, met=met)

    def record(self) -> dict[str, Any]:
        """JSON values only."""
        floor = None if self.floor is None else self.floor._asdict() | {"fraction": self.rates[0] / self.floor.rate}
        return self._asdict() | {"floor": floor}


def order(pair: int) -> tuple[int, int]:
    """Which side goes first in this pair: A B, B A, A B, ..."""
    return (0, 1) if pair % 2 == 0 else (1, 0)


def geometric_mean(values: Sequence[float]) -> float:
    """Raises ValueError unless there are values, all of them positive."""
    if not values or min(values) <= 0:
        raise ValueError(f"a geometric mean is of positive numbers, got {list(values)}")
    return float(np.exp(np.mean(np.log(values))))


def ratio_interval(ratios: Sequence[float], seed: int = 0) -> Interval | None:
    """95 % bootstrap interval of the geometric mean: of the mean of the logarithms. None for fewer than two ratios."""
    if len(ratios) < 2:
        return None
    low, high = bootstrap_mean(np.log(ratios), np.random.default_rng(seed))
    return Interval(float(np.exp(low)), float(np.exp(high)))


def rate(amount: float, work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Do `work` once: amount per second."""
    begin = clock()
    work()
    return amount / (clock() - begin)


class Running:
    """A side that is started when its first trial comes; `fresh`: started anew for every trial."""

    def __init__(self, side: Side, stack: ExitStack, fresh: bool, clock: Callable[[], float]) -> None:
        self.side, self.stack, self.fresh, self.clock = side, stack, fresh, clock
        self.run: Trial | None = None
        self.startup: list[float] = []

    def trial(self) -> float:
        if self.fresh:
            with ExitStack() as stack:
                return self._start(stack)()
        if self.run is None:
            self.run = self._start(self.stack)
        return self.run()

    def _start(self, stack: ExitStack) -> Trial:
        begin = self.clock()
        run = stack.enter_context(self.side.start())
        self.startup.append(self.clock() - begin)
        return run


def compare(
    name: str,
    unit: str,
    ours: Side,
    theirs: Side,
    pairs: int,
    fresh: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Row:
    """Alternate the two sides for so many pairs."""
    with ExitStack() as stack:
        sides = [Running(side, stack, fresh, clock) for side in (ours, theirs)]
        found: list[tuple[float, float]] = []
        for pair in range(pairs):
            rates = {side: sides[side].trial() for side in order(pair)}
            found.append((rates[0], rates[1]))
    ratios = [a / b for a, b in found]
    means = [geometric_mean(column) for column in zip(*found, strict=True)]
    startup = [float(np.mean(side.startup)) for side in sides]
    return Row(
        name=name,
        unit=unit,
        ours=ours.label,
        theirs=theirs.label,
        rates=(means[0], means[1]),
        startup=(startup[0], startup[1]),
        pairs=found,
        ratio=geometric_mean(ratios),
        interval=ratio_interval(ratios),
    )

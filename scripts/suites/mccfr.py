"""Monte-Carlo CFR: iterations per second against OpenSpiel's C++ solvers, as rows of the suite `regret`.

An iteration is one traversal for each seat, with the same sampling and all weights alike, and one thread for both. Its
cost falls while the policy gets better, as walks end earlier: both sides begin with as many iterations as burn-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from agents.regret.mccfr import SampledRegrets
from agents.regret.tree import compile_tree
from envs.games.make import make_game
from scripts.suites.learners import peer
from scripts.suites.pairs import Row, Side, Trial, compare, rate

BURN_IN = 5_000
EXPLORATION = 0.6  # OpenSpiel's default


class Work(NamedTuple):
    game: str
    exploration: float | None  # None: external sampling
    ours: int  # iterations of a trial
    theirs: int


WORKS = {
    "mccfr-external-kuhn": Work("kuhn_poker", None, 500_000, 50_000),
    "mccfr-external-leduc": Work("leduc_poker", None, 200_000, 10_000),
    "mccfr-external-liars-dice": Work("liars_dice(numdice=1,dice_sides=4)", None, 100_000, 3_000),
    "mccfr-outcome-leduc": Work("leduc_poker", EXPLORATION, 400_000, 30_000),
}


def ours(work: Work) -> Side:
    @contextmanager
    def start() -> Iterator[Trial]:
        found = SampledRegrets(compile_tree(make_game(work.game)), work.exploration, linear=False, seed=0)
        found.iterate(BURN_IN)
        yield lambda: rate(work.ours, lambda: found.iterate(work.ours))

    return Side("Sparring", start)


def open_spiel(work: Work) -> Side:
    kind = "ExternalSamplingMCCFRSolver" if work.exploration is None else "OutcomeSamplingMCCFRSolver"
    label = peer("open_spiel", "pyspiel")
    import pyspiel

    @contextmanager
    def start() -> Iterator[Trial]:
        found = getattr(pyspiel, kind)(pyspiel.load_game(work.game))

        def iterate(n: int) -> None:
            for _ in range(n):
                found.run_iteration()

        iterate(BURN_IN)
        yield lambda: rate(work.theirs, lambda: iterate(work.theirs))

    return Side(f"{label} {kind}", start)


def row(name: str, pairs: int, threads: int) -> Row:
    work = WORKS[name]
    found = compare(name, "iterations/s", ours(work), open_spiel(work), pairs)
    return found.expect(">= 4x", found.ratio >= 4)


ROWS: dict[str, Callable[[int, int], Row]] = {name: partial(row, name) for name in WORKS}

"""Regret minimization: iterations and seconds, against OpenSpiel's C++ solvers and LiteEFG. All sides use one thread.

`cfr-*`: iterations of CFR per second, the same on both sides: alternating against OpenSpiel, simultaneous against
LiteEFG. `mccfr-*`: of Monte-Carlo CFR, in `scripts/suites/mccfr.py`. `nash-conv-*`: evaluations of the uniform policy.
`leduc-1e-*`: from nothing to that exploitability of Leduc, our best variant against CFR+ of OpenSpiel and the best of
LiteEFG. A peer's time for these is its measured time per iteration, times the iterations that the same variant needs:
the numbers of both are equal, as the tests show.

LiteEFG is `pip install LiteEFG` (it is built from source, and wants pandas); where it is absent its rows say so.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import Any, NamedTuple

from agents.regret.best_response import nash_conv
from agents.regret.cfr import VARIANTS, RegretMinimizer
from agents.regret.forms import Discounting
from agents.regret.policies import uniform
from agents.regret.tree import GameTree, compile_tree
from envs.games.make import make_game
from scripts.suites import mccfr
from scripts.suites.learners import peer
from scripts.suites.pairs import Row, Side, Trial, compare, rate


class Work(NamedTuple):
    game: str
    ours: int  # iterations of a trial
    theirs: int
    asked: float  # ratio


WORKS = {
    "kuhn": Work("kuhn_poker", 1_000_000, 10_000, 30),
    "leduc": Work("leduc_poker", 20_000, 60, 100),
    "liars-dice": Work("liars_dice(numdice=1,dice_sides=4)", 20_000, 60, 100),
    "tic-tac-toe": Work("tic_tac_toe", 100, 2, 30),
}
# What gets to an exploitability of Leduc in the least time here, among the variants and some values of gamma.
BEST = {1e-4: VARIANTS["discounted_cfr"], 1e-6: VARIANTS["predictive_cfr_plus"]._replace(averaging=10.0)}
# LiteEFG averages linearly at most: its best at either exploitability, and the same variant here.
LITEEFG_BEST = {
    1e-4: ("CFRplus", VARIANTS["cfr_plus"]),
    1e-6: ("PCFR", VARIANTS["predictive_cfr_plus"]._replace(averaging=1.0)),
}
LITEEFG_ITERATIONS = 500
RATE = "iterations/s"


@cache
def compiled(game: str) -> GameTree:
    return compile_tree(make_game(game))


def solver(game: str, rule: Discounting, **options: Any) -> RegretMinimizer:
    return RegretMinimizer(compiled(game), rule, **options)


def iterating(game: str, n: int, **options: Any) -> Side:
    """Ours: n more iterations of CFR in every trial."""

    @contextmanager
    def start() -> Iterator[Trial]:
        compiled.cache_clear()  # the tree is a part of start-up
        found = solver(game, VARIANTS["cfr"], **options)
        found.iterate(2)
        yield lambda: rate(n, lambda: found.iterate(n))

    tree = compiled(game)
    size = solver(game, VARIANTS["cfr"], **options).nbytes + tree.nbytes
    return Side(f"Sparring, {size / tree.infosets:,.0f} bytes per infoset with the tree", start)


def open_spiel(kind: str, game: str, n: int, amount: float = 1.0) -> Side:
    """Theirs: n more iterations in every trial, each worth `amount`."""
    label = peer("open_spiel", "pyspiel")
    import pyspiel

    @contextmanager
    def start() -> Iterator[Trial]:
        found = getattr(pyspiel, kind)(pyspiel.load_game(game))

        def work() -> None:
            for _ in range(n):
                found.evaluate_and_update_policy()

        yield lambda: rate(n * amount, work)

    return Side(f"{label} {kind}", start)


def liteefg(kind: str, n: int, amount: float = 1.0) -> Side:
    """Theirs on Leduc: n more iterations in every trial, each worth `amount`. It writes the game to $HOME."""
    label = peer("LiteEFG", "LiteEFG", "pandas")
    peer("open_spiel", "pyspiel")

    @contextmanager
    def start() -> Iterator[Trial]:
        import importlib

        import pyspiel

        with tempfile.TemporaryDirectory() as home, redirect_stdout(io.StringIO()):
            before = os.environ.get("HOME")
            os.environ["HOME"] = home
            try:
                library = importlib.import_module("LiteEFG")
                library.set_threads(1)
                env = library.OpenSpielEnv(pyspiel.load_game("leduc_poker"))
                graph = importlib.import_module(f"LiteEFG.baselines.{kind}").graph()
                env.set_graph(graph)
            finally:
                os.environ.update({} if before is None else {"HOME": before})

        def work() -> None:
            for _ in range(n):
                graph.update_graph(env)
                env.update_strategy(graph.current_strategy())

        work()
        yield lambda: rate(n * amount, work)

    return Side(f"{label} {kind}", start)


# Rows ----------------------------------------------------------------------------------------------------------------


def at_least(row: Row, asked: float) -> Row:
    return row.expect(f">= {asked:g}x", row.ratio >= asked)


def against_open_spiel(name: str, pairs: int) -> Row:
    work = WORKS[name]
    theirs = open_spiel("CFRSolver", work.game, work.theirs)
    return at_least(compare(f"cfr-{name}", RATE, iterating(work.game, work.ours), theirs, pairs), work.asked)


def history_against_open_spiel(pairs: int) -> Row:
    theirs = open_spiel("CFRSolver", "leduc_poker", 60)
    ours = iterating("leduc_poker", 2_000, form="history")
    return compare("cfr-leduc-history", RATE, ours, theirs, pairs)


def against_liteefg(pairs: int) -> Row:
    theirs = liteefg("CFR", LITEEFG_ITERATIONS)
    ours = iterating("leduc_poker", 20_000, alternating=False)
    return at_least(compare("cfr-leduc-liteefg", RATE, ours, theirs, pairs), 8)


def evaluating(game: str, pairs: int) -> Row:
    """NashConv of the uniform policy: theirs is given a table, as ours is."""
    label = peer("open_spiel", "pyspiel")
    import pyspiel

    tree = compiled(game)
    policy, calls = uniform(tree), 500

    @contextmanager
    def ours() -> Iterator[Trial]:
        def work() -> None:
            for _ in range(calls):
                nash_conv(tree, policy)

        work()
        yield lambda: rate(calls, work)

    @contextmanager
    def theirs() -> Iterator[Trial]:
        loaded = pyspiel.load_game(game)
        table = pyspiel.UniformRandomPolicy(loaded)
        yield lambda: rate(2, lambda: [pyspiel.nash_conv(loaded, table) for _ in range(2)])

    sides = Side("Sparring", ours), Side(f"{label} nash_conv", theirs)
    return at_least(compare("nash-conv-leduc", "evaluations/s", *sides, pairs), 100)


@cache
def iterations_to(target: float, rule: Discounting) -> int:
    """Iterations after which Leduc's exploitability is at most `target`, looked at after every 2 % more of them."""
    found = solver("leduc_poker", rule)
    while found.evaluate()["game/exploitability"] > target:
        found.iterate(max(1, found.iterations // 50))
    return found.iterations


def solving(target: float) -> Side:
    """Ours: from nothing to the exploitability, in every trial anew."""
    needed = iterations_to(target, BEST[target])

    @contextmanager
    def start() -> Iterator[Trial]:
        def work() -> None:
            solver("leduc_poker", BEST[target]).iterate(needed)

        work()
        yield lambda: rate(1, work)

    name = "discounted CFR" if target == 1e-4 else "predictive CFR+, gamma 10"
    return Side(f"Sparring, {name}, {needed:,} iterations", start)


def to_exploitability(target: float, against: str, pairs: int) -> Row:
    if against == "OpenSpiel":
        needed = iterations_to(target, VARIANTS["cfr_plus"])
        theirs = open_spiel("CFRPlusSolver", "leduc_poker", 60, 1 / needed)
    else:
        kind, rule = LITEEFG_BEST[target]
        needed = iterations_to(target, rule)
        theirs = liteefg(kind, LITEEFG_ITERATIONS, 1 / needed)
    theirs = Side(f"{theirs.label}, {needed:,} iterations", theirs.start)
    name = f"leduc-{target:.0e}".replace("e-0", "e-") + ("-liteefg" if against == "LiteEFG" else "")
    return compare(name, "solutions/s", solving(target), theirs, pairs)


def iterations_row(name: str) -> Callable[[int, int], Row]:
    return lambda pairs, threads: against_open_spiel(name, pairs)


def solution_row(target: float, against: str) -> Callable[[int, int], Row]:
    return lambda pairs, threads: to_exploitability(target, against, pairs)


ROWS: dict[str, Callable[[int, int], Row]] = {
    **{f"cfr-{name}": iterations_row(name) for name in WORKS},
    "cfr-leduc-history": lambda pairs, threads: history_against_open_spiel(pairs),
    "cfr-leduc-liteefg": lambda pairs, threads: against_liteefg(pairs),
    **mccfr.ROWS,
    "nash-conv-leduc": lambda pairs, threads: evaluating("leduc_poker", pairs),
    "leduc-1e-4": solution_row(1e-4, "OpenSpiel"),
    "leduc-1e-6": solution_row(1e-6, "OpenSpiel"),
    "leduc-1e-4-liteefg": solution_row(1e-4, "LiteEFG"),
    "leduc-1e-6-liteefg": solution_row(1e-6, "LiteEFG"),
}

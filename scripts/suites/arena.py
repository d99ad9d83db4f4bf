"""Matches of random players of connect four on one processor, games/s: ours in lockstep, OpenSpiel's one after another.

Our players are Python objects that choose for a batch. OpenSpiel's `pyspiel.evaluate_bots` plays in C++, with
python-bots   bots written in Python, as whoever brings an own player has to
native-bots   its own bots in C++
Its `open_spiel.python.algorithms.evaluate_bots` plays in Python:
python-loop   with its own bots in Python
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from agents.arena.match import play, streams
from agents.arena.players import Random
from envs.games.make import make_game
from experiment.seeding import Seeds
from scripts.suites.learners import peer
from scripts.suites.pairs import Row, Side, Trial, compare, rate

GROUPS = 10_000  # openings of our matches, two games each
THEIRS = 2_000  # games of theirs


@contextmanager
def lockstep() -> Iterator[Trial]:
    game = make_game("connect_four")
    players = [Random(game), Random(game, "random (2)")]

    def run() -> None:
        play(game, players, GROUPS, streams(Seeds(0), [player.name for player in players]), plies=0)

    run()
    yield lambda: rate(2 * GROUPS, run)


@contextmanager
def one_by_one(kind: str) -> Iterator[Trial]:
    import pyspiel

    game, rng = pyspiel.load_game("connect_four"), np.random.default_rng(0)
    evaluate: Any = pyspiel.evaluate_bots
    seeds: Any = range(THEIRS)
    if kind == "native-bots":
        bots = [pyspiel.make_uniform_random_bot(seat, seat) for seat in (0, 1)]
    elif kind == "python-bots":
        bots = [python_bot(pyspiel.Bot, rng) for _ in (0, 1)]
    else:
        from open_spiel.python.algorithms.evaluate_bots import evaluate_bots
        from open_spiel.python.bots.uniform_random import UniformRandomBot

        bots = [UniformRandomBot(seat, rng) for seat in (0, 1)]
        evaluate, seeds = evaluate_bots, [rng] * THEIRS
    yield lambda: rate(THEIRS, lambda: [evaluate(game.new_initial_state(), bots, seed) for seed in seeds])


def python_bot(base: Any, rng: np.random.Generator) -> Any:
    """A pyspiel.Bot that chooses uniformly among the legal actions."""

    class Uniform(base):
        def __init__(self) -> None:
            base.__init__(self)

        def restart_at(self, state: Any) -> None: ...

        def step(self, state: Any) -> int:
            legal = state.legal_actions()
            return int(legal[int(rng.random() * len(legal))])

    return Uniform()


def arena(kind: str, pairs: int, threads: int) -> Row:
    theirs = Side(f"{peer('open_spiel', 'pyspiel')}, {kind}", lambda: one_by_one(kind))
    row = compare(kind, "games/s", Side(f"ours, {2 * GROUPS} games in lockstep", lockstep), theirs, pairs)
    return row if kind == "native-bots" else row.expect("a ratio of at least 50", row.ratio >= 50)


ROWS: dict[str, Callable[[int, int], Row]] = {
    kind: partial(arena, kind) for kind in ("python-bots", "python-loop", "native-bots")
}

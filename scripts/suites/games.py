"""Games and search on one processor: native rules and our search against OpenSpiel.

random-*    uniformly random games, plies/s, of all native games, in `scripts/suites/random_play.py`: ours compiled,
            OpenSpiel driven from Python.
lockstep-*  the same, but ours driven from Python too: 1024 games at once through the `Game` interface, ply by ply.
mcts-*      MCTS with random rollouts, simulations/s, at so many simulations for each move: ours for 32 positions in one
            call, OpenSpiel's C++ MCTSBot for one. The same UCB constant, one rollout for each leaf, nothing solved.
gumbel      Gumbel search of 256 games of connect four with 32 simulations and a residual network of 4 blocks of 64
            filters, in bfloat16: evaluations/s of the search, against those of the network alone on batches of 256.
            And, with a network that takes no time, what one simulation of all 256 games costs beside it.
selfplay-*  AlphaZero's actor against those of others, moves/s, in `scripts/suites/selfplay.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from agents.search.config import SearchOptions
from agents.search.dynamics import dynamics_of
from agents.search.evaluators import Forward, NetworkEvaluator
from agents.search.rollouts import Rollouts
from agents.search.search import Search
from envs.api import TERMINAL, Array, Game
from envs.games.make import make_game
from envs.games.native import NativeGame
from scripts.suites import random_play, selfplay
from scripts.suites.learners import peer
from scripts.suites.pairs import Absent, Row, Side, Trial, compare, rate
from scripts.suites.selfplay import WORK, alone, network, replica

UCB_C = 2.0
MCTS = {  # the game's name, simulations for each move, and the ratio that is asked
    "tic_tac_toe": ("tic_tac_toe", 1000, None),
    "connect_four": ("connect_four", 1000, 3.0),
    "othello": ("othello", 200, 1.0),
    "hex": ("hex(board_size=7)", 1000, 1.0),
    "go": ("go(board_size=9)", 200, 1.0),
}
LOCKSTEP = ("connect_four", "othello")


def native(name: str) -> NativeGame:
    game = make_game(name)
    if not isinstance(game, NativeGame):
        raise Absent(f"{name} has no native rules")
    return game


# Random play ---------------------------------------------------------------------------------------------------------


def lockstep(game: Game, games: int, rng: np.random.Generator) -> int:
    """Play so many random games to their ends, all at once. Returns their plies."""
    positions, plies = game.initial(games), 0
    while len(positions):
        legal = game.legal(positions)
        actions = (rng.random(legal.shape, np.float32) * legal).argmax(1)
        plies += len(positions)
        positions = game.step(positions, actions)
        positions = positions[game.seat(positions) != TERMINAL]
    return plies


def one_by_one(game: Any, games: int, rng: np.random.Generator) -> int:
    """The same with pyspiel's states."""
    plies = 0
    for _ in range(games):
        state = game.new_initial_state()
        while not state.is_terminal():
            legal = state.legal_actions()
            state.apply_action(legal[int(rng.random() * len(legal))])
            plies += 1
    return plies


@contextmanager
def plies(play: Callable[[int, np.random.Generator], int], games: int) -> Iterator[Trial]:
    rng = np.random.default_rng(0)
    play(games, rng)

    def trial() -> float:
        begin = time.perf_counter()
        return play(games, rng) / (time.perf_counter() - begin)

    yield trial


def in_lockstep(name: str, pairs: int, threads: int) -> Row:
    label = peer("open_spiel", "pyspiel")
    import pyspiel

    game, theirs = native(name), pyspiel.load_game(name)
    ours = Side("ours, 1024 games in lockstep", lambda: plies(lambda n, rng: lockstep(game, n, rng), 1024))
    other = Side(f"{label}, driven from Python", lambda: plies(lambda n, rng: one_by_one(theirs, n, rng), 1000))
    return compare(f"lockstep-{name}", "plies/s", ours, other, pairs)


# MCTS ----------------------------------------------------------------------------------------------------------------


@contextmanager
def searched(game: NativeGame, simulations: int) -> Iterator[Trial]:
    search = Search(dynamics_of(game), SearchOptions(selection="ucb1", simulations=simulations, ucb_c=UCB_C))
    evaluator, positions, rng = Rollouts(game), game.initial(32), np.random.default_rng(0)

    def run() -> None:
        search.run(positions, evaluator, rng.integers(0, 2**64, 32, np.uint64))

    run()
    yield lambda: rate(32 * simulations, run)


@contextmanager
def stepped(name: str, simulations: int) -> Iterator[Trial]:
    import pyspiel

    game = pyspiel.load_game(name)
    evaluator = pyspiel.RandomRolloutEvaluator(1, 0)
    bot = pyspiel.MCTSBot(game, evaluator, UCB_C, simulations, 1000, False, 0, False)
    state = game.new_initial_state()
    yield lambda: rate(8 * simulations, lambda: [bot.step(state) for _ in range(8)])


def mcts(key: str, pairs: int, threads: int) -> Row:
    label = peer("open_spiel", "pyspiel")
    name, simulations, asked = MCTS[key]
    game = native(name)
    row = compare(
        f"mcts-{key}",
        "simulations/s",
        Side(f"ours, {simulations} simulations", lambda: searched(game, simulations)),
        Side(f"{label} MCTSBot (C++)", lambda: stepped(name, simulations)),
        pairs,
    )
    return row if asked is None else row.expect(f"a ratio of at least {asked:g}", row.ratio >= asked)


# Search with a network -----------------------------------------------------------------------------------------------


@contextmanager
def planned(game: Game, forward: Forward) -> Iterator[Trial]:
    search = Search(dynamics_of(game), SearchOptions(selection="gumbel", simulations=32))
    network, rng, positions = NetworkEvaluator(game, forward), np.random.default_rng(0), game.initial(256)

    def trial() -> float:
        before, begin = network.evaluated, time.perf_counter()
        search.run(positions, network, rng.integers(0, 2**64, 256, np.uint64), explore=True)
        return (network.evaluated - before) / (time.perf_counter() - begin)

    trial()
    yield trial


def gumbel(pairs: int, threads: int) -> Row:
    game = native("connect_four")
    forward = replica(game, network(WORK))
    row = compare(
        "gumbel",
        "evaluations/s",
        Side("search, 256 games, 32 simulations", lambda: planned(game, forward)),
        Side("the network alone, 256 positions", lambda: alone(game, forward)),
        pairs,
    )
    logits, values = np.zeros((256, game.spec.actions), np.float32), np.zeros((256, 1), np.float32)

    def instant(obs: Array, seat: Array) -> tuple[Array, Array]:
        return logits[: len(obs)], values[: len(obs)]

    with planned(game, instant) as free:
        beside = 256 / max(free() for _ in range(5))  # seconds, for a simulation of all games
    spent = 1 / row.ratio - 1
    what = f"it is {spent:.1%}, and {1000 * beside:.2f} ms for each simulation of 256 games"
    return row.expect(f"less than 25 % and 1.5 ms beside the network: {what}", spent < 0.25 and beside < 1.5e-3)


ROWS: dict[str, Callable[[int, int], Row]] = {
    **random_play.ROWS,
    **{f"lockstep-{name}": partial(in_lockstep, name) for name in LOCKSTEP},
    **{f"mcts-{key}": partial(mcts, key) for key in MCTS},
    "gumbel": gumbel,
    **selfplay.ROWS,
}

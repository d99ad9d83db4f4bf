"""Random play of the native games: plies per second, against pyspiel driven from Python. Both sides use one thread.

`random-*`: compiled code plays whole games one after another, with the kernels that a search uses; theirs is
`state.apply_action(random.choice(state.legal_actions()))` until the end. Chance outcomes count as plies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from envs.api import Array
from envs.games.make import make_game
from envs.games.native import NativeGame, play, random_action
from envs.games.rules import is_over, kernel
from scripts.suites.learners import peer
from scripts.suites.pairs import Row, Side, Trial, compare, rate

GAMES = {
    "tic_tac_toe": "tic_tac_toe",
    "connect_four": "connect_four",
    "othello": "othello",
    "hex_7x7": "hex(board_size=7)",
    "hex_11x11": "hex",
    "breakthrough": "breakthrough",
    "go_5x5": "go(board_size=5)",
    "go_9x9": "go(board_size=9)",
    "go_19x19": "go",
    "kuhn_poker": "kuhn_poker",
    "leduc_poker": "leduc_poker",
}
ASKED = 20  # ratio of compiled random play
PLIES, BY_HAND = 2_000_000, 100_000  # at least so many in a trial of compiled code, and in one of Python


@kernel
def random_games(kind: int, board: Array, start: Array, plies: int, streams: Array, actions: Array) -> int:
    """Play whole games until there were so many plies; return how many there were."""
    position, played = start.copy(), 0
    while played < plies:
        position[:] = start
        while not is_over(position):
            play(kind, board, position, random_action(kind, board, position, actions, streams, 0))
            played += 1
    return played


def measured(work: Callable[[], int]) -> float:
    """The rate of work that tells how much it was."""
    amount = 0

    def counted() -> None:
        nonlocal amount
        amount = work()

    alone = rate(1, counted)
    return amount * alone


def native(name: str) -> NativeGame:
    game = make_game(name)
    assert isinstance(game, NativeGame)
    return game


def compiled(name: str) -> Side:
    rules = native(name).rules

    @contextmanager
    def start() -> Iterator[Trial]:
        streams, actions = np.zeros(1, np.uint64), np.empty(rules.spec.actions, np.int64)
        random_games(rules.kind, rules.board, rules.start, 1, streams, actions)
        yield lambda: measured(lambda: random_games(rules.kind, rules.board, rules.start, PLIES, streams, actions))

    return Side("Sparring, compiled", start)


def open_spiel(name: str) -> Side:
    label = peer("open_spiel", "pyspiel")
    import pyspiel

    game, chance = pyspiel.load_game(name), random.Random(0)

    def work() -> int:
        played = 0
        while played < BY_HAND:
            state = game.new_initial_state()
            while not state.is_terminal():
                state.apply_action(chance.choice(state.legal_actions()))
                played += 1
        return played

    @contextmanager
    def start() -> Iterator[Trial]:
        yield lambda: measured(work)

    return Side(f"{label} from Python", start)


def random_row(short: str) -> Callable[[int, int], Row]:
    def row(pairs: int, threads: int) -> Row:
        found = compare(f"random-{short}", "plies/s", compiled(GAMES[short]), open_spiel(GAMES[short]), pairs)
        return found.expect(f">= {ASKED}x", found.ratio >= ASKED)

    return row


ROWS: dict[str, Callable[[int, int], Row]] = {f"random-{short}": random_row(short) for short in GAMES}

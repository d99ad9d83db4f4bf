"""OpenSpiel's bots as players: its MCTS, and chess engines that speak UCI.

They read pyspiel states, so their `game` is an OpenSpielGame; a match keeps such states beside its own positions.
https://github.com/google-deepmind/open_spiel
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from agents.records import Carry, forgets
from envs.api import Array, Positions
from envs.games.open_spiel import OpenSpielGame

EXPLORATION = 2.0  # uct_c, as in OpenSpiel's own examples
MEMORY_MB = 1000
MILLISECONDS = 100  # for a move of a chess engine that is given no time


def open_spiel_bot(name: str, game: Any) -> OpenSpielMcts | UciEngine:
    """openspiel:mcts:SIMULATIONS, or openspiel:uci:PROGRAM[:MILLISECONDS]; `game` is an OpenSpielGame.

    Raises ValueError for anything else.
    """
    kind, _, argument = name.removeprefix("openspiel:").partition(":")
    if kind == "mcts" and argument.isdecimal() and argument.strip("0"):
        if len(argument) > 9:  # OpenSpiel's int would hold twice as many
            raise ValueError(f"player {name!r}: {argument} simulations are too many, expected at most {10**9 - 1}")
        return OpenSpielMcts(game, int(argument), name)
    if kind == "uci":
        return _uci(game, argument, name)
    raise ValueError(f"player {name!r}: expected openspiel:mcts:SIMULATIONS or openspiel:uci:PROGRAM[:MILLISECONDS]")


def _uci(game: OpenSpielGame, argument: str, name: str) -> UciEngine:
    program, _, milliseconds = argument.partition(":")
    if game.spec.name.partition("(")[0] != "chess":
        raise ValueError(f"player {name!r}: engines that speak UCI play chess, not {game.spec.name}")
    if shutil.which(program) is None:
        raise ValueError(f"player {name!r}: there is no program {program!r}")
    if milliseconds and not (milliseconds.isdigit() and int(milliseconds)):
        raise ValueError(f"player {name!r}: {milliseconds!r} is no number of milliseconds")
    return UciEngine(game, program, int(milliseconds or MILLISECONDS), name)


class OpenSpielMcts:
    """OpenSpiel's search in C++ with one random rollout for each simulation, and proven results backed up."""

    def __init__(self, game: OpenSpielGame, simulations: int, name: str) -> None:
        if not game.spec.perfect_information:
            raise ValueError(f"player {name!r}: this search looks at hidden cards, and {game.spec.name} has some")
        self.game, self.simulations, self.name = game, simulations, name

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        """The bot is made anew: its luck comes from `rng`, and not from what it was asked before."""
        import pyspiel

        rollouts = pyspiel.RandomRolloutEvaluator(1, int(rng.integers(2**31)))
        game, seed = positions[0].get_game(), int(rng.integers(2**31))
        bot = pyspiel.MCTSBot(game, rollouts, EXPLORATION, self.simulations, MEMORY_MB, True, seed, False)
        return carry, np.array([bot.step(position) for position in positions], np.int64)


class UciEngine:
    """A chess engine that runs as a program of its own, given so many milliseconds for each move."""

    def __init__(self, game: OpenSpielGame, program: str, milliseconds: int, name: str) -> None:
        import pyspiel

        self.game, self.name = game, name
        self._bot = pyspiel.make_uci_bot(program, milliseconds, False, {})

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        moves = []
        for position in positions:
            self._bot.restart_at(position)
            moves.append(self._bot.step(position))
        return carry, np.array(moves, np.int64)

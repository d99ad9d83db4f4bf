"""Backward induction: the exact value of every position of a small game, ply by ply from its end.

    solution = solve(make_game("tic_tac_toe"))
    solution.value                      # [0, 0]: a draw
    solution.positions                  # 5478
    solution.lookup(positions)          # [n, P] values of positions of the game

Zermelo (1913), "Über eine Anwendung der Mengenlehre auf die Theorie des Schachspiels"; with chance nodes and more than
two seats this finds a subgame-perfect equilibrium, the one in which ties go to the first of the best actions.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from envs.api import CHANCE, TERMINAL, Array, Game, Positions

BATCH = 1 << 18  # edges made at once, so that masks [positions, A] stay small


class TooLarge(ValueError):
    """The game has more positions than were allowed."""


class Links(NamedTuple):
    """The moves from one ply to the next, in the order of their parents."""

    parent: Array  # [E] index among the positions of the ply
    action: Array  # [E]
    child: Array  # [E] index among the positions of the next ply
    probability: Array  # [E] of an outcome of chance; 1 for a move


class Ply(NamedTuple):
    """The distinct positions that a game can be in after so many moves, outcomes of chance counted as moves."""

    positions: Positions  # [n, ...]
    seat: Array  # [n]
    paths: Array  # [n] float64: in how many ways the game comes here; exact up to 2**53
    edges: Links


class PositionValues:
    """The values of all positions of a game. A position that comes up at two plies is counted, and solved, twice."""

    def __init__(self, game: Game, plies: list[Ply], values: list[Array]) -> None:
        self.game, self.plies, self.values = game, plies, values
        self._table: dict[object, Array] = {}

    @property
    def value(self) -> Array:
        """[P] what each seat gets from the start."""
        start: Array = self.values[0][0]
        return start

    @property
    def positions(self) -> int:
        return sum(len(ply.seat) for ply in self.plies)

    @property
    def tree_nodes(self) -> int:
        """Positions with the moves that led to them, the first one included."""
        return int(sum(ply.paths.sum() for ply in self.plies))

    @property
    def games(self) -> Counter[tuple[float, ...]]:
        """How many different games end in which returns."""
        ends: Counter[tuple[float, ...]] = Counter()
        for ply, values in zip(self.plies, self.values, strict=True):
            over = ply.seat == TERMINAL
            for returns, paths in zip(values[over].tolist(), ply.paths[over].tolist(), strict=True):
                ends[tuple(returns)] += int(paths)
        return ends

    def lookup(self, positions: Positions) -> Array:
        """[n, P] values of positions of a native game. Raises KeyError for one that the game can't come to."""
        if positions.ndim != 2:
            raise ValueError(f"{self.game.spec.name} is not native: its positions can't be told from one another")
        if not self._table:
            for ply, values in zip(self.plies, self.values, strict=True):
                self._table.update(zip(_keys(ply.positions).tolist(), values, strict=True))
        return np.stack([self._table[key] for key in _keys(positions).tolist()])


def solve(game: Game, limit: int = 1_000_000) -> PositionValues:
    """Find every position and its value. Raises TooLarge (see `walk`), and ValueError if there are secrets."""
    plies = walk(game, limit)
    values = [game.returns(plies[-1].positions)]
    for ply in reversed(plies[:-1]):
        values.append(_back_up(game, ply, values[-1]))
    return PositionValues(game, plies, values[::-1])


def walk(game: Game, limit: int) -> list[Ply]:
    """All positions of a game of perfect information, ply by ply, with the moves between them.

    Raises TooLarge beyond `limit` positions in all, or twice as many moves at one ply.
    """
    if not game.spec.perfect_information:
        raise ValueError(f"{game.spec.name} has hidden information, backward induction needs to see everything")
    plies: list[Ply] = []
    positions, total = game.initial(1), 0
    paths: Array = np.ones(1)
    while len(positions):
        seat = game.seat(positions)
        total += len(seat)
        parent, action, probability = moves(game, positions, seat)
        if total > limit or len(parent) > 2 * limit:
            raise TooLarge(f"{game.spec.name} has too many positions: more than {limit}, or {2 * limit} moves at a ply")
        following, child = distinct(game.step(positions[parent], action))
        plies.append(Ply(positions, seat, paths, Links(parent, action, child, probability)))
        positions, paths = following, np.bincount(child, paths[parent], len(following))
    return plies


def moves(game: Game, positions: Positions, seat: Array) -> tuple[Array, Array, Array]:
    """Every legal move of n positions: [E] which position, [E] the action, [E] its probability if chance moves."""
    rows = max(1, BATCH // game.spec.actions)
    found: list[tuple[Array, Array, Array]] = []
    for start in range(0, max(1, len(positions)), rows):
        some = positions[start : start + rows]
        parent, action = game.legal(some).nonzero()
        lucky = seat[start + parent] == CHANCE
        probability = np.ones(len(parent))
        if lucky.any():
            probability[lucky] = game.chance(some)[parent[lucky], action[lucky]]
        found.append((start + parent, action, probability))
    parent, action, probability = (np.concatenate(part) for part in zip(*found, strict=True))
    return parent, action, probability


def distinct(positions: Positions) -> tuple[Positions, Array]:
    """Positions without repetition, and for each of the n given which of them it is, [n].

    Only native games say what makes two positions the same. Others are all told apart: what OpenSpiel tells of a state
    need not mention the turns that are left.
    """
    if positions.ndim == 1 or len(positions) == 0:
        return positions, np.arange(len(positions))
    _, first, which = np.unique(_keys(positions), return_index=True, return_inverse=True)
    return positions[first], which


def _keys(positions: Positions) -> Array:
    """[n] the rows of native games, each as one thing that can be compared."""
    rows = np.ascontiguousarray(positions)
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()


def _back_up(game: Game, ply: Ply, following: Array) -> Array:
    """[n, P] values of a ply from those of the next: the mover's best, or what chance brings on average."""
    parent, _, child, probability = ply.edges
    values = game.returns(ply.positions)
    values[ply.seat != TERMINAL] = 0
    lucky = ply.seat[parent] == CHANCE
    np.add.at(values, parent[lucky], probability[lucky, None] * following[child[lucky]])
    parent, child = parent[~lucky], child[~lucky]
    if len(parent):
        own = following[child, ply.seat[parent]]
        starts = np.flatnonzero(np.diff(parent, prepend=-1))
        best = np.repeat(np.maximum.reduceat(own, starts), np.diff(starts, append=len(parent)))
        chosen = np.flatnonzero(own == best)
        chosen = chosen[np.diff(parent[chosen], prepend=-1) > 0]  # the first best action of each
        values[parent[chosen]] = following[child[chosen]]
    return values

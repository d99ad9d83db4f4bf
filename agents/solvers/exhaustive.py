"""A player against every opponent: each line that the rules allow the others, not a sample of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.api import Player, fresh
from agents.solvers.backward_induction import TooLarge, distinct, moves
from envs.api import TERMINAL, Array, Game
from experiment.stop import unless_stopped


class Exhausted(NamedTuple):
    """How a player fares over all lines of play."""

    worst: float  # the least that the player's seat gets in any line
    lines: int  # games that differ in a move; exact up to 2**53
    losses: int  # lines in which the seat gets less than 0
    draws: int
    positions: int  # in which the player was asked
    refutation: list[int] | None  # the actions of a line in which it loses


class _Ply(NamedTuple):
    """For each position, the one before it by which the first line found came here, and the action there."""

    parent: Array
    action: Array


def play_every_line(
    game: Game, player: Player, seat: int, rng: np.random.Generator, limit: int = 5_000_000
) -> Exhausted:
    """Play `seat` by a player against every move of the others and every outcome of chance.

    The player is asked once for each position, all of a ply in one call: if it draws lots it is held to what it drew.
    Raises TooLarge when more than `limit` positions are met, Stopped where a run is told to stop.
    """
    positions, total, asked = game.initial(1), 0, 0
    lines: Array = np.ones(1)
    worst, counts, refutation = np.inf, np.zeros(3), None
    plies: list[_Ply] = []
    while len(positions):
        unless_stopped()
        total += len(positions)
        if total > limit:
            raise TooLarge(f"{game.spec.name}: more than {limit} positions against {player.name}")
        mover = game.seat(positions)
        over, own = mover == TERMINAL, np.flatnonzero(mover == seat)
        if over.any():
            result = game.returns(positions)[over, seat]
            worst = min(worst, float(result.min()) + 0.0)  # no -0.0
            counts += [lines[over][part].sum() for part in (result < 0, result == 0, result > 0)]
            if refutation is None and worst < 0:
                refutation = _line(plies, int(np.flatnonzero(over)[result.argmin()]))
        parent, action, _ = moves(game, positions[mover != seat], mover[mover != seat])
        parent = np.flatnonzero(mover != seat)[parent]
        if len(own):
            asked += len(own)
            parent = np.concatenate([parent, own])
            action = np.concatenate([action, fresh(player, positions[own], rng)])
        positions, child = distinct(game.step(positions[parent], action))
        lines = np.bincount(child, lines[parent], len(positions))
        first = np.zeros(len(positions), np.int64)
        first[child[::-1]] = np.arange(len(child))[::-1]
        plies.append(_Ply(parent[first], action[first]))
    losses, draws, wins = counts.astype(int).tolist()
    return Exhausted(worst, losses + draws + wins, losses, draws, asked, refutation)


def _line(plies: list[_Ply], index: int) -> list[int]:
    """The actions that lead to a position of the ply after `plies`."""
    actions = []
    for ply in reversed(plies):
        actions.append(int(ply.action[index]))
        index = int(ply.parent[index])
    return actions[::-1]

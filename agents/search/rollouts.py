"""Random play to the end of the game: as an evaluator of leaves, and inside a search that is one call of compiled code.

The compiled search gives a node its children at its second visit, since most nodes are never visited again. Nothing is
known of an action before it is tried: all priors are equal.
"""

from __future__ import annotations

import numpy as np

from agents.search.api import Estimate
from agents.search.descent import CHAIN, descend, exact_into, has_room, open_evenly
from agents.search.gumbel import Plan
from agents.search.kernels import inner, kernel
from agents.search.selection import SelectionRule
from agents.search.tree import SearchTree, back_up
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from envs.games.native import NativeGame, payoff, play, random_action
from envs.games.rules import is_over
from envs.streams import draw, seed


@inner
def rollouts_into(
    kind: int,
    board: Array,
    position: Array,
    times: int,
    streams: Array,
    row: int,
    working: Array,
    actions: Array,
    values: Array,
) -> None:
    """Write the mean returns of so many random games from `position`, which is left alone.

    `working` [W] and `actions` [A] are scratch. The outcomes of chance are equally likely in native games.
    """
    total = 0.0
    for _ in range(times):
        for index in range(len(position)):
            working[index] = position[index]
        while not is_over(working):
            play(kind, board, working, random_action(kind, board, working, actions, streams, row))
        total += payoff(kind, board, working)
    values[0] = total / times
    values[1] = -values[0]


@kernel
def begin_roots(
    kind: int,
    board: Array,
    tree: SearchTree,
    rule: SelectionRule,
    streams: Array,
    rows: Array,
    positions: Array,
    times: int,
    scratch: Array,
) -> None:
    """Evaluate and expand the roots of `rows`, whose trees are clear. `scratch` is int64 [A]."""
    values, priors, working = np.empty(2), np.empty(len(scratch)), np.empty(positions.shape[1], np.uint64)
    for index in range(len(rows)):
        row, position = rows[index], positions[index]
        rollouts_into(kind, board, position, times, streams, row, working, scratch, values)
        branch = open_evenly(kind, board, tree, rule, streams, row, 0, -1, position, scratch, priors)
        tree.raw[row, branch] = values[tree.seat[row, branch]]
        back_up(tree, row, 0, -1, values, rule.proven, rule.most)


@kernel
def play_out(
    kind: int,
    board: Array,
    tree: SearchTree,
    rule: SelectionRule,
    plan: Plan,
    streams: Array,
    budgets: Array,
    made: Array,
    times: int,
    scratch: Array,
) -> bool:
    """Whole simulations in every row until `made` [B] is `budgets` [B], or its root is solved where that is asked.

    Returns False where a row has no room left: give it more, and go on. `scratch` is int64 [A].
    """
    values, priors = np.empty(2), np.empty(len(scratch))
    words = tree.position.shape[2]
    position, working = np.empty(words, np.uint64), np.empty(words, np.uint64)
    for row in range(len(budgets)):
        while made[row] < budgets[row] and not tree.solved[row, 0]:
            if not has_room(tree, row, CHAIN, len(scratch)):
                return False
            node, parent = descend(kind, board, tree, rule, plan, streams, row, True, position, scratch, priors)
            if tree.solved[row, node]:
                exact_into(kind, board, tree, row, node, position, values)
            else:
                rollouts_into(kind, board, position, times, streams, row, working, scratch, values)
            back_up(tree, row, node, parent, values, rule.proven, rule.most)
            made[row] += 1
    return True


@kernel
def _estimate(
    kind: int, board: Array, positions: Array, times: int, streams: Array, scratch: Array, values: Array
) -> None:
    working = np.empty(positions.shape[1], np.uint64)
    for row in range(len(positions)):
        rollouts_into(kind, board, positions[row], times, streams, row, working, scratch, values[row])


@kernel
def _draw_rows(streams: Array, rows: Array, weights: Array, chosen: Array) -> None:
    for index in range(len(rows)):
        chosen[index] = draw(streams, rows[index], weights[index], weights.shape[1])


class Rollouts:
    """Values are means of `times` uniformly random games from each leaf; all actions are equally likely."""

    def __init__(self, game: Game, times: int = 1) -> None:
        if times < 1:
            raise ValueError(f"a leaf is evaluated by at least 1 rollout, not {times}")
        self.game, self.times = game, times

    def __call__(self, positions: Positions, seeds: Array) -> Estimate:
        spec, n = self.game.spec, len(positions)
        values = np.zeros((n, spec.seats))
        streams = np.empty(n, np.uint64)
        seed(seeds, streams)
        if isinstance(self.game, NativeGame):
            rules, scratch = self.game.rules, np.empty(spec.actions, np.int64)
            _estimate(rules.kind, rules.board, positions, self.times, streams, scratch, values)
        else:
            for _ in range(self.times):
                values += self._play(positions, streams) / self.times
        return Estimate(np.zeros((n, spec.actions), np.float32), values)

    def _play(self, positions: Positions, streams: Array) -> Array:
        """Returns [n, P] of one random game from each position, all in lockstep."""
        returns = np.zeros((len(positions), self.game.spec.seats))
        rows = np.arange(len(positions))
        while True:
            seats = self.game.seat(positions)
            over = seats == TERMINAL
            if over.any():
                returns[rows[over]] = self.game.returns(positions[over])
                rows, seats, positions = rows[~over], seats[~over], positions[~over]
            if not len(rows):
                return returns
            weights = self.game.legal(positions).astype(np.float64)
            if (luck := seats == CHANCE).any():
                weights[luck] = self.game.chance(positions[luck])
            chosen = np.empty(len(rows), np.int64)
            _draw_rows(streams, rows, weights, chosen)
            positions = self.game.step(positions, chosen)

"""Dynamics of a native game: simulations are compiled code, and with random rollouts nothing else."""

from __future__ import annotations

import numpy as np

from agents.search.api import Evaluator, Expanded, Leaves
from agents.search.descent import CHAIN, descend, exact_into, has_room
from agents.search.gumbel import Plan
from agents.search.kernels import kernel
from agents.search.leaves import checked, finite, movable, not_finite, room_for, roots, softmax, some
from agents.search.rollouts import Rollouts, begin_roots, play_out
from agents.search.selection import UCB1, SelectionRule
from agents.search.tree import SearchTree, back_up, expand
from envs.api import Array, Positions
from envs.games.native import NativeGame, legal_into
from envs.games.rules import to_move
from envs.streams import shuffle, word


@kernel
def _simulate(
    kind: int,
    board: Array,
    tree: SearchTree,
    rule: SelectionRule,
    plan: Plan,
    streams: Array,
    budgets: Array,
    made: Array,
    leaves: Leaves,
    scratch: Array,
) -> tuple[int, bool]:
    """Fill `leaves` from the top. Returns how many there are, and whether a row had no room to look for one."""
    values, priors, found, full = np.empty(2), np.empty(len(scratch)), 0, False
    for row in range(len(budgets)):
        while made[row] < budgets[row] and not tree.solved[row, 0]:
            if not has_room(tree, row, CHAIN, len(scratch)):
                full = True
                break
            position = leaves.position[found]
            node, parent = descend(kind, board, tree, rule, plan, streams, row, False, position, scratch, priors)
            made[row] += 1
            if tree.solved[row, node]:
                exact_into(kind, board, tree, row, node, position, values)
                back_up(tree, row, node, parent, values, rule.proven, rule.most)
            else:
                leaves.row[found], leaves.node[found], leaves.parent[found] = row, node, parent
                leaves.seed[found] = word(streams, row)
                found += 1
                break
    return found, full


@kernel
def _expand(
    kind: int,
    board: Array,
    tree: SearchTree,
    rule: SelectionRule,
    streams: Array,
    leaves: Leaves,
    logits: Array,
    values: Array,
    scratch: Array,
    branches: Array,
) -> int:
    """Expand n leaves over what is legal. Returns the first whose estimate is not finite, or -1."""
    priors = np.empty(len(scratch))
    for index in range(len(logits)):
        row, position = leaves.row[index], leaves.position[index]
        count = legal_into(kind, board, position, scratch)
        if rule.selection == UCB1:
            shuffle(streams, row, scratch, count)
        if not softmax(logits[index], scratch, count, priors) or not finite(values[index]):
            return index
        node, parent = leaves.node[index], leaves.parent[index]
        branch = expand(tree, row, node, parent, to_move(position), scratch, priors, count)
        for each in range(len(position)):
            tree.position[row, branch, each] = position[each]
        branches[index] = branch
    return -1


class NativeDynamics:
    """A native game (`agents.search.api.Dynamics`). Positions are in the tree.

    With `Rollouts` no leaf ever waits: all simulations of a row are one call of compiled code.
    """

    rewards = False

    def __init__(self, game: NativeGame) -> None:
        rules = game.rules
        self.game, self.spec = game, game.spec
        self.kind, self.board, self.words = rules.kind, rules.board, len(rules.start)
        self.scratch = np.empty(game.spec.actions, np.int64)

    def check(self, positions: Positions) -> None:
        movable(self.game, positions)

    def plant(self, rows: int) -> None:
        self.leaves = room_for(rows, np.empty((rows, self.words), np.uint64))

    def arrived(self, tree: SearchTree, positions: Positions) -> Array:
        same: Array = (tree.position[:, 0] == positions).all(1)
        return same

    def begin(
        self,
        tree: SearchTree,
        rule: SelectionRule,
        streams: Array,
        rows: Array,
        positions: Positions,
        evaluator: Evaluator,
    ) -> Leaves:
        times = rollouts(evaluator)
        if not times:
            return roots(rows, positions, streams)
        begin_roots(self.kind, self.board, tree, rule, streams, rows, positions, times, self.scratch)
        return some(self.leaves, slice(0))

    def simulate(
        self,
        tree: SearchTree,
        rule: SelectionRule,
        plan: Plan,
        streams: Array,
        budgets: Array,
        made: Array,
        evaluator: Evaluator,
    ) -> tuple[Leaves, bool]:
        kind, board, times = self.kind, self.board, rollouts(evaluator)
        if times:
            done = play_out(kind, board, tree, rule, plan, streams, budgets, made, times, self.scratch)
            return some(self.leaves, slice(0)), not done
        n, full = _simulate(kind, board, tree, rule, plan, streams, budgets, made, self.leaves, self.scratch)
        return some(self.leaves, slice(n)), full

    def expand(
        self, tree: SearchTree, rule: SelectionRule, streams: Array, leaves: Leaves, evaluator: Evaluator
    ) -> Expanded:
        logits, values = checked(self.spec, len(leaves.row), evaluator(leaves.position, leaves.seed))
        branches = np.empty_like(leaves.row)
        bad = _expand(self.kind, self.board, tree, rule, streams, leaves, logits, values, self.scratch, branches)
        if bad >= 0:
            raise not_finite(self.spec, logits, values, bad)
        return Expanded(branches, values)

    def moved(self, row: int, kept: Array) -> None:
        """Positions were moved with the tree."""


def rollouts(evaluator: Evaluator) -> int:
    """How many random games are one estimate, for the one evaluator that is compiled as well; 0 for all others."""
    return evaluator.times if isinstance(evaluator, Rollouts) else 0

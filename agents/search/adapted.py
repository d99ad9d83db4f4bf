"""Dynamics of any game: rows are moved by its `Game` interface, and the tree by compiled rules."""

from __future__ import annotations

import numpy as np

from agents.search.api import Evaluator, Expanded, Leaves
from agents.search.gumbel import Plan
from agents.search.kernels import kernel
from agents.search.leaves import checked, expand_rows, movable, not_finite, room_for, rooms, roots, some, walk_rows
from agents.search.selection import SelectionRule
from agents.search.tree import SearchTree, back_up, mean
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from envs.streams import words


@kernel
def _end_rows(tree: SearchTree, rule: SelectionRule, rows: Array, nodes: Array, parents: Array, values: Array) -> None:
    """Back up leaves that need no evaluator: solved before, or else the game has ended with `values` [n, P]."""
    for index in range(len(rows)):
        row, node = rows[index], nodes[index]
        if tree.visits[row, node] > 0:
            for seat in range(values.shape[1]):
                values[index, seat] = mean(tree, row, node, seat)
        tree.solved[row, node] = True
        back_up(tree, row, node, parents[index], values[index], rule.proven, rule.most)


class AdaptedDynamics:
    """Any game (`agents.search.api.Dynamics`). Positions are kept here, beside the tree."""

    words, rewards = 0, False

    def __init__(self, game: Game) -> None:
        self.game, self.spec = game, game.spec

    def check(self, positions: Positions) -> None:
        movable(self.game, positions)

    def plant(self, rows: int) -> None:
        self.positions: list[list[Positions]] = [[] for _ in range(rows)]  # [row][branch][1, ...]

    def arrived(self, tree: SearchTree, positions: Positions) -> Array:
        """Positions may be objects that can't be compared: it is taken on trust."""
        return np.ones(len(positions), bool)

    def begin(
        self,
        tree: SearchTree,
        rule: SelectionRule,
        streams: Array,
        rows: Array,
        positions: Positions,
        evaluator: Evaluator,
    ) -> Leaves:
        return roots(rows, positions, streams)

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
        before, full, waiting = streams.copy(), False, [room_for(0, self.game.initial(0))]
        rows = np.flatnonzero((made < budgets) & ~tree.solved[:, 0])
        starts = np.zeros_like(rows)
        while len(rows):
            nodes, parents = np.empty_like(rows), np.empty_like(rows)
            walk_rows(tree, rule, plan, streams, rows, starts, nodes, parents)
            leaves, seats, ended = self._step(tree, rule, rows, nodes, parents)
            made[ended] += 1
            before[ended] = streams[ended]
            room = np.empty(len(seats), bool)
            rooms(tree, leaves.row, self.spec.actions, room)
            streams[leaves.row[~room]] = before[leaves.row[~room]]
            full |= not room.all()
            lucky, chosen = some(leaves, room & (seats == CHANCE)), some(leaves, room & (seats != CHANCE))
            made[chosen.row] += 1
            waiting.append(chosen)
            ended = ended[(made[ended] < budgets[ended]) & ~tree.solved[ended, 0]]
            rows = np.concatenate([ended, lucky.row])
            starts = np.concatenate([np.zeros_like(ended), self._chance(tree, rule, streams, lucky)])
        found = Leaves._make(np.concatenate(fields) for fields in zip(*waiting, strict=True))
        words(streams, found.row, found.seed)
        return found, full

    def expand(
        self, tree: SearchTree, rule: SelectionRule, streams: Array, leaves: Leaves, evaluator: Evaluator
    ) -> Expanded:
        logits, values = checked(self.spec, len(leaves.row), evaluator(leaves.position, leaves.seed))
        seats, legal = self.game.seat(leaves.position), self.game.legal(leaves.position)
        branches = np.empty_like(leaves.row)
        row, node, parent = leaves.row, leaves.node, leaves.parent
        bad = expand_rows(tree, rule, streams, row, node, parent, seats, legal, logits, values, branches)
        if bad >= 0:
            raise not_finite(self.spec, logits, values, bad)
        self._keep(leaves, branches)
        return Expanded(branches, values)

    def moved(self, row: int, kept: Array) -> None:
        self.positions[row] = [self.positions[row][branch] for branch in kept]

    def _step(
        self, tree: SearchTree, rule: SelectionRule, rows: Array, nodes: Array, parents: Array
    ) -> tuple[Leaves, Array, Array]:
        """Play the moves that lead to leaves. Those without a future are backed up.

        Returns the others, who moves there, and the rows of those that were backed up.
        """
        fresh = np.flatnonzero(~tree.solved[rows, nodes])
        above = [self.positions[rows[index]][parents[index]] for index in fresh]
        actions = tree.action[rows[fresh], nodes[fresh]].astype(np.int64)
        positions = self.game.step(np.concatenate([self.game.initial(0), *above]), actions)
        seats = self.game.seat(positions)
        going = seats != TERMINAL
        values = np.zeros((len(rows), self.spec.seats))
        values[fresh[~going]] = self.game.returns(positions[~going])
        ended, left = np.setdiff1d(np.arange(len(rows)), fresh[going]), fresh[going]
        _end_rows(tree, rule, rows[ended], nodes[ended], parents[ended], values[ended])
        leaves = Leaves(rows[left], nodes[left], parents[left], positions[going], np.zeros(len(left), np.uint64))
        return leaves, seats[going], rows[ended]

    def _chance(self, tree: SearchTree, rule: SelectionRule, streams: Array, leaves: Leaves) -> Array:
        """Expand chance nodes, which are not evaluated. Returns their branches."""
        chance, branches = self.game.chance(leaves.position), np.empty_like(leaves.row)
        seats, values = np.full(len(leaves.row), CHANCE), np.zeros((len(leaves.row), self.spec.seats))
        logits = np.log(np.where(chance > 0, chance, 1.0))
        row, node, parent = leaves.row, leaves.node, leaves.parent
        expand_rows(tree, rule, streams, row, node, parent, seats, chance > 0, logits, values, branches)
        self._keep(leaves, branches)
        return branches

    def _keep(self, leaves: Leaves, branches: Array) -> None:
        for index, (row, branch) in enumerate(zip(leaves.row, branches, strict=True)):
            del self.positions[row][branch:]
            self.positions[row].append(leaves.position[index : index + 1])

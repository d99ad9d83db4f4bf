"""One simulation of every row at a time: which leaves wait for the evaluator, and what happens when it has answered.

For native games all of it is compiled. For every other game rows are moved by the `Game` interface, and the tree by the
same compiled rules. Leaves that need no evaluator are backed up at once, and the row tries again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from agents.search.api import Estimate
from agents.search.descent import CHAIN, descend, exact_into, has_room
from agents.search.gumbel import Plan
from agents.search.kernels import inner, kernel
from agents.search.selection import UCB1, Rule, walk
from agents.search.streams import shuffle, word, words
from agents.search.tree import Tree, backward, expand, mean
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from envs.games.native import NativeGame, legal_into
from envs.games.rules import to_move


class Leaves(NamedTuple):
    """n nodes that wait for the evaluator, at most one of each row."""

    row: Array  # [n] int64
    node: Array  # [n] int64
    parent: Array  # [n] int64: the branch above; -1 at the root
    position: Positions  # [n, ...]
    seed: Array  # [n] uint64


@kernel
def _find(
    kind: int,
    board: Array,
    tree: Tree,
    rule: Rule,
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
                backward(tree, row, node, parent, values, rule.proven, rule.most)
            else:
                leaves.row[found], leaves.node[found], leaves.parent[found] = row, node, parent
                leaves.seed[found] = word(streams, row)
                found += 1
                break
    return found, full


@inner
def _softmax(logits: Array, actions: Array, count: int, priors: Array) -> bool:
    """Write the softmax over `actions` to priors [count]. Returns False for logits that have none."""
    highest, total = -math.inf, 0.0
    for index in range(count):
        highest = max(highest, logits[actions[index]])
    for index in range(count):
        priors[index] = math.exp(logits[actions[index]] - highest)
        total += priors[index]
    for index in range(count):
        priors[index] /= total
    return math.isfinite(total)


@kernel
def _open(
    kind: int,
    board: Array,
    tree: Tree,
    rule: Rule,
    streams: Array,
    leaves: Leaves,
    n: int,
    logits: Array,
    values: Array,
    scratch: Array,
) -> int:
    """Expand and back up n leaves of a native game. Returns the first whose estimate is not finite, or -1."""
    priors = np.empty(len(scratch))
    for index in range(n):
        row, position = leaves.row[index], leaves.position[index]
        count = legal_into(kind, board, position, scratch)
        seat = to_move(position)
        if rule.selection == UCB1:
            shuffle(streams, row, scratch, count)
        if not _softmax(logits[index], scratch, count, priors) or not math.isfinite(values[index, seat]):
            return index
        branch = expand(tree, row, leaves.node[index], leaves.parent[index], seat, scratch, priors, count)
        tree.raw[row, branch] = values[index, seat]
        for each in range(len(position)):
            tree.position[row, branch, each] = position[each]
        backward(tree, row, leaves.node[index], leaves.parent[index], values[index], rule.proven, rule.most)
    return -1


class NativeLeaves:
    """Leaves of a native game."""

    def __init__(self, game: NativeGame, rows: int) -> None:
        rules, self.actions = game.rules, game.spec.actions
        self.kind, self.board, self.words = rules.kind, rules.board, len(rules.start)
        self.leaves = _room(rows, np.empty((rows, self.words), np.uint64))
        self.scratch = np.empty(self.actions, np.int64)

    def find(
        self, tree: Tree, rule: Rule, plan: Plan, streams: Array, budgets: Array, made: Array
    ) -> tuple[Leaves, bool]:
        """The next leaves, valid until the next call, and whether a row needs more room to go on."""
        n, full = _find(self.kind, self.board, tree, rule, plan, streams, budgets, made, self.leaves, self.scratch)
        return _some(self.leaves, slice(n)), full

    def open(self, tree: Tree, rule: Rule, streams: Array, leaves: Leaves, estimate: Estimate) -> int:
        """Expand and back up. Returns the first leaf whose estimate is not finite, or -1."""
        n, (logits, values) = len(leaves.row), estimate
        bad: int = _open(self.kind, self.board, tree, rule, streams, leaves, n, logits, values, self.scratch)
        return bad

    def moved(self, row: int, kept: Array) -> None:
        """Positions are in the tree, and moved with it."""


@kernel
def _walk_rows(
    tree: Tree, rule: Rule, plan: Plan, streams: Array, rows: Array, starts: Array, nodes: Array, parents: Array
) -> None:
    for index in range(len(rows)):
        nodes[index], parents[index] = walk(tree, rule, plan, streams, rows[index], starts[index])


@kernel
def _end_rows(tree: Tree, rule: Rule, rows: Array, nodes: Array, parents: Array, values: Array) -> None:
    """Back up leaves that need no evaluator: solved before, or else the game has ended with `values` [n, P]."""
    for index in range(len(rows)):
        row, node = rows[index], nodes[index]
        if tree.visits[row, node] > 0:
            for seat in range(values.shape[1]):
                values[index, seat] = mean(tree, row, node, seat)
        tree.solved[row, node] = True
        backward(tree, row, node, parents[index], values[index], rule.proven, rule.most)


@kernel
def _expand_rows(
    tree: Tree,
    rule: Rule,
    streams: Array,
    rows: Array,
    nodes: Array,
    parents: Array,
    seats: Array,
    legal: Array,
    logits: Array,
    branches: Array,
) -> int:
    """Expand n leaves over what is legal [n, A]. Returns the first whose logits are not finite, or -1."""
    actions, priors = np.empty(legal.shape[1], np.int64), np.empty(legal.shape[1])
    for index in range(len(rows)):
        count = 0
        for action in range(legal.shape[1]):
            if legal[index, action]:
                actions[count] = action
                count += 1
        row = rows[index]
        if rule.selection == UCB1 and seats[index] != CHANCE:
            shuffle(streams, row, actions, count)
        if not _softmax(logits[index], actions, count, priors):
            return index
        branches[index] = expand(tree, row, nodes[index], parents[index], seats[index], actions, priors, count)
    return -1


@kernel
def _back_up_rows(
    tree: Tree, rule: Rule, rows: Array, nodes: Array, parents: Array, branches: Array, values: Array
) -> None:
    for index in range(len(rows)):
        row, branch = rows[index], branches[index]
        tree.raw[row, branch] = values[index, tree.seat[row, branch]]
        backward(tree, row, nodes[index], parents[index], values[index], rule.proven, rule.most)


@kernel
def _rooms(tree: Tree, rows: Array, actions: int, room: Array) -> None:
    for index in range(len(rows)):
        room[index] = has_room(tree, rows[index], 1, actions)


class AdaptedLeaves:
    """Leaves of any game, moved by its `Game` interface. Positions are kept here, beside the tree."""

    words = 0

    def __init__(self, game: Game, rows: int) -> None:
        self.game = game
        self.positions: list[list[Positions]] = [[] for _ in range(rows)]  # [row][branch][1, ...]

    def find(
        self, tree: Tree, rule: Rule, plan: Plan, streams: Array, budgets: Array, made: Array
    ) -> tuple[Leaves, bool]:
        """The next leaves, and whether a row needs more room to go on."""
        before, full, waiting = streams.copy(), False, [_room(0, self.game.initial(0))]
        rows = np.flatnonzero((made < budgets) & ~tree.solved[:, 0])
        starts = np.zeros_like(rows)
        while len(rows):
            nodes, parents = np.empty_like(rows), np.empty_like(rows)
            _walk_rows(tree, rule, plan, streams, rows, starts, nodes, parents)
            leaves, seats, ended = self._step(tree, rule, rows, nodes, parents)
            made[ended] += 1
            before[ended] = streams[ended]
            room = np.empty(len(seats), bool)
            _rooms(tree, leaves.row, self.game.spec.actions, room)
            streams[leaves.row[~room]] = before[leaves.row[~room]]
            full |= not room.all()
            lucky, chosen = _some(leaves, room & (seats == CHANCE)), _some(leaves, room & (seats != CHANCE))
            made[chosen.row] += 1
            waiting.append(chosen)
            ended = ended[(made[ended] < budgets[ended]) & ~tree.solved[ended, 0]]
            rows = np.concatenate([ended, lucky.row])
            starts = np.concatenate([np.zeros_like(ended), self._chance(tree, rule, streams, lucky)])
        found = Leaves._make(np.concatenate(fields) for fields in zip(*waiting, strict=True))
        words(streams, found.row, found.seed)
        return found, full

    def open(self, tree: Tree, rule: Rule, streams: Array, leaves: Leaves, estimate: Estimate) -> int:
        """Expand and back up. Returns the first leaf whose estimate is not finite, or -1."""
        logits, values = estimate
        if not (finite := np.isfinite(values).all(1)).all():
            return int(finite.argmin())
        seats, legal = self.game.seat(leaves.position), self.game.legal(leaves.position)
        branches = np.empty_like(leaves.row)
        bad: int = _expand_rows(
            tree, rule, streams, leaves.row, leaves.node, leaves.parent, seats, legal, logits, branches
        )
        if bad < 0:
            self._keep(leaves, branches)
            _back_up_rows(tree, rule, leaves.row, leaves.node, leaves.parent, branches, values)
        return bad

    def moved(self, row: int, kept: Array) -> None:
        """Only these branches of a row are left, in this order."""
        self.positions[row] = [self.positions[row][branch] for branch in kept]

    def _step(self, tree: Tree, rule: Rule, rows: Array, nodes: Array, parents: Array) -> tuple[Leaves, Array, Array]:
        """Play the moves that lead to leaves. Those without a future are backed up.

        Returns the others, who moves there, and the rows of those that were backed up.
        """
        fresh = np.flatnonzero(~tree.solved[rows, nodes])
        above = [self.positions[rows[index]][parents[index]] for index in fresh]
        actions = tree.action[rows[fresh], nodes[fresh]].astype(np.int64)
        positions = self.game.step(np.concatenate([self.game.initial(0), *above]), actions)
        seats = self.game.seat(positions)
        going = seats != TERMINAL
        values = np.zeros((len(rows), self.game.spec.seats))
        values[fresh[~going]] = self.game.returns(positions[~going])
        ended, left = np.setdiff1d(np.arange(len(rows)), fresh[going]), fresh[going]
        _end_rows(tree, rule, rows[ended], nodes[ended], parents[ended], values[ended])
        leaves = Leaves(rows[left], nodes[left], parents[left], positions[going], np.zeros(len(left), np.uint64))
        return leaves, seats[going], rows[ended]

    def _chance(self, tree: Tree, rule: Rule, streams: Array, leaves: Leaves) -> Array:
        """Expand chance nodes, which are not evaluated. Returns their branches."""
        chance, branches = self.game.chance(leaves.position), np.empty_like(leaves.row)
        seats = np.full(len(leaves.row), CHANCE)
        logits = np.log(np.where(chance > 0, chance, 1.0))
        _expand_rows(tree, rule, streams, leaves.row, leaves.node, leaves.parent, seats, chance > 0, logits, branches)
        self._keep(leaves, branches)
        return branches

    def _keep(self, leaves: Leaves, branches: Array) -> None:
        for index, (row, branch) in enumerate(zip(leaves.row, branches, strict=True)):
            del self.positions[row][branch:]
            self.positions[row].append(leaves.position[index : index + 1])


def _room(rows: int, positions: Positions) -> Leaves:
    """Leaves to be filled in."""
    return Leaves(
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int64),
        positions,
        np.zeros(rows, np.uint64),
    )


def _some(leaves: Leaves, which: Array | slice) -> Leaves:
    return Leaves(
        leaves.row[which], leaves.node[which], leaves.parent[which], leaves.position[which], leaves.seed[which]
    )

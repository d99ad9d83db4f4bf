"""Leaves, their estimates and their children: what the dynamics of all kinds have in common."""

from __future__ import annotations

import math

import numpy as np

from agents.search.api import Estimate, Leaves, ModelSpec
from agents.search.descent import has_room
from agents.search.gumbel import Plan
from agents.search.kernels import inner, kernel
from agents.search.selection import UCB1, SelectionRule, walk
from agents.search.tree import SearchTree, expand
from envs.api import CHANCE, Array, Game, GameSpec, Positions
from envs.streams import shuffle, words


def room_for(rows: int, positions: Positions) -> Leaves:
    """Leaves to be filled in, with these positions [rows, ...]."""
    row, node, parent = (np.zeros(rows, np.int64) for _ in range(3))
    return Leaves(row, node, parent, positions, np.zeros(rows, np.uint64))


def some(leaves: Leaves, which: Array | slice) -> Leaves:
    return Leaves._make(field[which] for field in leaves)


def roots(rows: Array, positions: Positions, streams: Array) -> Leaves:
    """The roots of `rows` as leaves."""
    seeds = np.empty(len(rows), np.uint64)
    words(streams, rows, seeds)
    return Leaves(rows, np.zeros_like(rows), np.full_like(rows, -1), positions, seeds)


def movable(game: Game, positions: Positions) -> None:
    """Raises ValueError for a position in which nobody is to move."""
    if len(positions) and (seats := game.seat(positions)).min() < 0:
        row = int(seats.argmin())
        told = f"nobody is to move in row {row} (seat {seats[row]}): there is nothing to search"
        raise ValueError(f"{game.spec.name}: {told}")


def checked(spec: GameSpec | ModelSpec, n: int, estimate: Estimate) -> Estimate:
    """An estimate of n leaves with logits float32 and values float64, which are a copy.

    Raises ValueError for arrays of another shape. Whether all is finite is found out when leaves are expanded.
    """
    logits = np.ascontiguousarray(estimate.logits, np.float32)
    values = np.array(estimate.values, np.float64, order="C")
    if logits.shape != (n, spec.actions) or values.shape != (n, spec.seats):
        found = f"{list(logits.shape)} and {list(values.shape)}"
        wanted = f"logits {[n, spec.actions]} and values {[n, spec.seats]}"
        raise ValueError(f"{spec.name}: the evaluator gave {found}, not {wanted}")
    return Estimate(logits, values)


def not_finite(spec: GameSpec | ModelSpec, logits: Array, values: Array, index: int) -> FloatingPointError:
    what = f"logits {logits[index]}, values {values[index]}"
    return FloatingPointError(f"{spec.name}: the evaluator's estimate of a position is not finite: {what}")


@inner
def softmax(logits: Array, actions: Array, count: int, priors: Array) -> bool:
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


@inner
def finite(values: Array) -> bool:
    """Whether all of values [P] are numbers, as their sum is then."""
    total = 0.0
    for value in values:
        total += value
    return math.isfinite(total)


@kernel
def walk_rows(
    tree: SearchTree,
    rule: SelectionRule,
    plan: Plan,
    streams: Array,
    rows: Array,
    starts: Array,
    nodes: Array,
    parents: Array,
) -> None:
    """Go down from the branch `starts` in each of n rows, to a node and the branch above it."""
    for index in range(len(rows)):
        nodes[index], parents[index] = walk(tree, rule, plan, streams, rows[index], starts[index])


@kernel
def rooms(tree: SearchTree, rows: Array, actions: int, room: Array) -> None:
    """Whether each of n rows has room for another branch, written to room [n]."""
    for index in range(len(rows)):
        room[index] = has_room(tree, rows[index], 1, actions)


@kernel
def expand_rows(
    tree: SearchTree,
    rule: SelectionRule,
    streams: Array,
    rows: Array,
    nodes: Array,
    parents: Array,
    seats: Array,
    legal: Array,
    logits: Array,
    values: Array,
    branches: Array,
) -> int:
    """Expand n leaves over what is legal [n, A]. Returns the first whose estimate is not finite, or -1."""
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
        if not softmax(logits[index], actions, count, priors) or not finite(values[index]):
            return index
        branches[index] = expand(tree, row, nodes[index], parents[index], seats[index], actions, priors, count)
    return -1

"""Monte-Carlo CFR on a compiled tree of two seats: kernels that walk it at random and add to regrets and averages.

    iterations = Iterations(tree, exploration=None, linear=True)
    iterations(regret, average, random, done=0, count=1000)

Lanctot et al. 2009, "Monte Carlo Sampling for Regret Minimization in Extensive Games",
https://papers.nips.cc/paper/3713. For one seat at a time, all that follows is unbiased:

external sampling   every action of the seat is tried, chance and the other seat are sampled as they play. What an
                    action brings, minus what the policy brings, is the regret: no weight is left over.
outcome sampling    one game is played. The seat explores: with probability `exploration` its action is uniform. The
                    result is divided by the probability of the actions that it sampled; those of chance and of the
                    other seat cancel, as they are sampled as they play.

The average policy of the other seat grows on the way. Its nodes are reached with the probability with which it and
chance lead there, times the probability of what the first seat sampled: its current policy, divided by the latter, has
the expectation that averaging asks for, up to a constant factor for each infoset. OpenSpiel's outcome sampling adds to
the seat's own averages instead and so divides by the probability of the whole game, which varies much more.

`random` is uint64 [1], a stream of splitmix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from agents.regret.tree import GameTree
from envs.api import CHANCE, TERMINAL, Array

SEAT, CHILD, COUNT, LABEL = range(4)  # columns of `nodes`
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class Iterations:
    """Those of one kind, on one tree. `exploration` None is external sampling. Raises ValueError but for two seats."""

    def __init__(self, tree: GameTree, exploration: float | None, linear: bool) -> None:
        require_two_seats(tree.name, tree.seats)
        self.exploration, self.linear = exploration, linear
        self.nodes, self.chance, self.returns = packed(tree), tree.chance, tree.returns
        self._room = int(np.diff(tree.infoset_start).max()), int(np.diff(tree.sequence_start).max())
        self._depth = int(tree.infoset_depth.max(initial=0)) + 1

    def __call__(self, regret: Array, average: Array, random: Array, done: int, count: int) -> None:
        """`count` more after `done`, of a traversal for each seat: changes `regret` and `average`, float64 [S]."""
        walk = self.nodes, self.chance, self.returns, regret, average, random
        if self.exploration is None:
            external(*walk, done, count, self.linear, self._room)
        else:
            outcome(*walk, done, count, self.linear, self.exploration, self._depth)


def require_two_seats(name: str, seats: int) -> None:
    if seats != 2:
        raise ValueError(
            f"{name} has {seats} seats, but the averages of mccfr are right for two: algorithm=cfr takes any number"
        )


def packed(tree: GameTree) -> Array:
    """[N, 4] int32, 16 bytes for what a walk reads at a node: who moves, first child, number of children, and the
    first sequence of the infoset, or the number of the terminal."""
    label = np.where(tree.seat >= 0, tree.infoset_first[np.where(tree.seat >= 0, tree.label, 0)], tree.label)
    return np.stack([tree.seat, tree.first_child, tree.children, label], axis=1).astype(np.int32)


@njit(cache=True)
def uniform(random: Array) -> float:
    """The next number in [0, 1)."""
    random[0] += _STEP
    word = random[0]
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    word ^= word >> np.uint64(31)
    return np.float64(word >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def match(regret: Array, first: int, count: int) -> Any:
    """(scale, floor) of regret matching: action k has probability max(regret[first + k], 0) * scale + floor."""
    total = 0.0
    for sequence in range(first, first + count):
        total += max(regret[sequence], 0.0)
    return (1.0 / total, 0.0) if total > 0.0 else (0.0, 1.0 / count)


@njit(cache=True)
def descend(
    nodes: Array, chance: Array, regret: Array, average: Array, random: Array, node: int, seat: int, weight: float
) -> int:
    """Sample chance and the other seat from `node` on; return where `seat` moves, or where the game is over.

    Adds the other seat's policy, times `weight`, to its average.
    """
    while nodes[node, SEAT] != seat and nodes[node, SEAT] != TERMINAL:
        child, count = nodes[node, CHILD], nodes[node, COUNT]
        left, chosen = uniform(random), 0
        if nodes[node, SEAT] == CHANCE:
            while chosen < count - 1 and left >= chance[child + chosen]:
                left -= chance[child + chosen]
                chosen += 1
        else:
            first = nodes[node, LABEL]
            scale, floor = match(regret, first, count)
            for k in range(count):
                probability = max(regret[first + k], 0.0) * scale + floor
                average[first + k] += weight * probability
                if left >= 0.0 and probability > 0.0:
                    chosen = k
                    left -= probability
        node = child + chosen
    return node


# External sampling ---------------------------------------------------------------------------------------------------


@njit(cache=True)
def traverse(
    nodes: Array,
    chance: Array,
    returns: Array,
    regret: Array,
    average: Array,
    random: Array,
    seat: int,
    weight: float,
    waiting: Array,
    values: Array,
) -> None:
    """One traversal for `seat`, which counts `weight` times.

    The seat's nodes are found breadth first, and valued backwards. By perfect recall no infoset is met twice, and so
    `waiting` int32 [n, 3] has room for all of the seat's infosets, `values` [m + 1] for its sequences.
    """
    found, used, at = 0, 1, 0
    node = descend(nodes, chance, regret, average, random, 0, seat, weight)
    if nodes[node, SEAT] != TERMINAL:
        waiting[0, 0], waiting[0, 1] = node, 0
        found = 1
    while at < found:
        node = waiting[at, 0]
        waiting[at, 2] = used
        child, count = nodes[node, CHILD], nodes[node, COUNT]
        for k in range(count):
            node = descend(nodes, chance, regret, average, random, child + k, seat, weight)
            if nodes[node, SEAT] == TERMINAL:
                values[used + k] = returns[nodes[node, LABEL], seat]
            else:
                waiting[found, 0], waiting[found, 1] = node, used + k
                found += 1
        used += count
        at += 1
    for at in range(found - 1, -1, -1):
        node, above, below = waiting[at, 0], waiting[at, 1], waiting[at, 2]
        first, count = nodes[node, LABEL], nodes[node, COUNT]
        scale, floor = match(regret, first, count)
        value = 0.0
        for k in range(count):
            value += (max(regret[first + k], 0.0) * scale + floor) * values[below + k]
        for k in range(count):
            regret[first + k] += weight * (values[below + k] - value)
        values[above] = value


@njit(cache=True)
def external(
    nodes: Array,
    chance: Array,
    returns: Array,
    regret: Array,
    average: Array,
    random: Array,
    done: int,
    iterations: int,
    linear: bool,
    room: tuple[int, int],
) -> None:
    """So many more iterations of one traversal for each seat. `room`: the most infosets and sequences of a seat."""
    waiting, values = np.empty((room[0], 3), np.int32), np.empty(room[1] + 1)
    for iteration in range(done + 1, done + iterations + 1):
        weight = np.float64(iteration) if linear else 1.0
        for seat in range(2):
            traverse(nodes, chance, returns, regret, average, random, seat, weight, waiting, values)


# Outcome sampling ----------------------------------------------------------------------------------------------------


@njit(cache=True)
def explore(regret: Array, first: int, count: int, exploration: float, left: float) -> Any:
    """(action, probability of this choice, probability of it in the policy); `left` is uniform in [0, 1)."""
    scale, floor = match(regret, first, count)
    chosen, chance, share = 0, 1.0, 1.0
    for k in range(count):
        probability = max(regret[first + k], 0.0) * scale + floor
        mixed = (1.0 - exploration) * probability + exploration / count
        if left >= 0.0 and mixed > 0.0:
            chosen, chance, share = k, mixed, probability
            left -= mixed
    return chosen, chance, share


@njit(cache=True)
def play(
    nodes: Array,
    chance: Array,
    returns: Array,
    regret: Array,
    average: Array,
    random: Array,
    seat: int,
    weight: float,
    exploration: float,
    path: Array,
    reach: Array,
) -> None:
    """One game for `seat`, which counts `weight` times.

    `path` int64 [n, 2] and `reach` float64 [n, 3] have room for its decisions in a game.
    """
    depth, sampled = 0, 1.0
    node = descend(nodes, chance, regret, average, random, 0, seat, weight)
    while nodes[node, SEAT] != TERMINAL:
        chosen, probability, share = explore(
            regret, nodes[node, LABEL], nodes[node, COUNT], exploration, uniform(random)
        )
        path[depth] = node, chosen
        reach[depth] = sampled, probability, share
        depth += 1
        sampled *= probability
        node = descend(nodes, chance, regret, average, random, nodes[node, CHILD] + chosen, seat, weight / sampled)
    value = returns[nodes[node, LABEL], seat]
    for at in range(depth - 1, -1, -1):
        node, chosen = path[at]
        sampled, probability, share = reach[at]
        first = nodes[node, LABEL]
        brought = value / probability  # by the sampled action; by the others nothing, which is right on average
        value = share * brought
        for k in range(nodes[node, COUNT]):
            regret[first + k] -= weight * value / sampled
        regret[first + chosen] += weight * brought / sampled


@njit(cache=True)
def outcome(
    nodes: Array,
    chance: Array,
    returns: Array,
    regret: Array,
    average: Array,
    random: Array,
    done: int,
    iterations: int,
    linear: bool,
    exploration: float,
    depth: int,
) -> None:
    """So many more iterations of one game for each seat, in which it makes up to `depth` decisions."""
    path, reach = np.empty((depth, 2), np.int64), np.empty((depth, 3))
    for iteration in range(done + 1, done + iterations + 1):
        weight = np.float64(iteration) if linear else 1.0
        for seat in range(2):
            play(nodes, chance, returns, regret, average, random, seat, weight, exploration, path, reach)

"""Policy improvement by planning with Gumbel (Danihelka et al. 2022, https://openreview.net/forum?id=bERaNdoegnO).

At the root, actions are drawn without replacement by Gumbel noise, and sequential halving shares the simulations out
among them. Below, actions are chosen without luck, so that visits follow the improved policy

    softmax(logits + sigma(completed Q)),    sigma(q) = (c_visit + max visits) c_scale q

in which actions that were never tried are given the mixed value (appendix D) for their Q. Values q are in [0, 1].
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agents.search.kernels import inner, kernel
from agents.search.tree import SearchTree, action_value, value_range
from envs.api import Array
from envs.streams import gumbel

TINY = 1e-300  # a prior of 0 has no logarithm


class Plan(NamedTuple):
    """What the root's sequential halving was told. One row for each row of the tree; empty where it isn't used."""

    considered: Array  # [B, T] int32: the visits that a child must have to be considered in each simulation
    score: Array  # [B, A] float64: Gumbel noise + log prior of each child of the root, by its place
    weight: Array  # [A] float64: scratch


class Completed(NamedTuple):
    """The completed Q of a branch: what a tried and an untried action are worth to the policy, as sigma(q)."""

    scale: float  # sigma(q) = scale * (q - zero)
    zero: float
    untried: float  # the mixed value, as a return
    highest: float  # the highest q, as a return


@kernel
def considered_visits(actions: int, simulations: int, sequence: Array) -> None:
    """The visit count that sequential halving considers in each simulation (Karnin et al. 2013).

    Each phase visits what is left of the actions equally often, and then the better half stays: phases of
    simulations / log2(actions) each, until two are left. Written to sequence[:simulations].
    """
    if actions <= 1:
        for index in range(simulations):
            sequence[index] = index
        return
    phases = math.ceil(math.log2(actions))
    left, visits, index = actions, 0, 0
    while True:
        for _ in range(max(1, simulations // (phases * left))):
            for _ in range(left):
                if index == simulations:
                    return
                sequence[index] = visits
                index += 1
            visits += 1
        left = max(2, left // 2)


@inner
def prepare(
    tree: SearchTree, plan: Plan, streams: Array, row: int, considered: int, simulations: int, noise: bool
) -> None:
    """Plan a search of so many simulations from a root that was expanded; without noise it is greedy."""
    first, count = tree.first[row, 0], tree.width[row, 0]
    considered_visits(min(considered, count), simulations, plan.considered[row])
    for index in range(count):
        score = math.log(max(tree.prior[row, first + index], TINY))
        plan.score[row, index] = score + (gumbel(streams, row) if noise else 0.0)


@inner
def completed(tree: SearchTree, rule: Any, row: int, branch: int) -> Completed:
    """What the visited children and the evaluator's value say about every action of a branch."""
    seat, first = tree.seat[row, branch], tree.first[row, branch]
    raw = tree.raw[row, branch]
    middle, half = value_range(tree.edges, rule.observed, row, rule.middle, rule.half)
    total, most, prior, weighted = 0, 0, 0.0, 0.0
    low, high, untried = math.inf, -math.inf, False
    for child in range(first, first + tree.width[row, branch]):
        visits = tree.visits[row, child]
        if visits == 0:
            untried = True
            continue
        q = action_value(tree, row, child, seat)
        share = max(tree.prior[row, child], TINY)
        total, most = total + visits, max(most, visits)
        prior, weighted = prior + share, weighted + share * q
        low, high = min(low, q), max(high, q)
    mixed = raw if total == 0 else (raw + total * weighted / prior) / (total + 1)
    if untried:
        low, high = min(low, mixed), max(high, mixed)
    scale = (rule.visit_scale + most) * rule.value_scale
    if rule.rescale:
        return Completed(scale / max(high - low, 1e-8), low, mixed, high)
    return Completed(scale / (2 * half), middle - half, mixed, high)


@inner
def among_considered(tree: SearchTree, plan: Plan, q: Completed, row: int) -> int:
    """The root's child with the highest noise + logit + sigma(q) among those with the visits considered now."""
    visits, first = plan.considered[row, tree.visits[row, 0] - 1], tree.first[row, 0]
    best, highest = first, -math.inf
    for child in range(first, first + tree.width[row, 0]):
        if tree.visits[row, child] == visits:
            score = score_of(tree, plan, q, row, child)
            if score > highest:
                best, highest = child, score
    return best


@inner
def score_of(tree: SearchTree, plan: Plan, q: Completed, row: int, child: int) -> float:
    """Noise + logit + sigma(q) of a child of the root."""
    value = action_value(tree, row, child, tree.seat[row, 0]) if tree.visits[row, child] > 0 else q.untried
    return plan.score[row, child - tree.first[row, 0]] + q.scale * (value - q.zero)


@inner
def improved(tree: SearchTree, q: Completed, row: int, branch: int, weight: Array) -> None:
    """Write softmax(logits + sigma(completed Q)) over the children of a branch to weight [count]."""
    first, seat, count = tree.first[row, branch], tree.seat[row, branch], tree.width[row, branch]
    untried, total = math.exp(q.scale * (q.untried - q.highest)), 0.0
    for index in range(count):
        child = first + index
        weight[index] = max(tree.prior[row, child], TINY)
        if tree.visits[row, child] > 0:
            weight[index] *= math.exp(q.scale * (action_value(tree, row, child, seat) - q.highest))
        else:
            weight[index] *= untried
        total += weight[index]
    for index in range(count):
        weight[index] /= total


@inner
def in_proportion(tree: SearchTree, plan: Plan, q: Completed, row: int, branch: int) -> int:
    """The child whose visits are furthest behind the improved policy (section 5): argmax of pi - n / (1 + sum n)."""
    improved(tree, q, row, branch, plan.weight)
    first, count, total = tree.first[row, branch], tree.width[row, branch], 1
    for child in range(first, first + count):
        total += tree.visits[row, child]
    best, highest = first, -math.inf
    for index in range(count):
        score = plan.weight[index] - tree.visits[row, first + index] / total
        if score > highest:
            best, highest = first + index, score
    return best


def empty_plan(rows: int, simulations: int, actions: int) -> Plan:
    return Plan(np.zeros((rows, simulations), np.int32), np.zeros((rows, actions)), np.zeros(actions))

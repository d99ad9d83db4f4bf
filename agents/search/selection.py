"""What a simulation tries next at each node, as compiled code: UCB1, PUCT, and outcomes of chance.

Gumbel's rules are in `agents.search.gumbel`. A rule is numbers, since compiled code that is given functions can't be
cached. Values are those of the seat to move, brought to [-1, 1] from the game's range of returns where it is known, or
from the range that the tree has met.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from agents.search.config import SearchOptions
from agents.search.gumbel import Plan, among_considered, completed, in_proportion
from agents.search.kernels import inner
from agents.search.tree import SearchTree, action_value, mean, value_range, with_reward
from envs.api import CHANCE, Array
from envs.streams import uniform

UCB1, PUCT, GUMBEL = range(3)
PARENT, ZERO, LOSS = range(3)


class SelectionRule(NamedTuple):
    """The options of a search as numbers."""

    selection: int
    ucb_c: float
    puct_init: float
    puct_base: float
    unvisited: int  # PARENT, ZERO or LOSS
    visit_scale: float
    value_scale: float
    rescale: bool
    enumerated: bool
    proven: bool
    observed: bool  # values are scaled by what the tree has met
    middle: float  # of the game's range of returns
    half: float  # of its width
    least: float  # that a seat can get
    most: float


def rule(options: SearchOptions, utility: tuple[float, float]) -> SelectionRule:
    """The rule of these options where returns are between the bounds `utility`; infinite: not known."""
    low, high = utility
    known = math.isfinite(low) and math.isfinite(high) and low < high
    return SelectionRule(
        selection=("ucb1", "puct", "gumbel").index(options.selection),
        ucb_c=options.ucb_c,
        puct_init=options.puct_init,
        puct_base=options.puct_base,
        unvisited=("parent", "zero", "loss").index(options.unvisited),
        visit_scale=options.visit_scale,
        value_scale=options.value_scale,
        rescale=options.rescale,
        enumerated=options.chance == "enumerated",
        proven=options.proven,
        observed=options.bounds == "observed",
        middle=(low + high) / 2 if known else 0.0,
        half=(high - low) / 2 if known else 1.0,
        least=low,
        most=high,
    )


@inner
def walk(tree: SearchTree, rule: SelectionRule, plan: Plan, streams: Array, row: int, branch: int) -> tuple[int, int]:
    """Go down from a branch to a node without children, or one that is solved. Returns it and the branch above."""
    while True:
        node = choose(tree, rule, plan, streams, row, branch)
        below = tree.branch[row, node]
        if below < 0 or tree.solved[row, node]:
            return node, branch
        branch = below


@inner
def choose(tree: SearchTree, rule: SelectionRule, plan: Plan, streams: Array, row: int, branch: int) -> int:
    """The child of a branch to visit next."""
    if tree.seat[row, branch] == CHANCE:
        return outcome(tree, rule, streams, row, branch)
    if rule.selection == UCB1:
        return ucb1(tree, rule, row, branch)
    if rule.selection == PUCT:
        return puct(tree, rule, row, branch)
    q = completed(tree, rule, row, branch)
    if branch == 0:
        return among_considered(tree, plan, q, row)
    return in_proportion(tree, plan, q, row, branch)


@inner
def outcome(tree: SearchTree, rule: SelectionRule, streams: Array, row: int, branch: int) -> int:
    """An outcome of chance: drawn, or the one that is furthest behind its share of the visits."""
    first, count = tree.first[row, branch], tree.width[row, branch]
    if not rule.enumerated:
        left = uniform(streams, row)
        chosen = first
        for child in range(first, first + count):
            if tree.prior[row, child] > 0:
                chosen = child
                left -= tree.prior[row, child]
                if left < 0:
                    break
        return chosen
    visits = tree.visits[row, tree.node[row, branch]] + 1
    chosen, furthest = first, -math.inf
    for child in range(first, first + count):
        behind = tree.prior[row, child] * visits - tree.visits[row, child]
        if behind > furthest:
            chosen, furthest = child, behind
    return chosen


@inner
def ucb1(tree: SearchTree, rule: SelectionRule, row: int, branch: int) -> int:
    """Upper confidence bounds (Kocsis, Szepesvari 2006, https://doi.org/10.1007/11871842_29); the untried come first.

        Q + c sqrt(log N / n)

    A solved child has nothing left to explore: where results are proven, its value stands alone.
    """
    seat, first = tree.seat[row, branch], tree.first[row, branch]
    _, half = value_range(tree.edges, rule.observed, row, rule.middle, rule.half)
    explore = half * rule.ucb_c * math.sqrt(math.log(tree.visits[row, tree.node[row, branch]]))
    best, highest = first, -math.inf
    for child in range(first, first + tree.width[row, branch]):
        visits = tree.visits[row, child]
        if visits == 0:
            return child
        share = 1.0 / visits
        value = tree.value[row, child, seat] * share
        score = with_reward(tree.edges, row, child, seat, value)
        if not (rule.proven and tree.solved[row, child]):
            score += explore * math.sqrt(share)
        if score > highest:
            best, highest = child, score
    return best


@inner
def puct(tree: SearchTree, rule: SelectionRule, row: int, branch: int) -> int:
    """AlphaZero's rule (Silver et al. 2018, https://doi.org/10.1126/science.aar6404, pseudocode).

    Q + (c_init + log((1 + N + c_base) / c_base)) prior sqrt(N) / (1 + n)
    """
    seat, first, node = tree.seat[row, branch], tree.first[row, branch], tree.node[row, branch]
    total = tree.visits[row, node]
    explore = rule.puct_init + math.log((1 + total + rule.puct_base) / rule.puct_base)
    middle, half = value_range(tree.edges, rule.observed, row, rule.middle, rule.half)
    explore *= half * math.sqrt(total)
    untried = middle
    if rule.unvisited == PARENT:
        untried = mean(tree, row, node, seat)
    elif rule.unvisited == LOSS:
        untried -= half
    best, highest = first, -math.inf
    for child in range(first, first + tree.width[row, branch]):
        visits = tree.visits[row, child]
        score = action_value(tree, row, child, seat) if visits > 0 else untried
        if not (rule.proven and tree.solved[row, child]):
            score += explore * tree.prior[row, child] / (1 + visits)
        if score > highest:
            best, highest = child, score
    return best

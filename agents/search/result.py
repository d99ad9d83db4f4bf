"""What happens at the roots, as compiled code: noise and plans before a search, and what is read off after it."""

from __future__ import annotations

import numpy as np

from agents.search.api import Result
from agents.search.gumbel import Plan, completed, improved, prepare, score_of
from agents.search.kernels import kernel
from agents.search.selection import GUMBEL, SelectionRule
from agents.search.tree import SearchTree, action_value, mean
from envs.api import CHANCE, Array
from envs.streams import gamma


@kernel
def noisy_roots(tree: SearchTree, streams: Array, alpha: float, fraction: float) -> None:
    """Mix Dirichlet noise into the priors of the roots: (1 - fraction) prior + fraction noise."""
    for row in range(len(tree.nodes)):
        first, count = tree.first[row, 0], tree.width[row, 0]
        noise, total = np.empty(count), 0.0
        for index in range(count):
            noise[index] = gamma(streams, row, alpha)
            total += noise[index]
        if total > 0:  # a tiny alpha may leave nothing but zeros
            for index in range(count):
                clean = tree.prior[row, first + index]
                tree.prior[row, first + index] = (1 - fraction) * clean + fraction * noise[index] / total


@kernel
def plan_roots(tree: SearchTree, plan: Plan, streams: Array, considered: int, budgets: Array, noise: bool) -> None:
    """Plan the sequential halving of every row."""
    for row in range(len(tree.nodes)):
        prepare(tree, plan, streams, row, considered, budgets[row], noise)


@kernel
def _best(tree: SearchTree, rule: SelectionRule, plan: Plan, row: int) -> int:
    """The root's child to play.

    Where the root is solved, the best result. Else the most visited that is no proven loss; among those visited equally
    often the one with the highest score: gumbel's, or the value, or (where none was visited) the prior.
    """
    seat, first = tree.seat[row, 0], tree.first[row, 0]
    q = completed(tree, rule, row, 0)
    best, top = first, (-1, -1.0, -1, -np.inf)
    for child in range(first, first + tree.width[row, 0]):
        visits = tree.visits[row, child]
        value = action_value(tree, row, child, seat) if visits > 0 else -np.inf
        lost = tree.solved[row, child] and value <= rule.least + 1e-9
        if rule.selection == GUMBEL:
            score = score_of(tree, plan, q, row, child)
        else:
            score = value if visits > 0 else tree.prior[row, child]
        exact = value if tree.solved[row, 0] and tree.solved[row, child] else -np.inf
        key = (0 if lost else 1, exact, visits, score)
        if key > top:
            best, top = child, key
    return best


@kernel
def _summarize(tree: SearchTree, rule: SelectionRule, plan: Plan, result: Result) -> None:
    """Fill a result, whose arrays are zeros, but for the simulations."""
    weight = np.empty(result.visits.shape[1])
    for row in range(len(tree.nodes)):
        seat, first, count, total = tree.seat[row, 0], tree.first[row, 0], tree.width[row, 0], 0
        for child in range(first, first + count):
            total += tree.visits[row, child]
        if rule.selection == GUMBEL:
            improved(tree, completed(tree, rule, row, 0), row, 0, weight)
        for index in range(count):
            child = first + index
            action, visits = tree.action[row, child], tree.visits[row, child]
            result.visits[row, action] = visits
            result.prior[row, action] = tree.prior[row, child]
            result.solved[row, action] = tree.solved[row, child]
            if visits > 0:
                result.q[row, action] = action_value(tree, row, child, seat)
            if rule.selection == GUMBEL:
                result.policy[row, action] = weight[index]
            else:
                result.policy[row, action] = visits / total if total > 0 else tree.prior[row, child]
        result.action[row] = tree.action[row, _best(tree, rule, plan, row)]
        result.proven[row] = tree.solved[row, 0]
        for each in range(tree.value.shape[2]):
            result.value[row, each] = mean(tree, row, 0, each)


def summary(tree: SearchTree, rule: SelectionRule, plan: Plan, made: Array, actions: int) -> Result:
    """What the trees say; `made` [B] are the simulations."""
    rows, table = len(made), (len(made), actions)
    result = Result(
        action=np.zeros(rows, np.int64),
        visits=np.zeros(table, np.int32),
        policy=np.zeros(table),
        value=np.zeros((rows, tree.value.shape[2])),
        q=np.zeros(table),
        prior=np.zeros(table),
        simulations=made,
        proven=np.zeros(rows, bool),
        solved=np.zeros(table, bool),
    )
    _summarize(tree, rule, plan, result)
    return result


def variation(tree: SearchTree, rule: SelectionRule, plan: Plan, row: int) -> list[int]:
    """The line that a row expects: the action chosen at the root, then the most visited at each node below.

    It ends where nothing was visited, and before a chance node.
    """
    branch, line = 0, []
    child = int(_best(tree, rule, plan, row))
    while tree.visits[row, child] > 0:
        line.append(int(tree.action[row, child]))
        branch = tree.branch[row, child]
        if branch < 0 or tree.seat[row, branch] == CHANCE:
            break
        first = int(tree.first[row, branch])
        children = slice(first, first + int(tree.width[row, branch]))
        solved = tree.solved[row, children] & tree.solved[row, tree.node[row, branch]]
        visits = tree.visits[row, children]
        values = tree.value[row, children, tree.seat[row, branch]] / np.maximum(visits, 1)
        if tree.edges is not None:
            reward = tree.edges.reward[row, children, tree.seat[row, branch]]
            values = reward + tree.edges.discount[row, children] * values
        child = first + int(np.lexsort((values, visits, np.where(solved, values, -np.inf)))[-1])
    return line

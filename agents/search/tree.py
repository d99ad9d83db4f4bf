"""The search tree: B games in lockstep, N nodes each, as flat arrays.

A node is an action of its parent and what was found below it; it exists from the moment its parent is expanded, with no
visits yet. A branch is a node that was expanded: it has a position, a seat to move, and children that lie side by side,
`first` to `first + width - 1`. Node 0 and branch 0 are the root. A node's children are made after it, so that they lie
behind it, and so do branches.

Values are kept for every seat, in the game's own numbers, so that nothing is said about who plays against whom. A node
that is `solved` has its exact value as the mean `value / visits`: a game that is over, or one whose result is proven.

A node's value is that of where its action leads. What the action is worth, `action_value`, is reward + discount *
value, as in a Markov decision process. Games pay at their end, as the value of the last position: their trees can do
without `edges`, and then the two are the same. Compiled code is made for trees with and without: None costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from agents.search.kernels import inner, kernel
from envs.api import CHANCE, Array

UNEXPANDED = -1


class Edges(NamedTuple):
    """What is known of actions, beside the nodes that they lead to."""

    reward: Array  # [B, N, P] float64: what the action pays to each seat
    discount: Array  # [B, N] float64: of what follows the action
    bounds: Array  # [B, 2] float64: the least and the highest value that an action had for who moves


class SearchTree(NamedTuple):
    nodes: Array  # [B] int32: how many there are
    branches: Array  # [B] int32
    visits: Array  # [B, N] int32
    value: Array  # [B, N, P] float64: the sum of what was backed up, for each seat
    prior: Array  # [B, N] float64: probability of the action, or of the outcome
    action: Array  # [B, N] int32
    branch: Array  # [B, N] int32: of the node, or UNEXPANDED
    solved: Array  # [B, N] bool
    node: Array  # [B, M] int32: of the branch
    parent: Array  # [B, M] int32: the branch above; -1 for the root
    first: Array  # [B, M] int32: the first of its children
    width: Array  # [B, M] int32: how many children
    seat: Array  # [B, M] int32: who moves, or CHANCE
    raw: Array  # [B, M] float64: the evaluator's value for the seat to move
    position: Array  # [B, M, W] uint64; W is 0 where positions are kept elsewhere
    edges: Edges | None


PER_NODE = ("visits", "value", "prior", "action", "branch", "solved")
PER_BRANCH = ("node", "parent", "first", "width", "seat", "raw", "position")
PER_EDGE = ("reward", "discount")


def plant(rows: int, nodes: int, branches: int, seats: int, words: int, edges: bool) -> SearchTree:
    """An empty tree with room for so many nodes and branches in each row. The memory is touched when it is used."""
    by_node, by_branch = (rows, nodes), (rows, branches)
    return SearchTree(
        nodes=np.zeros(rows, np.int32),
        branches=np.zeros(rows, np.int32),
        visits=np.empty(by_node, np.int32),
        value=np.empty((*by_node, seats)),
        prior=np.empty(by_node),
        action=np.empty(by_node, np.int32),
        branch=np.empty(by_node, np.int32),
        solved=np.empty(by_node, bool),
        node=np.empty(by_branch, np.int32),
        parent=np.empty(by_branch, np.int32),
        first=np.empty(by_branch, np.int32),
        width=np.empty(by_branch, np.int32),
        seat=np.empty(by_branch, np.int32),
        raw=np.empty(by_branch),
        position=np.empty((*by_branch, words), np.uint64),
        edges=Edges(np.empty((*by_node, seats)), np.empty(by_node), np.empty((rows, 2))) if edges else None,
    )


def grown(tree: SearchTree, nodes: int, branches: int) -> SearchTree:
    """The same tree with more room."""
    rows, seats, words = len(tree.nodes), tree.value.shape[2], tree.position.shape[2]
    larger = plant(rows, nodes, branches, seats, words, tree.edges is not None)
    larger.nodes[:], larger.branches[:] = tree.nodes, tree.branches
    _copy_used(tree, larger, PER_NODE, tree.nodes)
    _copy_used(tree, larger, PER_BRANCH, tree.branches)
    if tree.edges is not None and larger.edges is not None:
        _copy_used(tree.edges, larger.edges, PER_EDGE, tree.nodes)
        larger.edges.bounds[:] = tree.edges.bounds
    return larger


def _copy_used(old: Any, new: Any, names: Sequence[str], used: Array) -> None:
    """Each row as far as it is used: memory that nobody touched costs nothing."""
    for name in names:
        for row, n in enumerate(used.tolist()):
            getattr(new, name)[row, :n] = getattr(old, name)[row, :n]


@kernel
def clear(tree: SearchTree, rows: Array) -> None:
    """Leave the roots of `rows` alone, unvisited and unexpanded."""
    for row in rows:
        tree.nodes[row], tree.branches[row] = 1, 0
        _new_node(tree, row, 0, -1, 1.0)
        _forget(tree.edges, row)


@inner
def _new_node(tree: SearchTree, row: int, node: int, action: int, prior: float) -> None:
    tree.visits[row, node] = 0
    for seat in range(tree.value.shape[2]):
        tree.value[row, node, seat] = 0.0
    tree.prior[row, node] = prior
    tree.action[row, node] = action
    tree.branch[row, node] = UNEXPANDED
    tree.solved[row, node] = False
    _new_edge(tree.edges, row, node)


@inner
def _new_edge(edges: Edges | None, row: int, node: int) -> None:
    if edges is not None:
        edges.discount[row, node] = 1.0
        for seat in range(edges.reward.shape[2]):
            edges.reward[row, node, seat] = 0.0


@inner
def _forget(edges: Edges | None, row: int) -> None:
    if edges is not None:
        edges.bounds[row, 0], edges.bounds[row, 1] = np.inf, -np.inf


@inner
def expand(
    tree: SearchTree, row: int, node: int, parent: int, seat: int, actions: Array, priors: Array, count: int
) -> int:
    """Give a node its children, in the order of `actions`. Returns its branch. Raises IndexError without room."""
    branch, first = tree.branches[row], tree.nodes[row]
    if branch >= tree.node.shape[1] or first + count > tree.visits.shape[1]:
        raise IndexError("the tree has no room for another branch")
    tree.branches[row], tree.nodes[row] = branch + 1, first + count
    tree.branch[row, node] = branch
    tree.node[row, branch], tree.parent[row, branch] = node, parent
    tree.first[row, branch], tree.width[row, branch] = first, count
    tree.seat[row, branch], tree.raw[row, branch] = seat, 0.0
    for index in range(count):
        _new_node(tree, row, first + index, actions[index], priors[index])
    return branch


@inner
def mean(tree: SearchTree, row: int, node: int, seat: int) -> float:
    """The value of where the action of a node leads, which was visited."""
    return tree.value[row, node, seat] / tree.visits[row, node]


@inner
def with_reward(edges: Edges | None, row: int, node: int, seat: int, value: float) -> float:
    """reward + discount * value: what the action of a node makes of the value of where it leads."""
    if edges is None:
        return value
    return edges.reward[row, node, seat] + edges.discount[row, node] * value


@inner
def action_value(tree: SearchTree, row: int, node: int, seat: int) -> float:
    """What a seat can expect of the action of a node, which was visited."""
    return with_reward(tree.edges, row, node, seat, tree.value[row, node, seat] / tree.visits[row, node])


@inner
def value_range(edges: Edges | None, observed: bool, row: int, middle: float, half: float) -> tuple[float, float]:
    """The middle of the range of values and half of its width, where that of the game is (middle, half).

    `observed`: what the tree has met (Schrittwieser et al. 2020, https://arxiv.org/abs/1911.08265, equation 5), as
    soon as it has met two different values.
    """
    if edges is None or not observed or edges.bounds[row, 0] >= edges.bounds[row, 1]:
        return middle, half
    low, high = edges.bounds[row, 0], edges.bounds[row, 1]
    return (low + high) / 2, (high - low) / 2


@inner
def back_up(tree: SearchTree, row: int, node: int, parent: int, values: Array, proven: bool, most: float) -> None:
    """Add one visit and `values` [P] to a node, and to all above it; `parent` is the branch above, -1 at the root.

    Each action on the way adds its reward and discounts. With `proven`, what follows from a solved node is solved too,
    and from there on the exact value is backed up (Winands et al. 2008, https://doi.org/10.1007/978-3-540-87608-3_3).
    Nobody can get more than `most`. `values` is overwritten.
    """
    solving = proven and tree.solved[row, node]
    while True:
        tree.visits[row, node] += 1
        for seat in range(len(values)):
            tree.value[row, node, seat] += values[seat]
        if parent < 0:
            return
        _widen(tree.edges, tree.value, tree.visits, row, node, tree.seat[row, parent])
        for seat in range(len(values)):
            values[seat] = with_reward(tree.edges, row, node, seat, values[seat])
        node = tree.node[row, parent]
        if solving:
            solving = _settle(tree, row, parent, values, most)
        parent = tree.parent[row, parent]


@inner
def _widen(edges: Edges | None, value: Array, visits: Array, row: int, node: int, seat: int) -> None:
    """Let the bounds hold what an action is worth to the seat that may choose it."""
    if edges is None:
        return
    if seat != CHANCE:
        worth = with_reward(edges, row, node, seat, value[row, node, seat] / visits[row, node])
        edges.bounds[row, 0] = min(edges.bounds[row, 0], worth)
        edges.bounds[row, 1] = max(edges.bounds[row, 1], worth)


@kernel
def backward(
    tree: SearchTree,
    rows: Array,
    nodes: Array,
    parents: Array,
    branches: Array,
    values: Array,
    proven: bool,
    most: float,
) -> None:
    """Back up `values` [n, P] from n nodes that were expanded to `branches`; each branch keeps its own as `raw`."""
    for index in range(len(rows)):
        row, branch = rows[index], branches[index]
        tree.raw[row, branch] = values[index, tree.seat[row, branch]]
        back_up(tree, row, nodes[index], parents[index], values[index], proven, most)


@inner
def _settle(tree: SearchTree, row: int, branch: int, values: Array, most: float) -> bool:
    """Solve a branch if its children allow it: write the exact values, and make them the mean of its node."""
    seat, first = tree.seat[row, branch], tree.first[row, branch]
    children = range(first, first + tree.width[row, branch])
    open_ones, best, highest = False, -1, -np.inf
    for child in children:
        if not tree.solved[row, child]:
            open_ones = True
        elif seat != CHANCE and action_value(tree, row, child, seat) > highest:
            best, highest = child, action_value(tree, row, child, seat)
    if open_ones and (seat == CHANCE or highest < most - 1e-9):
        return False
    node = tree.node[row, branch]
    for each in range(len(values)):
        if seat == CHANCE:
            values[each] = 0.0
            for child in children:
                values[each] += tree.prior[row, child] * action_value(tree, row, child, each)
        else:
            values[each] = action_value(tree, row, best, each)
        tree.value[row, node, each] = values[each] * tree.visits[row, node]
    tree.solved[row, node] = True
    return True


@inner
def child_of(tree: SearchTree, row: int, branch: int, action: int) -> int:
    """The child of this action, or -1."""
    for child in range(tree.first[row, branch], tree.first[row, branch] + tree.width[row, branch]):
        if tree.action[row, child] == action:
            return child
    return -1


@kernel
def reroot(tree: SearchTree, row: int, action: int, kept: Array) -> int:
    """Make the child of this action the root, move what lies below it to the front, and forget the rest.

    Returns how many branches are left, their former indices written to `kept` int32 [M], in order. Returns 0, and
    changes nothing, where that child was never expanded.
    """
    child = child_of(tree, row, 0, action)
    if child < 0 or tree.branch[row, child] < 0:
        return 0
    root, end = tree.branch[row, child], tree.branches[row]
    now, shift = np.full(end, -1, np.int32), np.zeros(end, np.int32)
    _copy_node(tree, row, child, 0)
    branches, nodes = 0, 1
    # A branch and its nodes come after its parent's, before and after: nothing is overwritten that is still wanted.
    for branch in range(root, end):
        above, node = tree.parent[row, branch], 0
        if branch > root:
            if above < root or now[above] < 0:
                continue
            node = tree.node[row, branch] - shift[above]
        first = tree.first[row, branch]
        now[branch], shift[branch] = branches, first - nodes
        for old in range(first, first + tree.width[row, branch]):
            _copy_node(tree, row, old, old - shift[branch])
        _copy_branch(tree, row, branch, branches)
        tree.node[row, branches], tree.first[row, branches] = node, nodes
        tree.parent[row, branches] = now[above] if branch > root else -1
        tree.branch[row, node] = branches
        kept[branches] = branch
        nodes += tree.width[row, branches]
        branches += 1
    tree.branches[row], tree.nodes[row] = branches, nodes
    return branches


@inner
def _copy_node(tree: SearchTree, row: int, old: int, new: int) -> None:
    tree.visits[row, new] = tree.visits[row, old]
    for seat in range(tree.value.shape[2]):
        tree.value[row, new, seat] = tree.value[row, old, seat]
    tree.prior[row, new] = tree.prior[row, old]
    tree.action[row, new] = tree.action[row, old]
    tree.branch[row, new] = tree.branch[row, old]
    tree.solved[row, new] = tree.solved[row, old]
    _copy_edge(tree.edges, row, old, new)


@inner
def _copy_edge(edges: Edges | None, row: int, old: int, new: int) -> None:
    if edges is not None:
        edges.discount[row, new] = edges.discount[row, old]
        for seat in range(edges.reward.shape[2]):
            edges.reward[row, new, seat] = edges.reward[row, old, seat]


@inner
def _copy_branch(tree: SearchTree, row: int, old: int, new: int) -> None:
    tree.width[row, new] = tree.width[row, old]
    tree.seat[row, new] = tree.seat[row, old]
    tree.raw[row, new] = tree.raw[row, old]
    for index in range(tree.position.shape[2]):
        tree.position[row, new, index] = tree.position[row, old, index]

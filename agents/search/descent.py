"""From the root of a native game to a leaf and its position, as compiled code."""

from __future__ import annotations

from agents.search.gumbel import Plan
from agents.search.kernels import inner
from agents.search.selection import UCB1, SelectionRule, choose, walk
from agents.search.tree import SearchTree, expand, mean
from envs.api import CHANCE, Array
from envs.games.native import legal_into, payoff, play
from envs.games.rules import LUCK, is_over, to_move
from envs.streams import shuffle

CHAIN = 4  # branches that a simulation may add: no native game has more chance nodes in a row than three


@inner
def has_room(tree: SearchTree, row: int, branches: int, actions: int) -> bool:
    """Whether so many more branches fit into a row of the tree, each with all actions."""
    spare = tree.visits.shape[1] - tree.nodes[row]
    return tree.branches[row] + branches <= tree.node.shape[1] and branches * actions <= spare


@inner
def open_evenly(
    kind: int,
    board: Array,
    tree: SearchTree,
    rule: SelectionRule,
    streams: Array,
    row: int,
    node: int,
    parent: int,
    position: Array,
    actions: Array,
    priors: Array,
) -> int:
    """Give a node all that is legal as its children, each as likely as the others. Returns its branch.

    For UCB1 they are in random order, since it tries them in the order in which they are.
    """
    count = legal_into(kind, board, position, actions)
    seat = CHANCE if position[0] == LUCK else to_move(position)
    if rule.selection == UCB1 and seat != CHANCE:
        shuffle(streams, row, actions, count)
    for index in range(count):
        priors[index] = 1.0 / count
    branch = expand(tree, row, node, parent, seat, actions, priors, count)
    for index in range(len(position)):
        tree.position[row, branch, index] = position[index]
    return branch


@inner
def descend(
    kind: int,
    board: Array,
    tree: SearchTree,
    rule: SelectionRule,
    plan: Plan,
    streams: Array,
    row: int,
    late: bool,
    position: Array,
    actions: Array,
    priors: Array,
) -> tuple[int, int]:
    """Go from the root to a leaf, and write its position unless it was solved before. Returns it and the branch above.

    Chance nodes are expanded on the way, as they aren't evaluated; other leaves on their second visit, if `late`.
    A leaf at which the game is over is marked as solved. The row must have room for CHAIN branches. `actions` int64 [A]
    and `priors` [A] are scratch.
    """
    node, parent = walk(tree, rule, plan, streams, row, 0)
    while not tree.solved[row, node]:
        for index in range(len(position)):
            position[index] = tree.position[row, parent, index]
        play(kind, board, position, tree.action[row, node])
        if is_over(position):
            tree.solved[row, node] = True
        elif position[0] == LUCK or (late and tree.visits[row, node] > 0):
            parent = open_evenly(kind, board, tree, rule, streams, row, node, parent, position, actions, priors)
            node = choose(tree, rule, plan, streams, row, parent)
        else:
            break
    return node, parent


@inner
def exact_into(kind: int, board: Array, tree: SearchTree, row: int, node: int, position: Array, values: Array) -> None:
    """Write the values [P] of a solved leaf: known from former visits, or the game in `position` has just ended."""
    if tree.visits[row, node] == 0:
        values[0] = payoff(kind, board, position)
        values[1] = -values[0]
    else:
        for seat in range(len(values)):
            values[seat] = mean(tree, row, node, seat)

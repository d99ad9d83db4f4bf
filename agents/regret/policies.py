"""Policies over a compiled tree: one probability for each sequence, float64 [S], and 1 for the empty sequences.

policy = uniform(tree)                                    # or random, normalized, of_function
policy = of_function(tree, game, network.probabilities)   # any function of positions, so that it can be exploited
print(text(tree, policy))
player = TabularPlayer("cfr", game, table(tree, policy))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from agents.api import Player, fresh
from agents.maths.explore import draw
from agents.records import Carry, forgets
from agents.regret.forms import multiply_down
from agents.regret.tree import GameTree
from envs.api import Array, Game, Positions

PolicyTable = Mapping[tuple[int, str], "LocalPolicy"]  # by seat and key

_BATCH = 4096  # positions given to a function at once


class LocalPolicy(NamedTuple):
    """What a policy does at one infoset."""

    actions: Array  # [k] int64
    probabilities: Array  # [k] float64


def uniform(tree: GameTree) -> Array:
    """Every legal action alike."""
    return normalized(tree, np.zeros(tree.sequences))


def random(tree: GameTree, rng: np.random.Generator) -> Array:
    """Drawn uniformly from all distributions, independently at each infoset."""
    return normalized(tree, rng.exponential(size=tree.sequences))


def normalized(tree: GameTree, weights: Array) -> Array:
    """Shares of non-negative `weights` [S] within each infoset; all alike where none is positive."""
    owner = tree.sequence_infoset
    grown = owner >= 0
    total = np.bincount(owner[grown], weights[grown], tree.infosets)
    policy = np.ones(tree.sequences)
    empty = total[owner[grown]] <= 0
    alike = 1 / tree.infoset_actions[owner[grown]]
    policy[grown] = np.where(empty, alike, weights[grown] / np.where(empty, 1, total[owner[grown]]))
    return policy


def realization_plan(tree: GameTree, policy: Array) -> Array:
    """[S]: with which probability a seat plays a sequence, if the others and chance do their part."""
    plan = np.ones(tree.sequences)
    multiply_down(tree.infoset_first, tree.infoset_actions, tree.infoset_parent, policy, plan)
    return plan


def checked(tree: GameTree, policy: Array) -> Array:
    """The policy, if it is one: raises ValueError otherwise."""
    policy = np.ascontiguousarray(policy, np.float64)
    if policy.shape != (tree.sequences,):
        raise ValueError(
            f"a policy for {tree.name} is an array [{tree.sequences}], one probability for each sequence, "
            f"but found {list(policy.shape)}"
        )
    grown = tree.sequence_infoset >= 0
    total = np.bincount(tree.sequence_infoset[grown], policy[grown], tree.infosets)
    wrong = np.flatnonzero(~(np.abs(total - 1) < 1e-6))
    if len(wrong) or not policy.min() >= 0:
        where = wrong[0] if len(wrong) else tree.sequence_infoset[int(policy.argmin())]
        raise ValueError(f"the policy at infoset {tree.key(where)!r} is no distribution: {policy[tree.slice(where)]}")
    return policy


# From and to other forms ---------------------------------------------------------------------------------------------


def of_function(tree: GameTree, game: Game, act: Callable[[Positions], Array]) -> Array:
    """The policy of `act(positions [n]) -> probabilities [n, A]`, asked at one position of each infoset.

    `act` sees whoever is to move; what it gives to illegal actions is left out, and the rest is made to sum to 1.
    """
    nodes = np.flatnonzero(tree.seat >= 0)
    asked = nodes[np.unique(tree.label[nodes], return_index=True)[1]]  # the first of each infoset
    needed = np.zeros(tree.nodes, bool)
    needed[asked] = True
    weights = np.zeros(tree.sequences)
    for node in range(tree.nodes - 1, 0, -1):  # children come after their parents
        needed[tree.parent[node]] |= needed[node]
    wanted = np.zeros(tree.nodes, bool)
    wanted[asked] = True
    frontier, positions = np.zeros(1, np.int64), game.initial(1)
    while len(frontier):
        mine = np.flatnonzero(wanted[frontier])
        for begin in range(0, len(mine), _BATCH):
            _ask(tree, act, frontier[mine[begin : begin + _BATCH]], positions[mine[begin : begin + _BATCH]], weights)
        count = tree.children[frontier]
        row = np.repeat(np.arange(len(frontier)), count)
        child = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + tree.first_child[frontier[row]]
        row, child = row[needed[child]], child[needed[child]]
        frontier, positions = child, game.step(positions[row], tree.action[child].astype(np.int64))
    return normalized(tree, weights)


def of_player(tree: GameTree, game: Game, player: Player) -> Array:
    """The policy of a player that tells its probabilities, or always chooses alike.

    Raises ValueError for one that draws its actions and doesn't tell how.
    """

    def always(positions: Positions) -> Array:
        chosen, again = (fresh(player, positions, np.random.default_rng(seed)) for seed in (0, 1))
        if (chosen != again).any():
            raise ValueError(f"{player.name} draws its actions and doesn't tell their probabilities")
        return np.eye(game.spec.actions)[chosen]

    return of_function(tree, game, getattr(player, "probabilities", always))


def _ask(tree: GameTree, act: Callable[[Positions], Array], nodes: Array, positions: Positions, weights: Array) -> None:
    """Write what `act` does at these decision nodes into `weights` [S]."""
    found = np.asarray(act(positions), np.float64)
    infosets = tree.label[nodes]
    for infoset, row in zip(infosets.tolist(), found, strict=True):
        own = tree.slice(infoset)
        weights[own] = row[tree.sequence_action[own]]
        if not (weights[own].min() >= 0 and weights[own].sum() > 0):
            raise ValueError(f"at infoset {tree.key(infoset)!r} the legal actions got {weights[own]}")


def table(tree: GameTree, policy: Array, reach: Array | None = None) -> dict[tuple[int, str], LocalPolicy]:
    """A policy [S] by (seat, key).

    A position of a game of perfect information may be several infosets: it gets their mean, weighted with the seat's
    own `reach` [S] of them (default: that of the policy).
    """
    plan = realization_plan(tree, policy) if reach is None else reach
    found = {}
    for name, infosets in tree.named.items():
        own = tree.slice(infosets[0])
        weight = np.array([plan[tree.infoset_parent[infoset]] for infoset in infosets])
        weight = np.ones(len(infosets)) if weight.sum() <= 0 else weight
        rows = np.stack([policy[tree.slice(infoset)] for infoset in infosets])
        found[name] = LocalPolicy(tree.sequence_action[own].astype(np.int64), weight @ rows / weight.sum())
    return found


def by_action(tree: GameTree, values: Array, infoset: str, seat: int = 0) -> dict[int, float]:
    """Policy, regrets or any values [S] at the infoset of this key: {action: value}. Raises KeyError if there is none.

    Seat 0 is asked unless told otherwise: keys mostly say whose they are, and then any seat will do.
    """
    for p in (seat, *(other for other in range(tree.seats) if other != seat)):
        for number in tree.named.get((p, infoset), ()):
            own = tree.slice(number)
            return dict(zip(tree.sequence_action[own].tolist(), values[own].tolist(), strict=True))
    raise KeyError(f"{tree.name} has no infoset {infoset!r}; one of its {tree.infosets} is {tree.key(0)!r}")


def text(tree: GameTree, policy: Array, limit: int = 100) -> str:
    """A readable table: for each infoset its seat, its key on one line, `action:probability`; at most `limit` rows."""
    lines = []
    for infoset in range(min(tree.infosets, limit)):
        own = tree.slice(infoset)
        chances = zip(tree.sequence_action[own].tolist(), policy[own].tolist(), strict=True)
        key = " ".join(tree.key(infoset).split())
        lines.append(f"{tree.infoset_seat[infoset]}  {key:<24}  {'  '.join(f'{a}:{p:.4f}' for a, p in chances)}")
    if tree.infosets > limit:
        lines.append(f"... and {tree.infosets - limit} more infosets")
    return "\n".join(lines)


class TabularPlayer:
    """Draws its actions from a table (`agents.api.Player`)."""

    def __init__(self, name: str, game: Game, table: PolicyTable) -> None:
        self.name, self.game, self.table = name, game, table

    def probabilities(self, positions: Positions) -> Array:
        """[n, A] for whoever is to move. Raises ValueError at an infoset that the table doesn't have."""
        seats, keys = self.game.seat(positions).tolist(), self.game.information_state(positions)
        found = np.zeros((len(positions), self.game.spec.actions))
        for row, (seat, key) in enumerate(zip(seats, keys, strict=True)):
            choice = self.table.get((seat, key))
            if choice is None:
                raise ValueError(f"{self.name} knows nothing of infoset {key!r} of seat {seat}: is it of another game?")
            found[row, choice.actions] = choice.probabilities
        return found

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        return carry, draw(self.probabilities(positions), rng.random(len(positions)))

"""Best responses, NashConv and exploitability of a policy, exactly, on a compiled tree.

    nash_conv(tree, policy)        # what the seats could gain, each alone, summed
    exploitability(tree, policy)   # NashConv / 2: two players, zero-sum

One pass over the terminals and one over the infosets for each seat. https://arxiv.org/abs/1711.00832 for the terms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from agents.regret.policies import checked, realization_plan
from agents.regret.tree import GameTree
from envs.api import Array


class Response(NamedTuple):
    """The best that a seat can do against the others."""

    value: float
    policy: Array  # [S]: this seat's is pure (the first of several best actions), the others' are as they were


def best_response(tree: GameTree, policy: Array, seat: int) -> Response:
    """Raises ValueError for what is no policy of this tree."""
    policy = checked(tree, policy)
    values = counterfactual_values(tree, realization_plan(tree, policy), seat)
    answer = policy.copy()
    own = slice(tree.infoset_start[seat], tree.infoset_start[seat + 1])
    _maximize(tree.infoset_first[own], tree.infoset_actions[own], tree.infoset_parent[own], values, answer)
    return Response(float(values[tree.sequence_start[seat]]), answer)


def expected_returns(tree: GameTree, policy: Array) -> Array:
    """What each seat gets on average, [P], if all follow the policy."""
    plan = realization_plan(tree, checked(tree, policy))
    return np.array([counterfactual_values(tree, plan, seat) @ plan for seat in range(tree.seats)])


def nash_conv(tree: GameTree, policy: Array) -> float:
    """What the seats could gain by best responses, each alone, summed: 0 exactly at the Nash equilibria."""
    policy = checked(tree, policy)
    plan, gain, scratch = realization_plan(tree, policy), 0.0, np.empty(tree.sequences)
    for seat in range(tree.seats):
        values = counterfactual_values(tree, plan, seat)
        gain -= float(values @ plan)
        own = slice(tree.infoset_start[seat], tree.infoset_start[seat + 1])
        _maximize(tree.infoset_first[own], tree.infoset_actions[own], tree.infoset_parent[own], values, scratch)
        gain += float(values[tree.sequence_start[seat]])
    return gain


def exploitability(tree: GameTree, policy: Array) -> float:
    """NashConv / 2: what is lost to best responses, on average over both seats.

    Raises ValueError but for zero-sum games of two, for which alone it is defined.
    """
    if not tree.two_player_zero_sum:
        raise ValueError(
            f"{tree.name} is no zero-sum game of two players: exploitability is not defined, see nash_conv"
        )
    return nash_conv(tree, policy) / 2


def measures(tree: GameTree, policy: Array) -> dict[str, float]:
    """As metrics: what seat 0 gets, NashConv, and where it is defined exploitability."""
    conv = nash_conv(tree, policy)
    found = {"game/value": float(expected_returns(tree, policy)[0]), "game/nash_conv": conv}
    return found | ({"game/exploitability": conv / 2} if tree.two_player_zero_sum else {})


def counterfactual_values(tree: GameTree, plan: Array, seat: int) -> Array:
    """[S]: what `seat` gets at the terminals right behind each of its sequences, times the others' reach of them.

    `plan` is a realization plan of all seats. The sum of these values times the seat's own plan is its expected return.
    """
    values = np.zeros(tree.sequences)
    _weigh(tree.payoffs, tree.terminal_sequence, plan, seat, values)
    return values


@njit(cache=True)
def _weigh(payoffs: Array, sequence: Array, plan: Array, seat: int, values: Array) -> None:
    for terminal in range(len(payoffs)):
        value = payoffs[terminal, seat]
        for other in range(payoffs.shape[1]):
            if other != seat:
                value *= plan[sequence[terminal, other]]
        values[sequence[terminal, seat]] += value


@njit(cache=True)
def _maximize(first: Array, actions: Array, parent: Array, values: Array, policy: Array) -> None:
    """Add the best value of each infoset to its parent sequence, from the bottom up; write the best action down."""
    for infoset in range(len(first) - 1, -1, -1):
        begin, end = first[infoset], first[infoset] + actions[infoset]
        best = begin
        for sequence in range(begin, end):
            policy[sequence] = 0.0
            if values[sequence] > values[best]:
                best = sequence
        policy[best] = 1.0
        values[parent[infoset]] += values[best]

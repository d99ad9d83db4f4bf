"""A zero-sum game of two solved exactly, as linear programs over realization plans, by HiGHS.

Koller, Megiddo & von Stengel 1994, "Fast algorithms for finding randomized strategies in game trees"; one program for
each seat, so that the two values check each other. An independent check of what regret minimization finds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.regret.policies import normalized
from agents.regret.tree import GameTree
from envs.api import Array

TOLERANCE = 1e-7  # times the largest payoff: by so much the two values may differ


class Equilibrium(NamedTuple):
    value: float  # what seat 0 gets
    policy: Array  # [S], of both seats


def solve(tree: GameTree) -> Equilibrium:
    """Value and one equilibrium. Raises ValueError for other games than zero-sum ones of two players."""
    if not tree.two_player_zero_sum:
        raise ValueError(
            f"{tree.name} is no zero-sum game of two players, which alone is a linear program; "
            "CFR takes any game, and agents.tabular.equilibria takes matrix games of two players"
        )
    (first, mine), (second, theirs) = (_maximin(tree, seat) for seat in (0, 1))
    scale = float(np.abs(tree.returns).max(initial=1.0))
    if abs(first + second) > TOLERANCE * scale:
        raise ArithmeticError(f"the two linear programs disagree on {tree.name}: {first} and {-second}")
    weights = np.concatenate([mine, theirs])
    return Equilibrium(first, normalized(tree, np.maximum(weights, 0.0)))


def _maximin(tree: GameTree, seat: int) -> tuple[float, Array]:
    """The most that `seat` can guarantee, and its realization plan.

    Variables: the plan x >= 0 of `seat`, and for the other seat's empty situation and each of its infosets what it can
    be held to there, v. Maximize v at the root, where E x = e makes x a plan, and for every sequence of the other seat
    v of its infoset <= payoffs behind the sequence + v of the infosets that follow on it.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, hstack

    other = 1 - seat
    own, theirs = _plan_constraints(tree, seat), _plan_constraints(tree, other)
    rows = tree.terminal_sequence[:, other] - tree.sequence_start[other]
    columns = tree.terminal_sequence[:, seat] - tree.sequence_start[seat]
    count, dual = own.shape[1], theirs.shape[0]
    payoff = coo_array((tree.payoffs[:, seat], (rows, columns)), (theirs.shape[1], count))
    objective = np.zeros(count + dual)
    objective[count] = -1.0
    right = np.zeros(own.shape[0])
    right[0] = 1.0
    found = linprog(
        objective,
        A_ub=hstack([-payoff, theirs.T]).tocsc(),
        b_ub=np.zeros(theirs.shape[1]),
        A_eq=hstack([own, coo_array((own.shape[0], dual))]).tocsc(),
        b_eq=right,
        bounds=np.array([(0.0, np.inf)] * count + [(-np.inf, np.inf)] * dual),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        raise ArithmeticError(f"the linear program of {tree.name} was not solved: {found.message}")
    return -float(found.fun), found.x[:count]


def _plan_constraints(tree: GameTree, seat: int) -> Array:
    """E, sparse [1 + infosets, sequences] of a seat: x >= 0 is a realization plan if E x = (1, 0, 0, ...)."""
    from scipy.sparse import coo_array

    infosets = slice(tree.infoset_start[seat], tree.infoset_start[seat + 1])
    begin, end = tree.sequence_start[seat : seat + 2]
    number = np.arange(1, infosets.stop - infosets.start + 1)
    grown = tree.sequence_infoset[begin + 1 : end] - infosets.start + 1
    rows = np.concatenate([[0], number, grown])
    columns = np.concatenate([[0], tree.infoset_parent[infosets] - begin, np.arange(1, end - begin)])
    values = np.concatenate([[1.0], np.full(len(number), -1.0), np.ones(len(grown))])
    return coo_array((values, (rows, columns)), (len(number) + 1, end - begin))

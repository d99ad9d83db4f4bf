"""Worlds of states in a row, and others of a few states."""

from __future__ import annotations

from envs.tabular.mdp import MDP


def two_state() -> MDP:
    """States 0 and 1, to `stay` or to `switch`, without end: staying pays 1 in 0, 2 in 1. Begins in 0 with 4 / 5."""
    dynamics = {(s, "stay"): [(1.0, s, 1.0 + s)] for s in (0, 1)}
    dynamics |= {(s, "switch"): [(1.0, 1 - s, 0.0)] for s in (0, 1)}
    return MDP.of("two_state", dynamics, {0: 0.8, 1: 0.2})


def random_walk(states: int = 5, left: float = 0.0, right: float = 1.0) -> MDP:
    """States 1 to `states` between two ends, from the middle, left or right with equal probability whatever one does.

    The left end pays `left`, the right end `right`, all else nothing. Sutton & Barto, 2nd edition, example 6.2; figures
    7.2 and 12.3 have 19 states and -1 at the left end.
    """
    if states < 1:
        raise ValueError(f"random_walk: states is {states}, expected at least 1")
    ends = {0: left, states + 1: right}
    dynamics = {(s, "step"): [(0.5, t, ends.get(t, 0.0)) for t in (s - 1, s + 1)] for s in range(1, states + 1)}
    return MDP.of("random_walk", dynamics, {(states + 1) // 2: 1.0}, range(states + 2))


def river_swim(states: int = 6) -> MDP:
    """To swim against the current to the right, where that pays 1 at last; to float to the left, where that pays 0.005.

    Without end. Strehl & Littman 2008 with the numbers of Osband et al. 2013, https://arxiv.org/abs/1306.0940.
    """
    if states < 2:
        raise ValueError(f"river_swim: states is {states}, expected at least 2")
    last = states - 1
    dynamics = {(s, "left"): [(1.0, max(s - 1, 0), 0.005 * (s == 0))] for s in range(states)}
    dynamics |= {(s, "right"): [(0.05, s - 1, 0.0), (0.6, s, 0.0), (0.35, s + 1, 0.0)] for s in range(1, last)}
    dynamics[0, "right"] = [(0.4, 0, 0.0), (0.6, 1, 0.0)]
    dynamics[last, "right"] = [(0.4, last - 1, 1.0), (0.6, last, 1.0)]
    return MDP.of("river_swim", dynamics, {0: 1.0})

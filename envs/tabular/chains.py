"""Worlds of states in a row, and others of a few states. Sutton & Barto: Reinforcement Learning, 2nd edition."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist

import numpy as np

from envs.tabular.mdp import MDP


def two_state() -> MDP:
    """States 0 and 1, to `stay` or to `switch`, without end: staying pays 1 in 0, 2 in 1. Begins in 0 with 4 / 5."""
    dynamics = {(s, "stay"): [(1.0, s, 1.0 + s)] for s in (0, 1)}
    dynamics |= {(s, "switch"): [(1.0, 1 - s, 0.0)] for s in (0, 1)}
    return MDP.of("two_state", dynamics, {0: 0.8, 1: 0.2})


def random_walk(states: int = 5, left: float = 0.0, right: float = 1.0) -> MDP:
    """States 1 to `states` between two ends, from the middle, left or right with equal probability whatever one does.

    The left end pays `left`, the right end `right`, all else nothing. Sutton & Barto, example 6.2; figures 7.2 and 12.3
    have 19 states and -1 at the left end.
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


def gambler(goal: int = 100, heads: float = 0.4) -> MDP:
    """Capital 0 to `goal`, of which any part is staked on heads, so far as it is needed: 1 for reaching the goal.

    Begins with any capital between. Sutton & Barto, example 4.3, without stakes of nothing.
    """
    if goal < 2:
        raise ValueError(f"gambler: goal is {goal}, expected at least 2")
    dynamics = {
        (s, stake): [(heads, s + stake, float(s + stake == goal)), (1 - heads, s - stake, 0.0)]
        for s in range(1, goal)
        for stake in range(1, min(s, goal - s) + 1)
    }
    stakes = range(1, goal // 2 + 1)
    return MDP.of("gambler", dynamics, dict.fromkeys(range(1, goal), 1 / (goal - 1)), range(goal + 1), stakes)


def ab_example() -> MDP:
    """The most likely model of eight episodes: A 0 B 0; B 1, six times; B 0. Sutton & Barto, example 6.4."""
    dynamics = {("A", "go"): [(1.0, "B", 0.0)], ("B", "go"): [(0.75, "end", 1.0), (0.25, "end", 0.0)]}
    return MDP.of("ab_example", dynamics, {"A": 1 / 8, "B": 7 / 8})


ROAD_HOME = (  # where, minutes since leaving the office, and how many more are expected
    ("office", 0, 30),
    ("car, in the rain", 5, 35),
    ("exit of the highway", 20, 15),
    ("behind a truck", 30, 10),
    ("home street", 40, 3),
    ("home", 43, 0),
)


def driving_home() -> MDP:
    """One way home, as it was: the reward of a step is the minutes that it took. Sutton & Barto, example 6.1."""
    legs = pairwise(ROAD_HOME)
    return MDP.of("driving_home", {(a, "drive"): [(1.0, b, float(later - now))] for (a, now, _), (b, later, _) in legs})


def baird() -> MDP:
    """States 1 to 7: `dashed` leads to any of the first six, `solid` to the seventh, for nothing, without end.

    With values linear in BAIRD_FEATURES, semi-gradient learning of `solid` from other behaviour diverges. Baird 1995;
    Sutton & Barto, section 11.2, where the discount is 0.99 and `dashed` is taken six times in seven.
    """
    dynamics: dict[tuple[int, str], list[tuple[float, int, float]]] = {}
    for s in range(1, 8):
        dynamics[s, "dashed"] = [(1 / 6, t, 0.0) for t in range(1, 7)]
        dynamics[s, "solid"] = [(1.0, 7, 0.0)]
    return MDP.of("baird", dynamics, dict.fromkeys(range(1, 8), 1 / 7))


BAIRD_FEATURES = np.eye(7, 8) * ([2.0] * 6 + [1.0, 0.0]) + np.outer([1.0] * 6 + [2.0], np.eye(8)[7])  # [7, 8]


def maximization_bias(arms: int = 10, points: int = 21) -> MDP:
    """From A right to the end, for nothing, or left to B and there by one of the arms to the end, for about N(-0.1, 1).

    That normal distribution is `points` equally likely rewards of its mean and variance. Sutton & Barto, example 6.7.
    """
    if arms < 1 or points < 2:
        raise ValueError(f"maximization_bias: arms is {arms} and points {points}, expected at least 1 and 2")
    noise = np.array([NormalDist().inv_cdf((k + 0.5) / points) for k in range(points)])
    rewards = -0.1 + noise / noise.std()
    dynamics: dict[tuple[str, str], list[tuple[float, str, float]]] = {
        ("A", "left"): [(1.0, "B", 0.0)],
        ("A", "right"): [(1.0, "end", 0.0)],
    }
    dynamics |= {("B", f"arm {arm}"): [(1 / points, "end", float(r)) for r in rewards] for arm in range(arms)}
    return MDP.of("maximization_bias", dynamics)


def garnet(states: int = 20, actions: int = 4, branches: int = 3, seed: int = 0) -> MDP:
    """A random world without end: each action leads to `branches` states with random probabilities, and is worth a
    normal reward. Archibald, McKinnon & Thomas 1995. Begins anywhere."""
    if not 1 <= branches <= states or actions < 1:
        raise ValueError(
            f"garnet: {branches} branches, {states} states, {actions} actions; expected 1 <= branches <= states"
        )
    rng = np.random.default_rng(seed)
    transition = np.zeros((states, actions, states))
    for s, a in np.ndindex(states, actions):
        transition[s, a, rng.choice(states, branches, replace=False)] = rng.dirichlet(np.ones(branches))
    return MDP.of_arrays("garnet", transition, rng.normal(size=(states, actions)), np.full(states, 1 / states))

"""How to explore a many-armed bandit: epsilon-greedy and upper confidence bounds, on many rows at once.

    rng = np.random.default_rng(0)
    curves = play(normal_testbed(2000, rng), epsilon_greedy(0.1), steps=1000, rng=rng)
    curves.reward, curves.optimal  # the two curves of Sutton & Barto, figure 2.2

A rule sees the estimates and chooses an arm in each row, int64 [B]; equal scores are decided by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from envs.api import Array
from envs.tabular.bandits import Bandits


class Estimates:
    """What is known about each arm, [B, K]: kept up to date reward by reward, without remembering rewards."""

    def __init__(self, rows: int, arms: int) -> None:
        self.counts = np.zeros((rows, arms), np.int64)
        self.means = np.zeros((rows, arms))  # of the rewards so far, 0 before the first
        self.squares = np.zeros((rows, arms))  # sum of squared differences to the mean

    def add(self, arms: Array, rewards: Array) -> None:
        """Row b got `rewards[b]` for `arms[b]`: mean += (reward - mean) / n. Welford 1962; Sutton & Barto, eq. 2.3."""
        at = np.arange(len(arms)), arms
        self.counts[at] += 1
        before = rewards - self.means[at]
        self.means[at] += before / self.counts[at]
        self.squares[at] += before * (rewards - self.means[at])


Rule = Callable[[Estimates, np.random.Generator], Array]


def epsilon_greedy(epsilon: float) -> Rule:
    """The arm with the best mean; with probability epsilon any arm, all alike. Epsilon 0 is greedy."""
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon is a probability, but is {epsilon}")

    def choose(known: Estimates, rng: np.random.Generator) -> Array:
        rows, arms = known.means.shape
        explore = rng.random(rows) < epsilon
        return np.where(explore, rng.integers(arms, size=rows), _best(known.means, rng))

    return choose


def ucb_deviation(c: float) -> Rule:
    """The arm with the best mean + c * its standard deviation s / sqrt(n), s that of the arm's n rewards.

    That of the mean, not of a reward: it shrinks as the arm becomes known. s takes two rewards, hence each arm
    is pulled twice first.
    """

    def choose(known: Estimates, rng: np.random.Generator) -> Array:
        n = np.maximum(known.counts, 2)
        deviation = np.sqrt(known.squares / (n - 1) / n)
        return _best(np.where(known.counts < 2, np.inf, known.means + c * deviation), rng)

    return choose


def ucb1(c: float = 2**0.5) -> Rule:
    """The arm with the best mean + c * sqrt(log(t) / n) after t pulls, n of this arm; each arm is pulled once first.

    UCB1 of Auer, Cesa-Bianchi & Fischer 2002 with c = sqrt(2), for rewards in [0, 1]; Sutton & Barto, eq. 2.10.
    """

    def choose(known: Estimates, rng: np.random.Generator) -> Array:
        t = np.maximum(known.counts.sum(1, keepdims=True), 1)
        bound = known.means + c * np.sqrt(np.log(t) / np.maximum(known.counts, 1))
        return _best(np.where(known.counts == 0, np.inf, bound), rng)

    return choose


class Curves(NamedTuple):
    """Means over the rows, both [steps]."""

    reward: Array
    optimal: Array  # share of rows in which the arm with the highest expected reward was pulled


def play(bandits: Bandits, rule: Rule, steps: int, rng: np.random.Generator) -> Curves:
    """Follow a rule that knows nothing at first, for `steps` pulls in each row."""
    known = Estimates(*bandits.means.shape)
    best = bandits.means.argmax(1)
    curves = Curves(np.empty(steps), np.empty(steps))
    for t in range(steps):
        arms = rule(known, rng)
        rewards = bandits.pull(arms, rng)
        known.add(arms, rewards)
        curves.reward[t], curves.optimal[t] = rewards.mean(), (arms == best).mean()
    return curves


def _best(scores: Array, rng: np.random.Generator) -> Array:
    """The column of a largest entry in each row, one of them by chance where there are several."""
    largest = scores == scores.max(1, keepdims=True)
    return np.asarray(np.where(largest, rng.random(scores.shape), -1.0).argmax(1))

"""Ratings from results: Bradley-Terry by maximum likelihood, on Elo's scale.

A player rated r is expected to score 1 / (1 + 10 ** ((s - r) / 400)) against one rated s (Bradley & Terry 1952,
https://doi.org/10.2307/2334029). A draw is half a win and half a loss, so that ratings are where everybody's expected
score is the score that was made. They are relative: their mean is 0.

Each pairing's score is first drawn towards 1/2 by half a won and half a lost game (Jeffreys' prior), so that the
ratings of those who won or lost everything have an end. The interval of a rating spans 95 % of what it would be for
other scores that are as plausible: draws from each pairing's posterior, a beta distribution of as many games as a coin
needs to vary as the scores of the groups do. So who won all has a firm lower end and a far upper one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.arena.estimates import Interval, grouped_score
from envs.api import Array

ELO = 400 / np.log(10)  # points for each unit of the log odds: a score of 75 % is 190.85 points
DRAWS = 2000  # of plausible scores
RIDGE = 1e-6  # games drawn against the average: where groups of players never met, each has the mean 0
BLOCK = 2_000_000  # numbers held at once, so that memory does not grow with the square of the players
STEP = 2.0  # the longest step of Newton's method, in log odds


class Pairing(NamedTuple):
    """What `first` scored against `second`: the mean of each group of games [G] in [0, 1], and its games [G]."""

    first: int
    second: int
    scores: Array
    games: Array


class Rating(NamedTuple):
    elo: float
    interval: Interval  # of the difference to the mean of all


def bradley_terry(
    players: int, pairings: Sequence[Pairing], rng: np.random.Generator, confidence: float = 0.95
) -> list[Rating]:
    """The rating of each player. Nobody is paired twice with the same player, or with itself."""
    first = np.array([pairing.first for pairing in pairings], np.int64)
    second = np.array([pairing.second for pairing in pairings], np.int64)
    games = np.array([pairing.games.sum() for pairing in pairings], np.float64)
    found = [grouped_score(pairing.scores, pairing.games) for pairing in pairings]
    won = np.array([score.mean * score.trials + 0.5 for score in found])
    lost = np.array([(1 - score.mean) * score.trials + 0.5 for score in found])
    plausible = np.vstack([won / (won + lost), rng.beta(won, lost, (DRAWS, len(pairings)))])
    rows = max(1, BLOCK // players**2)
    blocks = [plausible[start : start + rows] for start in range(0, len(plausible), rows)]
    elo = ELO * np.concatenate([strengths(players, first, second, games, block) for block in blocks])
    tail = (1 - confidence) / 2
    low, high = np.quantile(elo[1:], [tail, 1 - tail], axis=0)
    return [Rating(float(r), Interval(float(a), float(b))) for r, a, b in zip(elo[0], low, high, strict=True)]


def expected_score(elo: float) -> float:
    """Of a player rated so many points above the other."""
    return float(1 / (1 + np.exp(-elo / ELO)))


def strengths(players: int, first: Array, second: Array, games: Array, scores: Array) -> Array:
    """Log strengths [R, players], with mean 0, of largest likelihood for each of R sets of scores [R, pairings].

    first, second, games: [pairings]. A score of 0 or 1 has no finite answer where everybody else agrees with it.
    The likelihood is concave; this is Newton's method with bounded steps.
    """
    strength, every = np.zeros((len(scores), players)), np.arange(players)
    meets = np.zeros((len(first), players))  # +1 at the first, -1 at the second
    meets[np.arange(len(first)), first], meets[np.arange(len(first)), second] = 1, -1
    for _ in range(1000):
        expected = _logistic(strength @ meets.T)
        slope = (games * (scores - expected)) @ meets - RIDGE * strength
        bend = games * expected * (1 - expected)
        curvature = np.zeros((len(scores), players, players))
        curvature[:, first, second] = curvature[:, second, first] = -bend
        curvature[:, every, every] = bend @ np.abs(meets) + RIDGE
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        strength += step * (STEP / np.maximum(np.abs(step).max(1, keepdims=True), STEP))
        if np.abs(slope).max() <= 1e-10 * games.sum():
            break
    return strength - strength.mean(1, keepdims=True)


def _logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))

"""The sequential probability ratio test: stop a match as soon as it has told two hypotheses apart.

H0: the first player is `elo0` points stronger than the second; H1: `elo1`. What is looked at are the mean scores of
pairs of games with one opening, which are independent, and take five values. The likelihood ratio is the generalized
one: of all distributions over the five values with the mean of a hypothesis, the likeliest is compared
(Wald 1945, https://doi.org/10.1214/aoms/1177731118; the pentanomial form is that of Stockfish's tests,
https://cantate.be/Fishtest/GSPRT_approximation.pdf).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.arena.ratings import expected_score
from envs.api import Array

VALUES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # mean scores of two games
RARE = 1e-3  # stands for a count of 0, so that either mean is possible


class Sprt(NamedTuple):
    """H0 is accepted where H1 holds with a probability of about `beta`, and H1 where H0 holds with `alpha`."""

    elo0: float
    elo1: float
    alpha: float = 0.05
    beta: float = 0.05

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the log likelihood ratio: at or below the first H0 is accepted, at or above the second H1."""
        return float(np.log(self.beta / (1 - self.alpha))), float(np.log((1 - self.beta) / self.alpha))

    def ratio(self, scores: Array) -> float:
        """log P(scores | H1) / P(scores | H0) of pairs' mean scores [G], each one of VALUES."""
        counts = np.array([(np.abs(np.asarray(scores) - value) < 1e-9).sum() for value in VALUES], np.float64)
        if counts.sum() != len(scores):
            raise ValueError("expected mean scores of two games each: 0, 0.25, 0.5, 0.75 or 1")
        counts = np.maximum(counts, RARE)
        likely = [_likeliest(counts, expected_score(elo)) for elo in (self.elo0, self.elo1)]
        return float(counts @ np.log(likely[1] / likely[0]))

    def verdict(self, scores: Array) -> str | None:
        """H0 or H1, whichever is accepted; None: play on."""
        low, high = self.bounds
        ratio = self.ratio(scores)
        return "H0" if ratio <= low else "H1" if ratio >= high else None

    def report(self, scores: Array) -> str:
        """What has come out, in words."""
        low, high = self.bounds
        one, other = f"{self.elo0:g}", f"{self.elo1:g}"
        told = {
            "H0": f"a lead of {one} points, rather than {other}",
            "H1": f"a lead of {other} points, rather than {one}",
            None: "undecided",
        }
        found = f"log likelihood ratio {self.ratio(scores):.2f}, decided below {low:.2f} and above {high:.2f}"
        return f"sequential test after {2 * len(scores)} games: {told[self.verdict(scores)]} ({found})"


def sprt(elo0: float, elo1: float, players: int, seats: int) -> Sprt:
    """Raises ValueError unless elo0 < elo1, for two players of a game of two seats."""
    if (players, seats) != (2, 2):
        raise ValueError("a sequential test is for two players and a game of two seats")
    if not elo0 < elo1 or not np.isfinite([elo0, elo1]).all():
        raise ValueError(f"a sequential test tells elo0 from a greater elo1, found {elo0:g} and {elo1:g}")
    return Sprt(elo0, elo1)


def _likeliest(counts: Array, mean: float) -> Array:
    """The distribution over VALUES with this mean that makes the counts likeliest: counts / (1 + t * (value - mean)).

    t, Lagrange's multiplier, is where the mean is met; between the poles that is at one place.
    """
    from scipy.optimize import brentq

    share, away = counts / counts.sum(), VALUES - mean
    edge = 1e-12
    low, high = -1 / away.max() + edge, -1 / away.min() - edge
    t = brentq(lambda t: (share * away / (1 + t * away)).sum(), low, high, xtol=1e-14)
    return share / (1 + t * away)

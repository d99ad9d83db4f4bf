"""Many-armed bandits: no state, one choice, a noisy reward. Many independent problems at once, one in each row.

worlds = normal_testbed(2000, rng)
reward = pull(worlds, row, arm, streams)                # in compiled code, as is drift
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from envs.api import Array
from envs.compiled import INLINED, STREAMS, compiler
from envs.streams import normal, uniform

inner = compiler([STREAMS], **INLINED)


class Bandits(NamedTuple):
    """B problems with K arms each. Made by the functions below, which raise ValueError for what is no bandit."""

    means: Array  # [B, K] expected rewards
    deviation: float  # standard deviation of a reward, the same for all arms
    bernoulli: bool  # a reward is 1 with its arm's mean as probability, else 0
    drift: float  # standard deviation of what each mean moves by after each pull


def normal_bandits(means: ArrayLike, deviation: float = 1.0, drift: float = 0.0) -> Bandits:
    """A pull pays the arm's mean plus normal noise."""
    means = np.array(means, np.float64)
    if means.ndim != 2 or not np.isfinite(means).all() or min(deviation, drift) < 0:
        raise ValueError(
            "bandits need finite means [B, K], and a deviation and a drift that are not negative, but found means of "
            f"shape {means.shape}, a deviation of {deviation} and a drift of {drift}"
        )
    return Bandits(means, float(deviation), False, float(drift))


def bernoulli_bandits(means: ArrayLike) -> Bandits:
    """A pull pays 1 or 0."""
    means = np.array(means, np.float64)
    if means.ndim != 2 or not ((means >= 0) & (means <= 1)).all():
        raise ValueError(f"bandits that pay 1 or 0 need probabilities [B, K], but found\n{means}")
    return Bandits(means, 0.0, True, 0.0)


def normal_testbed(rows: int, rng: np.random.Generator, arms: int = 10, mean: float = 0.0) -> Bandits:
    """Problems whose means are drawn from a normal of deviation 1: 2000 rows of them in Sutton & Barto, section 2.3."""
    return normal_bandits(rng.normal(mean, size=(rows, arms)))


def walking_testbed(rows: int, arms: int = 10, drift: float = 0.01) -> Bandits:
    """Problems whose means begin equal and walk at random. Sutton & Barto, exercise 2.5."""
    return normal_bandits(np.zeros((rows, arms)), drift=drift)


def bernoulli_testbed(rows: int, rng: np.random.Generator, arms: int = 10) -> Bandits:
    """Problems whose probabilities are drawn uniformly."""
    return bernoulli_bandits(rng.random((rows, arms)))


# In compiled code ----------------------------------------------------------------------------------------------------


@inner
def pull(worlds: Bandits, row: int, arm: int, streams: Array) -> float:
    """The reward of an arm."""
    mean = worlds.means[row, arm]
    if worlds.bernoulli:
        return 1.0 if uniform(streams, row) < mean else 0.0
    return mean + worlds.deviation * normal(streams, row)


@inner
def drift(worlds: Bandits, row: int, streams: Array) -> None:
    """Every mean of a row moves."""
    for arm in range(worlds.means.shape[1]):
        worlds.means[row, arm] += worlds.drift * normal(streams, row)

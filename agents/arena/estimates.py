"""What a sample of results says about the true value, and how surely: point estimates and intervals."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from envs.api import Array

BLOCK = 1_000_000  # resampled values held at once, so that memory does not grow with the sample


class Interval(NamedTuple):
    low: float
    high: float


class Score(NamedTuple):
    """A mean of scores in [0, 1], its interval, and how many games of win or loss would be as telling."""

    mean: float
    interval: Interval
    trials: float


def iqm(values: ArrayLike) -> float:
    """Interquartile mean of `values` [n]: the mean of the middle half.

    Less sensitive to outliers than the mean, less noisy than the median (Agarwal et al. 2021,
    https://arxiv.org/abs/2108.13264). Raises ValueError for an empty sample.
    """
    from scipy.stats import trim_mean

    return float(trim_mean(_sample(values, at_least=1), 0.25))


def bootstrap_mean(
    values: ArrayLike, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 10_000
) -> Interval:
    """Percentile bootstrap interval of the mean of `values` [n] (Efron 1979).

    Slightly too narrow for small samples: with 20 normal values a 95 % interval covers about 93 %.
    Raises ValueError for fewer than two values, which say nothing about their spread.
    """
    sample = _sample(values, at_least=2)
    block = max(1, BLOCK // len(sample))
    means = np.concatenate(
        [
            sample[rng.integers(len(sample), size=(min(block, resamples - start), len(sample)))].mean(axis=1)
            for start in range(0, resamples, block)
        ]
    )
    tail = (1 - _fraction(confidence)) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bootstrap_difference(
    ours: ArrayLike, theirs: ArrayLike, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 10_000
) -> Interval:
    """Percentile bootstrap interval of the mean of `ours - theirs`, both [n] and paired index by index.

    Resampling pairs keeps what the two have in common (the same episode seeds) out of the interval.
    """
    a, b = _sample(ours, at_least=2), _sample(theirs, at_least=2)
    if len(a) != len(b):
        raise ValueError(f"paired samples differ in size: {len(a)} and {len(b)}")
    return bootstrap_mean(a - b, rng, confidence, resamples)


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Score interval of a probability (Wilson 1927). A draw may count as half a success.

    Stays within [0, 1] and says something even at 0 or all successes, where the normal interval has no width.
    """
    if not 0 <= successes <= trials or trials <= 0:
        raise ValueError(f"expected 0 <= successes <= trials with at least one trial, got {successes} of {trials}")
    z = NormalDist().inv_cdf((1 + _fraction(confidence)) / 2)
    p, share = successes / trials, z * z / trials
    middle = (p + share / 2) / (1 + share)
    reach = z * np.sqrt(p * (1 - p) / trials + share / (4 * trials)) / (1 + share)
    return Interval(max(0.0, float(middle - reach)), min(1.0, float(middle + reach)))


def grouped_score(scores: ArrayLike, weights: ArrayLike | None = None, confidence: float = 0.95) -> Score:
    """What groups of games say of a score, such as the two games of one opening: groups are independent, games are not.

    scores: [G] in [0, 1], the mean of each group. weights: [G], its number of games (default: all the same). Wilson's
    interval of as many trials as a coin needs for the variance that the groups show. Two groups are added for that
    variance, one all won and one all lost: so a score of 0 or 1 counts every group as one trial, and only draws don't
    pretend to be certain either. Raises ValueError for an empty sample.
    """
    values = _sample(scores, at_least=1)
    share = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    mean = float(np.average(values, weights=share))
    padded, padding = np.append(values, [0.0, 1.0]), np.append(share, [share.mean(), share.mean()])
    padding /= padding.sum()
    centre = padded @ padding
    variance = (padding**2) @ (padded - centre) ** 2 * len(padded) / len(values)
    trials = float(centre * (1 - centre) / variance)
    return Score(mean, wilson(mean * trials, trials, confidence), trials)


def _sample(values: ArrayLike, at_least: int) -> Array:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < at_least:
        raise ValueError(f"expected at least {at_least} value(s) in one dimension, got shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError("expected finite values")
    return sample


def _fraction(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a probability such as 0.95, got {confidence}")
    return confidence

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from scipy import stats

from envs.api import Array
from envs.streams import below, draw, gamma, gumbel, seed, uniform, words


@njit(cache=False)
def sampled(streams: Array, alpha: float, weights: Array, found: Array) -> None:
    for index in range(found.shape[1]):
        found[0, index] = uniform(streams, 0)
        found[1, index] = gumbel(streams, 0)
        found[2, index] = gamma(streams, 0, alpha)
        found[3, index] = below(streams, 0, 6)
        found[4, index] = draw(streams, 0, weights, len(weights))


@pytest.mark.parametrize("alpha", [0.3, 2.5])
def test_samples_have_their_distributions(alpha: float) -> None:
    streams, found = np.empty(1, np.uint64), np.empty((5, 20_000))
    seed(np.array([7], np.uint64), streams)
    weights = np.array([0.0, 2.0, 0.0, 1.0, 1.0])
    sampled(streams, alpha, weights, found)
    assert stats.kstest(found[0], "uniform").pvalue > 1e-3
    assert stats.kstest(found[1], "gumbel_r").pvalue > 1e-3
    assert stats.kstest(found[2], "gamma", (alpha,)).pvalue > 1e-3
    assert stats.kstest(found[2], "gamma", (alpha * 1.1,)).pvalue < 1e-3  # or else the test would see nothing
    assert stats.chisquare(np.bincount(found[3].astype(int), minlength=6)).pvalue > 1e-3
    drawn = np.bincount(found[4].astype(int), minlength=5)
    assert drawn[[0, 2]].tolist() == [0, 0]
    assert stats.chisquare(drawn[[1, 3, 4]], 20_000 * weights[[1, 3, 4]] / 4).pvalue > 1e-3


def test_neighbouring_seeds_begin_apart() -> None:
    streams, found = np.empty(1000, np.uint64), np.empty(1000, np.uint64)
    seed(np.arange(1000, dtype=np.uint64), streams)
    words(streams, np.arange(1000), found)
    assert len(set(found.tolist())) == 1000
    bits = np.unpackbits(found.view(np.uint8)).reshape(1000, 64).mean(0)
    assert np.abs(bits - 0.5).max() < 5 * 0.5 / np.sqrt(1000)

"""Distributions of single draws, against scipy and themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from generative.inference.distributions import Bernoulli, Beta, Categorical, Distribution, Gaussian


@pytest.mark.parametrize(
    ("distribution", "peer"),
    [(Gaussian(0.3, 1.7), stats.norm(0.3, 1.7)), (Beta(2.0, 3.5), stats.beta(2.0, 3.5))],
)
def test_densities(distribution: Distribution, peer: object) -> None:
    for value in (0.1, 0.5, 0.9):
        assert distribution.log_prob(value) == pytest.approx(peer.logpdf(value), rel=1e-12)  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    draws = [distribution.draw(rng) for _ in range(20_000)]
    assert np.mean(draws) == pytest.approx(peer.mean(), abs=4 * peer.std() / math.sqrt(20_000))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="can't be counted"):
        distribution.support()


def test_what_can_be_counted() -> None:
    for distribution in (Bernoulli(0.3), Categorical(("a", "b", "c"), (0.2, 0.5, 0.3))):
        chances = [math.exp(distribution.log_prob(value)) for value in distribution.support()]
        assert sum(chances) == pytest.approx(1)
        rng = np.random.default_rng(0)
        draws = [distribution.draw(rng) for _ in range(20_000)]
        for value, chance in zip(distribution.support(), chances, strict=True):
            share = np.mean([draw == value for draw in draws])
            assert share == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / 20_000))
    assert Bernoulli(1.0).log_prob(False) == -math.inf == Categorical(("a",), (1.0,)).log_prob("b")
    assert Beta(2.0, 2.0).log_prob(1.5) == -math.inf

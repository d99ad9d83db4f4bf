"""Variational inference on posteriors that are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from generative.inference.variational import (
    Normal,
    coordinate_ascent,
    fit,
    reparameterized_estimates,
    score_estimates,
)

LOG_2PI = math.log(2 * math.pi)


def seen(z: Tensor) -> Tensor:
    """x = 2 z + noise was 1.5, z and noise standard normal: z is N(.6, .2), and log p(x) -1.948657489."""
    return -((z[:, 0] ** 2 + (1.5 - 2 * z[:, 0]) ** 2) / 2) - LOG_2PI


def normal(mean: list[float], covariance: np.ndarray) -> Normal:
    return Normal(torch.tensor(mean), torch.linalg.cholesky(torch.from_numpy(covariance)))


def test_the_bound_is_the_evidence_at_the_posterior_and_lower_elsewhere() -> None:
    rng = np.random.default_rng(0)
    there = normal([0.6], np.array([[0.2]]))._replace(mean=torch.tensor([0.6], dtype=torch.float64))
    assert there.bound(seen, 100, rng) == pytest.approx(-1.948657489, abs=1e-9)
    prior = Normal(torch.zeros(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64))
    # E over the prior of (1.5 - 2 z)^2 / 2 + ln(2 pi) / 2, 4 standard errors of 400,000 draws.
    assert prior.bound(seen, 400_000, rng) == pytest.approx(-4.043938533, abs=4 * 4.2 / math.sqrt(400_000))


@pytest.mark.parametrize(("estimator", "precise"), [("reparameterized", 0.01), ("score", 0.03)])
def test_the_posterior_is_found(estimator: str, precise: float) -> None:
    found = fit(seen, 1, np.random.default_rng(0), estimator=estimator, steps=300)
    assert float(found.mean) == pytest.approx(0.6, abs=precise)
    assert float(found.covariance) == pytest.approx(0.2, abs=precise)
    with pytest.raises(ValueError, match="expected reparameterized or score"):
        fit(seen, 1, np.random.default_rng(0), estimator="scored")


def test_a_mean_field_is_too_sure_of_a_correlated_pair() -> None:
    """Correlation .9: variances .19 in place of 1, and a divergence of .830365603."""
    covariance = np.array([[1, 0.9], [0.9, 1]])
    precision = torch.from_numpy(np.linalg.inv(covariance))

    def joint(z: Tensor) -> Tensor:
        return -(z @ precision * z).sum(1) / 2

    *_, (mean, variance, divergence) = coordinate_ascent(np.zeros(2), precision.numpy(), 100)
    np.testing.assert_allclose(variance, 0.19, atol=1e-12)
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    assert divergence == pytest.approx(0.830365603, abs=1e-9)
    rng = np.random.default_rng(0)
    alone, whole = (fit(joint, 2, rng, mean_field=mean_field, steps=300) for mean_field in (True, False))
    np.testing.assert_allclose(np.diag(alone.covariance), 0.19, atol=0.01)
    np.testing.assert_allclose(whole.covariance, covariance, atol=0.05)


def test_coordinate_ascent_comes_nearer_with_each_sweep() -> None:
    precision = np.array([[2.0, 0.9, 0.3], [0.9, 1.5, -0.4], [0.3, -0.4, 1.0]])
    divergences = [found for _, _, found in coordinate_ascent(np.array([1.0, -2.0, 3.0]), precision, 20)]
    assert all(after < before for before, after in itertools.pairwise(divergences[:9]))
    assert divergences[-1] > 0.05


def test_both_estimators_are_right_and_one_varies_far_less() -> None:
    """The derivative of E z^2 by the mean of N(1, 1) is 2; variances 4, 30, and 18 with a baseline of 2."""
    noise = np.random.default_rng(0).standard_normal(1_000_000)
    found = {
        4: reparameterized_estimates(lambda z: 2 * z, 1.0, noise),
        30: score_estimates(np.square, 1.0, noise),
        18: score_estimates(np.square, 1.0, noise, baseline=2.0),
    }
    for variance, estimates in found.items():
        assert estimates.mean() == pytest.approx(2, abs=4 * math.sqrt(variance / 1e6))
        assert estimates.var() == pytest.approx(variance, rel=0.02)

"""Divergences of known distributions, and the GAN's game at its best discriminator."""

from __future__ import annotations

import numpy as np
import pytest

from generative.divergences import (
    bregman,
    burg_entropy,
    chi_squared,
    f_divergence,
    game_value,
    jensen_shannon,
    kl,
    negative_entropy,
    optimal_discriminator,
    reverse_kl,
    squared_norm,
    wasserstein,
)

P, Q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
HALF, SKEWED = np.array([0.5, 0.5]), np.array([0.9, 0.1])


def test_two_coins() -> None:
    assert kl(HALF, SKEWED) == pytest.approx(0.510825624, abs=5e-10)
    assert reverse_kl(HALF, SKEWED) == pytest.approx(0.368064207, abs=5e-10)
    assert jensen_shannon(HALF, SKEWED) == pytest.approx(0.101749225, abs=5e-10)
    assert chi_squared(HALF, SKEWED) == pytest.approx(1.777778, abs=5e-7)


def test_three_outcomes() -> None:
    assert kl(P, Q) == pytest.approx(0.584996, abs=5e-7)
    assert reverse_kl(P, Q) == pytest.approx(0.498224, abs=5e-7)
    assert jensen_shannon(P, Q) == pytest.approx(0.125101, abs=5e-7)
    assert chi_squared(P, Q) == pytest.approx(1.866667, abs=5e-7)


def test_what_generates_an_f_divergence_is_no_bregman_potential() -> None:
    """p log p - (p + 1) log (p + 1) is twice the Jensen-Shannon divergence less 2 ln 2 as f; (1 - p)^2 is Pearson's
    chi squared as f, and squared distance as a potential."""

    def f(ratio: np.ndarray) -> np.ndarray:
        return np.asarray(ratio * np.log(ratio) - (ratio + 1) * np.log(ratio + 1))

    assert f_divergence(P, Q, f) == pytest.approx(2 * jensen_shannon(P, Q) - 2 * np.log(2), abs=1e-12)
    assert bregman(P, Q, squared_norm) == pytest.approx(0.32, abs=1e-12) != chi_squared(P, Q)


def test_disjoint_distributions_are_ln_2_apart_however_far() -> None:
    assert jensen_shannon(np.array([1.0, 0, 0]), np.array([0, 0, 1.0])) == pytest.approx(np.log(2), abs=1e-12)
    assert kl(np.array([1.0, 0]), np.array([0, 1.0])) == np.inf
    for distance in (0.5, 3.0):
        assert wasserstein(np.zeros(4), np.full(4, distance)) == distance


def test_wasserstein_of_uniform_numbers() -> None:
    grid = (np.arange(100_000) + 0.5) / 100_000
    assert wasserstein(grid, 2 * grid[::-1]) == pytest.approx(0.5, abs=1e-9)


def test_bregman() -> None:
    rng = np.random.default_rng(0)
    x, y, z = (part / part.sum() for part in rng.random((3, 4)))
    assert bregman(x, y, negative_entropy) == pytest.approx(kl(x, y), abs=1e-12)
    assert bregman(3 * x, y, negative_entropy) == pytest.approx(
        (3 * x * np.log(3 * x / y) + y - 3 * x).sum(), abs=1e-12
    )
    assert bregman(np.array([1.0]), np.array([2.0]), burg_entropy) == pytest.approx(0.193147181, abs=5e-10)
    # The three-point identity.
    turned = (negative_entropy.gradient(z) - negative_entropy.gradient(y)) @ (x - y)
    parts = bregman(x, y, negative_entropy) + bregman(y, z, negative_entropy) - turned
    assert bregman(x, z, negative_entropy) == pytest.approx(parts, abs=1e-12)


def test_the_best_discriminator() -> None:
    best = optimal_discriminator(P, Q)
    assert game_value(P, Q, best) == pytest.approx(-1.136093, abs=5e-7)
    assert game_value(P, Q, best) == pytest.approx(2 * jensen_shannon(P, Q) - 2 * np.log(2), abs=1e-12)
    assert game_value(P, P, optimal_discriminator(P, P)) == pytest.approx(-1.386294, abs=5e-7)
    rng = np.random.default_rng(0)
    assert all(game_value(P, Q, rng.uniform(0.01, 0.99, 3)) < game_value(P, Q, best) for _ in range(100))

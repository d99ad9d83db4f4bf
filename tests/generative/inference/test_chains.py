"""Metropolis-Hastings, against exact acceptance, stationary laws and known effective sizes."""

from __future__ import annotations

import numpy as np
import pytest

from generative.inference.chains import (
    Array,
    autocorrelation,
    effective_size,
    independent,
    metropolis,
    r_hat,
    transitions,
    walk,
)

RING = np.array([[0, 0.5, 0, 0.5], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0.5, 0, 0.5, 0]])
TARGET = np.array([0.1, 0.2, 0.3, 0.4])


def bell(x: Array) -> Array:
    return -np.square(x).sum(-1) / 2


def normal_chain(deviation: float, chains: int = 50, steps: int = 4000, seed: int = 0) -> tuple[Array, float]:
    rng = np.random.default_rng(seed)
    found = metropolis(bell, rng.standard_normal((chains, 1)), steps, walk(deviation), rng)
    return found.samples, found.accepted


@pytest.mark.parametrize("deviation", [0.5, 1, 2, 2.4, 5, 10])
def test_a_walk_on_the_normal_distribution_is_accepted_so_often(deviation: float) -> None:
    """(2 / pi) atan(2 / s). Acceptances are correlated: 4 standard errors of 200,000 steps of a tenth of the worth."""
    exact = 2 / np.pi * np.arctan(2 / deviation)
    assert normal_chain(deviation)[1] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_moments_and_how_much_they_are_worth() -> None:
    """At s = 2.4 the sum of autocorrelations is about 4.6, lag one .625."""
    samples, _ = normal_chain(2.4)
    size = effective_size(samples)[0]
    assert samples[:, :, 0].size / size == pytest.approx(4.6, rel=0.1)
    assert autocorrelation(samples)[1, 0] == pytest.approx(0.625, abs=0.02)
    assert samples.mean() == pytest.approx(0, abs=4 / np.sqrt(size))
    assert samples.var() == pytest.approx(1, abs=4 * np.sqrt(2 / size))


def test_in_many_dimensions_a_quarter_is_accepted_at_the_best_scale() -> None:
    rng = np.random.default_rng(0)
    chain = metropolis(bell, rng.standard_normal((20, 50)), 3000, walk(2.38 / np.sqrt(50)), rng)
    assert chain.accepted == pytest.approx(0.234, abs=0.02)


def test_the_ring_of_four_states() -> None:
    chain = transitions(TARGET, RING)
    expected = [[0, 0.5, 0, 0.5], [0.25, 0.25, 0.5, 0], [0, 1 / 3, 1 / 6, 0.5], [0.125, 0, 0.375, 0.5]]
    np.testing.assert_allclose(chain, expected, atol=1e-15)
    values = np.sort(np.linalg.eigvals(chain).real)[::-1]
    np.testing.assert_allclose(values, [1, 0.386235, 0.051735, -0.521303], atol=1e-6)
    flow = TARGET[:, None] * chain
    np.testing.assert_allclose(flow, flow.T, atol=1e-15)


def test_without_hastings_ratio_a_lopsided_proposal_ends_elsewhere() -> None:
    """Candidates x + 1 + noise: right with their ratio; without it, as of a symmetric one, too high."""

    def lopsided(x: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        step = 1 + rng.standard_normal(x.shape)
        return x + step, (np.square(step - 1) - np.square(-step - 1)).sum(1) / 2

    def mean(broken: bool) -> float:
        rng = np.random.default_rng(0)
        proposal = (lambda x, rng: (lopsided(x, rng)[0], 0.0)) if broken else lopsided
        return float(metropolis(bell, rng.standard_normal((100, 1)), 2000, proposal, rng).samples.mean())

    assert abs(mean(broken=False)) < 0.05
    assert mean(broken=True) > 0.5


def test_candidates_of_the_target_itself_are_always_taken() -> None:
    rng = np.random.default_rng(0)
    proposal = independent(lambda n, rng: rng.standard_normal((n, 2)), bell)
    chain = metropolis(bell, rng.standard_normal((10, 2)), 200, proposal, rng)
    assert chain.accepted == 1
    np.testing.assert_allclose(r_hat(chain.samples), 1, atol=0.02)


def test_the_coin_that_fell_on_heads_4_times_of_10() -> None:
    """Beta(5, 7) from a uniform prior: mean 5 / 12, variance .01869658. No density outside of [0, 1]."""

    def log_density(x: Array) -> Array:
        inside = np.clip(x[:, 0], 1e-12, 1 - 1e-12)
        return np.where((x[:, 0] == inside), 4 * np.log(inside) + 6 * np.log1p(-inside), -np.inf)

    rng = np.random.default_rng(0)
    chain = metropolis(log_density, np.full((100, 1), 0.5), 2000, walk(1.0), rng)
    samples = chain.samples[100:]
    size = effective_size(samples)[0]
    assert chain.accepted == pytest.approx(0.172, abs=0.005)
    assert samples.mean() == pytest.approx(5 / 12, abs=4 * np.sqrt(0.01869658 / size))
    assert samples.var() == pytest.approx(0.01869658, rel=4 * np.sqrt(2 / size))
    with pytest.raises(ValueError, match="chain 1 begins"):
        metropolis(log_density, np.array([[0.5], [1.5]]), 1, walk(1.0), rng)


def test_chains_that_have_not_met_are_told() -> None:
    rng = np.random.default_rng(0)
    apart = metropolis(bell, np.array([[-8.0], [8.0]]), 60, walk(0.1), rng).samples
    assert r_hat(apart)[0] > 2
    assert r_hat(normal_chain(2.4)[0])[0] == pytest.approx(1, abs=0.01)

"""How often what is chosen, and the moments of noise, against what they must be."""

from __future__ import annotations

import numpy as np
import pytest

from agents.maths.explore import epsilon_greedy, gaussian_noise, ornstein_uhlenbeck
from envs.api import Array

B, A = 60_000, 5


def q_values(count: int = B) -> Array:
    return np.tile(np.array([0.1, 0.4, 9.0, 0.3, 0.2], np.float32), (count, 1))


def frequencies(actions: Array) -> Array:
    return np.bincount(actions, minlength=A) / len(actions)


@pytest.mark.parametrize("masked", [False, True])
def test_epsilon_greedy_frequencies(masked: bool) -> None:
    """epsilon / (number legal) each, and the rest for the best legal action."""
    mask = np.tile([True, True, False, True, False], (B, 1)) if masked else None
    actions = epsilon_greedy(q_values(), 0.3, mask, np.random.default_rng(0))
    expected = [0.1, 0.8, 0, 0.1, 0] if masked else [0.06, 0.06, 0.76, 0.06, 0.06]
    np.testing.assert_allclose(frequencies(actions), expected, atol=0.006)  # three standard errors
    assert actions.dtype == np.int64


def test_epsilon_greedy_at_its_ends() -> None:
    rng = np.random.default_rng(0)
    assert (epsilon_greedy(q_values(), 0.0, None, rng) == 2).all()
    np.testing.assert_allclose(frequencies(epsilon_greedy(q_values(), 1.0, None, rng)), 0.2, atol=0.006)
    per_row = np.where(np.arange(B) % 2 == 0, 0.0, 1.0)
    actions = epsilon_greedy(q_values(), per_row, None, rng)
    assert (actions[::2] == 2).all()
    np.testing.assert_allclose(frequencies(actions[1::2]), 0.2, atol=0.008)


def test_masks_are_kept_whatever_they_are() -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((5000, A)) < 0.3
    mask[np.arange(5000), rng.integers(0, A, 5000)] = True
    q = rng.normal(size=(5000, A)) - 100.0
    for epsilon in (0.0, 0.5, 1.0):
        assert mask[np.arange(5000), epsilon_greedy(q, epsilon, mask, rng)].all()
    greedy = epsilon_greedy(q, 0.0, mask, rng)
    assert (q[np.arange(5000), greedy] == np.where(mask, q, -np.inf).max(1)).all()
    unmasked = epsilon_greedy(q, 0.5, None, rng)
    assert not mask[np.arange(5000), unmasked].all()


def test_draws_depend_on_the_seed_and_not_on_epsilon() -> None:
    a, b, c = (np.random.default_rng(seed) for seed in (0, 0, 1))
    first = epsilon_greedy(q_values(), 0.5, None, a)
    np.testing.assert_array_equal(first, epsilon_greedy(q_values(), 0.5, None, b))
    assert (first != epsilon_greedy(q_values(), 0.5, None, c)).any()
    epsilon_greedy(q_values(3), 0.0, None, a)
    epsilon_greedy(q_values(3), 1.0, np.ones((3, A), bool), b)
    assert a.random() == b.random()


def test_gaussian_noise() -> None:
    noise = gaussian_noise((50_000, 2), 0.2, np.random.default_rng(0))
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.004)
    np.testing.assert_allclose(noise.std(0), 0.2, atol=0.003)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.02
    wide = gaussian_noise((50_000, 2), np.array([0.1, 1.0]), np.random.default_rng(0))
    np.testing.assert_allclose(wide.std(0), [0.1, 1.0], rtol=0.02)


@pytest.mark.parametrize(("theta", "dt"), [(0.15, 1.0), (2.0, 0.1)])
def test_ornstein_uhlenbeck_in_the_long_run(theta: float, dt: float) -> None:
    """Stationary variance sigma^2 dt / (1 - a^2) and autocorrelation a^lag, a = 1 - theta dt."""
    rng, sigma, a = np.random.default_rng(0), 0.3, 1 - theta * dt
    level = np.zeros((20_000, 2), np.float32)
    history = [level]
    for _ in range(80):
        level = ornstein_uhlenbeck(level, theta, sigma, rng, dt)
        history.append(level)
    assert level.dtype == np.float32
    past = np.stack(history)
    assert past[1].var() == pytest.approx(sigma**2 * dt, rel=0.03)  # it starts at 0, and spreads
    variance = sigma**2 * dt / (1 - a**2)
    assert past[-1].mean() == pytest.approx(0, abs=4 * (variance / 40_000) ** 0.5)
    assert past[-1].var() == pytest.approx(variance, rel=0.03)
    for lag in (1, 3, 10):
        correlation = np.corrcoef(past[-1].reshape(-1), past[-1 - lag].reshape(-1))[0, 1]
        assert correlation == pytest.approx(a**lag, abs=0.02)
    assert variance > 1.5 * past[1].var()  # independent noise of the same sigma would have neither


def test_ornstein_uhlenbeck_goes_on_from_its_level() -> None:
    level = np.ones((3, 2), np.float32)
    level[1] = 0.0  # a row whose episode ended starts at 0 again
    quiet = ornstein_uhlenbeck(level, 0.25, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(quiet, 0.75 * level)
    np.testing.assert_array_equal(level, [[1, 1], [0, 0], [1, 1]])
    a, b = (ornstein_uhlenbeck(level, 0.25, 0.1, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a, b)

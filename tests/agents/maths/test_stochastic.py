"""Drawing in numpy against the probabilities, and against torch's densities, of the same distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch import distributions as theirs

from agents.maths.stochastic import Stochastic, stochastic, units
from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete

N = 20_000
LOGITS = np.array([0.3, -1.0, 2.0, 0.0, 1.1], np.float32)
SIZES = (2, 3)


def drawn(actions: Actions, outputs: Array, mask: Array | None, seed: int = 0) -> tuple[Stochastic, Array, Array]:
    family = stochastic(actions)
    rows = None if mask is None else np.tile(mask, (N, 1))
    action, log_prob = family.act(np.tile(outputs, (N, 1)), rows, np.random.default_rng(seed), True)
    assert log_prob is not None and log_prob.shape == (N,) and log_prob.dtype == np.float32
    return family, action, log_prob


def tensors(outputs: Array, mask: Array | None) -> tuple[Tensor, Tensor | None]:
    rows = None if mask is None else torch.from_numpy(np.tile(mask, (N, 1)))
    return torch.from_numpy(np.tile(outputs, (N, 1))), rows


@pytest.mark.parametrize("mask", [None, [True, False, True, True, False]])
def test_categorical(mask: list[bool] | None) -> None:
    legal = np.array([True] * 5 if mask is None else mask)
    given = None if mask is None else legal
    family, action, log_prob = drawn(Discrete(5), LOGITS, given)
    weights = np.exp(LOGITS.astype(np.float64)) * legal
    counts = np.bincount(action, minlength=5)
    assert not counts[~legal].any()
    assert stats.chisquare(counts[legal], N * (weights / weights.sum())[legal]).pvalue > 0.01
    np.testing.assert_allclose(log_prob, np.log(weights[action] / weights.sum()), rtol=1e-5)
    outputs, rows = tensors(LOGITS, given)
    np.testing.assert_allclose(family.log_prob(outputs, torch.from_numpy(action), rows), log_prob, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_multi_categorical(masked: bool) -> None:
    mask = np.array([True, True, True, False, True]) if masked else None
    family, action, log_prob = drawn(MultiDiscrete(SIZES), LOGITS, mask)
    assert action.shape == (N, 2)
    legal = np.ones(5) if mask is None else mask
    weights = np.exp(LOGITS.astype(np.float64)) * legal
    joint = np.outer(weights[:2] / weights[:2].sum(), weights[2:] / weights[2:].sum())
    counts = np.bincount(action[:, 0] * 3 + action[:, 1], minlength=6)
    likely = joint.reshape(-1) > 0
    assert not counts[~likely].any()
    assert stats.chisquare(counts[likely], N * joint.reshape(-1)[likely]).pvalue > 0.01
    np.testing.assert_allclose(log_prob, np.log(joint[action[:, 0], action[:, 1]]), rtol=1e-4)
    outputs, rows = tensors(LOGITS, mask)
    np.testing.assert_allclose(family.log_prob(outputs, torch.from_numpy(action), rows), log_prob, atol=1e-6)


def test_gaussian() -> None:
    mean, log_std = np.array([0.5, -2.0]), np.array([-1.0, 0.7])
    outputs = np.concatenate([mean, log_std]).astype(np.float32)
    family, action, log_prob = drawn(Continuous((-1.0, -1.0), (1.0, 1.0)), outputs, None)
    for d in range(2):
        assert stats.kstest(action[:, d], "norm", (mean[d], np.exp(log_std[d]))).pvalue > 0.01
    assert abs(np.corrcoef(action.T)[0, 1]) < 4 / N**0.5
    expected = theirs.Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_std)))
    np.testing.assert_allclose(log_prob, expected.log_prob(torch.from_numpy(action)).sum(-1), rtol=1e-4, atol=1e-4)
    wide, _ = tensors(outputs, None)
    np.testing.assert_allclose(family.log_prob(wide, torch.from_numpy(action), None), log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(family.entropy(wide[:1], None), [expected.entropy().sum()], rtol=1e-5)


def test_units_are_those_of_the_bounds() -> None:
    inf = np.inf
    low, high = (100.0, -2.0, -inf, 0.0, 3.0, -1e38), (200.0, 2.0, 1.0, inf, 3.0, 1e38)
    middle, half = units(Continuous(low, high))
    assert middle.dtype == half.dtype == np.float32
    np.testing.assert_array_equal(middle, np.array([150, 0, 0, 0, 0, 0], np.float32))
    np.testing.assert_array_equal(half, np.array([50, 2, 1, 1, 1, 1e38], np.float32))


@pytest.mark.parametrize(("low", "high", "middle", "half"), [(100.0, 200.0, 150, 50), (-1.0, 1.0, 0, 1)])
def test_a_gaussian_begins_at_the_middle_with_the_deviation_in_units_of_the_space(
    low: float, high: float, middle: float, half: float
) -> None:
    head = stochastic(Continuous((low,), (high,)), log_std=-1.0).head(3, torch.Generator().manual_seed(0))
    outputs = head(torch.zeros(1, 3)).detach().numpy()
    np.testing.assert_allclose(outputs, [[middle, np.log(half) - 1.0]], rtol=1e-6)


def test_without_exploration_the_likeliest_legal_action() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    mask = np.array([[True, True, False, True, False]])
    assert stochastic(Discrete(5)).act(LOGITS[None], None, rng, False)[0] == [2]
    assert stochastic(Discrete(5)).act(LOGITS[None], mask, rng, False)[0] == [0]
    np.testing.assert_array_equal(stochastic(MultiDiscrete(SIZES)).act(LOGITS[None], mask, rng, False)[0], [[0, 1]])
    mean, log_prob = stochastic(Continuous((-1.0,), (1.0,))).act(np.array([[0.3, 5.0]], np.float32), None, rng, False)
    np.testing.assert_array_equal(mean, np.array([[0.3]], np.float32))
    assert log_prob is None
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_extreme_logits_stay_finite_and_legal(scale: float) -> None:
    """Whatever the network says of an illegal action, and however far below the best a legal one is."""
    logits = np.array([scale, -scale, scale / 2], np.float32)
    for mask in ([True, True, True], [False, True, True], [False, True, False]):
        family = stochastic(Discrete(3))
        rows = np.tile(mask, (200, 1))
        action, log_prob = family.act(np.tile(logits, (200, 1)), rows, np.random.default_rng(0), True)
        assert np.isfinite(log_prob).all()  # type: ignore[arg-type]
        assert np.array(mask)[action].all()

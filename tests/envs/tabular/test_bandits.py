from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from envs.api import Array
from envs.streams import seed
from envs.tabular.bandits import (
    Bandits,
    bernoulli_bandits,
    bernoulli_testbed,
    drift,
    normal_bandits,
    normal_testbed,
    pull,
    walking_testbed,
)


@njit(cache=False)
def pulled(worlds: Bandits, arms: Array, streams: Array, rewards: Array) -> None:
    for row in range(len(arms)):
        rewards[row] = pull(worlds, row, arms[row], streams)
        drift(worlds, row, streams)


def pulls(worlds: Bandits, arms: Array) -> Array:
    streams, rewards = np.empty(len(arms), np.uint64), np.empty(len(arms))
    seed(np.arange(len(arms), dtype=np.uint64), streams)
    pulled(worlds, arms, streams, rewards)
    return rewards


def test_rewards_are_normal_around_the_mean_of_the_arm_that_was_pulled() -> None:
    rows = 40_000
    arms = np.arange(rows) % 2
    rewards = pulls(normal_bandits(np.tile([[-3.0, 5.0]], (rows, 1)), deviation=2.0), arms)
    for arm, mean in enumerate((-3.0, 5.0)):  # within 4 standard errors: a false alarm in some 10,000 seeds
        assert rewards[arms == arm].mean() == pytest.approx(mean, abs=4 * 2 / np.sqrt(rows / 2))
        assert rewards[arms == arm].std() == pytest.approx(2.0, abs=4 * 2 / np.sqrt(rows))
    assert pulls(normal_bandits([[1.0, 2.0], [3.0, 4.0]], 0.0), np.array([1, 0])).tolist() == [2.0, 3.0]


def test_rewards_of_one_or_nothing() -> None:
    rewards = pulls(bernoulli_bandits(np.tile([[0.0, 0.25, 1.0]], (30_000, 1))), np.arange(30_000) % 3)
    means = rewards.reshape(-1, 3).mean(0)
    assert means[[0, 2]].tolist() == [0.0, 1.0]
    assert means[1] == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 10_000))  # 4 standard errors


def test_means_walk() -> None:
    worlds = walking_testbed(20_000, arms=2, drift=0.1)
    assert not worlds.means.any()
    for _ in range(4):
        pulls(worlds, np.zeros(20_000, np.int64))  # with the same random numbers each time
    assert worlds.means.std() == pytest.approx(4 * 0.1, abs=4 * 0.4 / np.sqrt(2 * 40_000))  # 4 standard errors


def test_the_testbed_has_ten_standard_normal_arms() -> None:
    world = normal_testbed(2000, np.random.default_rng(1))
    assert world.means.shape == (2000, 10) and world.deviation == 1.0
    assert abs(world.means.mean()) < 0.03 and abs(world.means.std() - 1) < 0.03
    assert world.means.max(1).mean() == pytest.approx(1.5388, abs=0.05)  # expected largest of ten standard normals
    np.testing.assert_array_equal(world.means, normal_testbed(2000, np.random.default_rng(1)).means)
    assert normal_testbed(2000, np.random.default_rng(1), mean=4.0).means.mean() == pytest.approx(4.0, abs=0.03)
    uniform = bernoulli_testbed(2000, np.random.default_rng(1)).means
    assert 0 <= uniform.min() < 0.01 and 0.99 < uniform.max() <= 1


@pytest.mark.parametrize(("means", "deviation"), [(np.zeros(3), 1.0), (np.array([[np.nan]]), 1.0), (np.eye(2), -1.0)])
def test_what_is_no_bandit_is_refused(means: Array, deviation: float) -> None:
    with pytest.raises(ValueError, match="bandits"):
        normal_bandits(means, deviation)
    with pytest.raises(ValueError, match="probabilities"):
        bernoulli_bandits([[0.5, 1.5]])

from __future__ import annotations

import numpy as np
import pytest

from envs.api import Array
from envs.tabular.bandits import Bandits, normal_testbed


def test_rewards_are_normal_around_the_mean_of_the_arm_that_was_pulled() -> None:
    rows = 40_000
    world = Bandits(np.tile([[-3.0, 5.0]], (rows, 1)), deviation=2.0)
    arms = np.arange(rows) % 2
    rewards = world.pull(arms, np.random.default_rng(0))
    for arm, mean in enumerate((-3.0, 5.0)):
        assert rewards[arms == arm].mean() == pytest.approx(mean, abs=0.06)
        assert rewards[arms == arm].std() == pytest.approx(2.0, abs=0.04)
    exact = Bandits(np.array([[1.0, 2.0], [3.0, 4.0]]), deviation=0.0)
    assert exact.pull(np.array([1, 0]), np.random.default_rng(0)).tolist() == [2.0, 3.0]


def test_the_testbed_has_ten_standard_normal_arms() -> None:
    world = normal_testbed(2000, np.random.default_rng(1))
    assert world.means.shape == (2000, 10) and world.deviation == 1.0
    assert abs(world.means.mean()) < 0.03 and abs(world.means.std() - 1) < 0.03
    assert world.means.max(1).mean() == pytest.approx(1.5388, abs=0.05)  # expected largest of ten standard normals
    np.testing.assert_array_equal(world.means, normal_testbed(2000, np.random.default_rng(1)).means)


@pytest.mark.parametrize(("means", "deviation"), [(np.zeros(3), 1.0), (np.array([[np.nan]]), 1.0), (np.eye(2), -1.0)])
def test_what_is_no_bandit_is_refused(means: Array, deviation: float) -> None:
    with pytest.raises(ValueError, match="bandits"):
        Bandits(means, deviation)

from __future__ import annotations

import numpy as np
import pytest

from agents.tabular.bandits import Estimates, epsilon_greedy, play, ucb1, ucb_deviation
from envs.api import Array
from envs.tabular.bandits import Bandits, normal_testbed


def known(counts: list[int], means: list[float], squares: list[float], rows: int = 1) -> Estimates:
    estimates = Estimates(rows, len(counts))
    estimates.counts[:], estimates.means[:], estimates.squares[:] = counts, means, squares
    return estimates


def shares(arms: Array, count: int) -> Array:
    return np.bincount(arms, minlength=count) / len(arms)


def test_incremental_estimates_are_those_of_all_rewards() -> None:
    rng = np.random.default_rng(0)
    estimates, rewards = Estimates(3, 4), np.full((3, 4, 200), np.nan)
    for t in range(200):
        arms, reward = rng.integers(4, size=3), rng.normal(1e3, 1.0, size=3)
        estimates.add(arms, reward)
        rewards[np.arange(3), arms, t] = reward
    np.testing.assert_array_equal(estimates.counts, (~np.isnan(rewards)).sum(2))
    np.testing.assert_allclose(estimates.means, np.nanmean(rewards, axis=2), rtol=1e-12)
    variance = estimates.squares / (estimates.counts - 1)
    np.testing.assert_allclose(variance, np.nanvar(rewards, axis=2, ddof=1), rtol=1e-6)


def test_epsilon_greedy_takes_the_best_arm_and_otherwise_any() -> None:
    rng = np.random.default_rng(1)
    estimates = known([5, 5, 5, 5], [0.0, 3.0, -1.0, 2.0], [0.0] * 4, rows=40_000)
    assert (epsilon_greedy(0.0)(estimates, rng) == 1).all()
    chosen = shares(epsilon_greedy(0.4)(estimates, rng), 4)
    np.testing.assert_allclose(chosen, [0.1, 0.7, 0.1, 0.1], atol=0.01)  # 1 - epsilon + epsilon / K for the best


def test_ties_are_decided_by_chance() -> None:
    estimates = known([1, 1, 1], [2.0, 1.0, 2.0], [0.0] * 3, rows=40_000)
    chosen = shares(epsilon_greedy(0.0)(estimates, np.random.default_rng(2)), 3)
    np.testing.assert_allclose(chosen, [0.5, 0.0, 0.5], atol=0.01)


def test_ucb1_scores() -> None:
    # 1 + c * sqrt(log(100) / 90) against 0.5 + c * sqrt(log(100) / 10): equal at c = 1.1052...
    estimates = known([90, 10], [1.0, 0.5], [0.0, 0.0])
    even = 0.5 / (np.sqrt(np.log(100) / 10) - np.sqrt(np.log(100) / 90))
    rng = np.random.default_rng(3)
    assert ucb1(even - 1e-6)(estimates, rng) == 0
    assert ucb1(even + 1e-6)(estimates, rng) == 1
    assert ucb1()(estimates, rng) == 1
    assert ucb1()(known([9, 0, 9], [9.0, -9.0, 9.0], [0.0] * 3), rng) == 1  # what was never tried comes first


def test_ucb_deviation_scores() -> None:
    # squares / (n - 1) / n is 30 / 5 / 6 = 1 and 8 / 1 / 2 = 4, hence deviations of 1 and 2
    estimates = known([6, 2], [3.0, 1.0], [30.0, 8.0])
    rng = np.random.default_rng(4)
    assert ucb_deviation(1.99)(estimates, rng) == 0  # 3 + 1.99 * 1 against 1 + 1.99 * 2
    assert ucb_deviation(2.01)(estimates, rng) == 1
    assert ucb_deviation(1.0)(known([9, 1, 9], [9.0, -9.0, 9.0], [1.0, 0.0, 1.0]), rng) == 1


def test_the_curves_of_the_ten_armed_testbed() -> None:
    worlds = normal_testbed(1000, np.random.default_rng(5))
    rules = {
        "greedy": epsilon_greedy(0.0),
        "0.01": epsilon_greedy(0.01),
        "0.1": epsilon_greedy(0.1),
        "ucb": ucb1(2.0),
        "deviation": ucb_deviation(2.0),
    }
    curves = {name: play(worlds, rule, 1000, np.random.default_rng(6)) for name, rule in rules.items()}
    late = {name: (curve.reward[-100:].mean(), curve.optimal[-100:].mean()) for name, curve in curves.items()}
    assert all(curve.reward.shape == curve.optimal.shape == (1000,) for curve in curves.values())
    for curve in (curves["greedy"], curves["0.1"]):  # the first pull is blind
        assert abs(curve.reward[0]) < 0.15 and abs(curve.optimal[0] - 0.1) < 0.04
    assert late["greedy"][0] == pytest.approx(1.0, abs=0.1)  # Sutton & Barto, figure 2.2: stuck at about 1
    assert late["greedy"][1] == pytest.approx(1 / 3, abs=0.08)  # "approximately one-third of the tasks"
    assert 0.7 < late["0.1"][1] <= 0.91 + 0.01  # never above 1 - epsilon + epsilon / 10
    assert late["greedy"][0] < late["0.01"][0] < late["0.1"][0] < late["ucb"][0]  # figures 2.2 and 2.4
    assert late["deviation"][0] > late["greedy"][0] + 0.1


def test_the_regret_of_ucb1_stays_below_its_theorem() -> None:
    # Auer et al. 2002, theorem 1, proven for [0, 1]: normal noise of deviation 1/2 has the tails that the proof uses
    means, steps = np.array([0.9, 0.6, 0.5, 0.2]), 3000
    gaps = means.max() - means[means < means.max()]
    bound = (8 * np.log(steps) / gaps).sum() + (1 + np.pi**2 / 3) * gaps.sum()
    worlds = Bandits(np.tile(means, (50, 1)), deviation=0.5)
    regret = {
        name: (means.max() - play(worlds, rule, steps, np.random.default_rng(7)).reward).sum()
        for name, rule in {"ucb1": ucb1(), "uniform": epsilon_greedy(1.0)}.items()
    }
    assert 0 < regret["ucb1"] < bound < regret["uniform"]


def test_the_same_generator_state_gives_the_same_curves() -> None:
    worlds = normal_testbed(20, np.random.default_rng(8))
    first, again, other = (play(worlds, ucb1(), 30, np.random.default_rng(seed)).reward for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("epsilon", [-0.1, 1.1])
def test_epsilon_is_a_probability(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        epsilon_greedy(epsilon)

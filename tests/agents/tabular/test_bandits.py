from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from agents.tabular.bandits import Exploration, Options, choose, learn, options, play
from agents.tabular.configs import bandit
from agents.tabular.configs.bandit import UCB1, Gradient, Greedy, Rule, Thompson, UCBDeviation
from envs.api import Array
from envs.compiled import compiler
from envs.tabular.bandits import bernoulli_bandits, bernoulli_testbed, normal_bandits, normal_testbed, walking_testbed
from tests.runs import TABLES, assert_same_run, differences, train

kernel = compiler([])


@kernel
def chosen(rule: Options, worlds: Any, known: Any, pulls: int, arms: Array) -> None:
    for row in range(len(arms)):
        arms[row] = choose(rule, worlds, known, row, pulls)


@kernel
def learned(rule: Options, known: Any, arms: Array, rewards: Array, pulls: int) -> None:
    for t in range(len(arms)):
        learn(rule, known, 0, arms[t], rewards[t], pulls + t)


def choices(rule: Rule, counts: list[int], means: list[float], squares: list[float], rows: int = 1) -> Array:
    """What is chosen in each of so many rows that know the same."""
    exploration = Exploration(normal_bandits(np.zeros((rows, len(counts)))), rule)
    known = exploration.known
    known.counts[:], known.values[:], known.means[:], known.squares[:] = counts, means, means, squares
    arms = np.empty(rows, np.int64)
    chosen(exploration.rule, exploration.worlds, known, sum(counts), arms)
    return arms


def shares(arms: Array, count: int) -> Array:
    return np.bincount(arms, minlength=count) / len(arms)


# What is learned -----------------------------------------------------------------------------------------------------


def test_incremental_estimates_are_those_of_all_rewards() -> None:
    rng = np.random.default_rng(0)
    known = Exploration(normal_bandits(np.zeros((1, 4))), Greedy()).known
    arms, rewards = rng.integers(4, size=800), rng.normal(1e3, 1.0, size=800)
    learned(options(Greedy()), known, arms, rewards, 0)
    for arm in range(4):
        own = rewards[arms == arm]
        assert known.counts[0, arm] == len(own)
        assert known.values[0, arm] == pytest.approx(own.mean(), rel=1e-12)
        assert known.squares[0, arm] / (len(own) - 1) == pytest.approx(own.var(ddof=1), rel=1e-6)
    assert known.overall[0] == pytest.approx(rewards.mean(), rel=1e-12)


def test_a_constant_step_weighs_recent_rewards_more() -> None:
    rewards, step = np.random.default_rng(0).normal(size=50), 0.1
    rule = Greedy(step_size=step, initial=5.0)
    known = Exploration(normal_bandits(np.zeros((1, 1))), rule).known
    learned(options(rule), known, np.zeros(50, np.int64), rewards, 0)
    weights = step * (1 - step) ** np.arange(49, -1, -1)  # Sutton & Barto, eq. 2.6
    assert known.values[0, 0] == pytest.approx((1 - step) ** 50 * 5.0 + weights @ rewards, rel=1e-12)
    assert abs(known.values[0, 0] - rewards.mean()) > 0.01  # which is what 1 / n gives


@pytest.mark.parametrize("baseline", [True, False])
def test_the_gradient_bandit_ascends_the_expected_reward(baseline: bool) -> None:
    """Sutton & Barto, eq. 2.12; the baseline is of the rewards before, and the first is compared with itself."""
    rule = Gradient(step_size=0.4, baseline=baseline)
    exploration = Exploration(normal_bandits(np.zeros((1, 3))), rule)
    preferences, earlier = np.zeros(3), list[float]()
    for arm, reward in [(1, 2.0), (0, -1.0), (1, 5.0)]:
        policy = np.exp(preferences) / np.exp(preferences).sum()
        compared = (np.mean(earlier) if earlier else reward) if baseline else 0.0
        preferences += 0.4 * (reward - compared) * (np.eye(3)[arm] - policy)
        chosen(exploration.rule, exploration.worlds, exploration.known, len(earlier), np.empty(1, np.int64))
        learned(exploration.rule, exploration.known, np.array([arm]), np.array([reward]), len(earlier))
        earlier.append(reward)
    np.testing.assert_allclose(exploration.known.values[0], preferences, rtol=1e-12)


# What is chosen ------------------------------------------------------------------------------------------------------

SHARE = 4 * np.sqrt(0.25 / 40_000)  # four standard errors of a share of 40,000 rows: a false alarm in 10,000 seeds


def test_epsilon_greedy_takes_the_best_arm_and_otherwise_any() -> None:
    known = [5, 5, 5, 5], [0.0, 3.0, -1.0, 2.0], [0.0] * 4, 40_000
    assert (choices(Greedy(epsilon=0.0), *known) == 1).all()
    arms = choices(Greedy(epsilon=0.4), *known)
    np.testing.assert_allclose(shares(arms, 4), [0.1, 0.7, 0.1, 0.1], atol=SHARE)  # 1 - epsilon + epsilon / K


def test_ties_are_decided_by_chance() -> None:
    arms = choices(Greedy(epsilon=0.0), [1, 1, 1, 1], [2.0, 1.0, 2.0, 2.0], [0.0] * 4, 40_000)
    np.testing.assert_allclose(shares(arms, 4), [1 / 3, 0.0, 1 / 3, 1 / 3], atol=SHARE)


def test_ucb1_scores() -> None:
    # 1 + c * sqrt(log(100) / 90) against 0.5 + c * sqrt(log(100) / 10): equal at c = 1.1052...
    known = [90, 10], [1.0, 0.5], [0.0, 0.0]
    even = 0.5 / (np.sqrt(np.log(100) / 10) - np.sqrt(np.log(100) / 90))
    assert choices(UCB1(c=even - 1e-6), *known) == 0
    assert choices(UCB1(c=even + 1e-6), *known) == 1
    assert choices(UCB1(), *known) == 1
    assert choices(UCB1(), [9, 0, 9], [9.0, -9.0, 9.0], [0.0] * 3) == 1  # what was never tried comes first


def test_ucb_deviation_scores() -> None:
    # squares / (n - 1) is 30 / 5 = 6 and 8 / 1 = 8; divided by n, 1 and 4
    known = [6, 2], [3.0, 2.9], [30.0, 8.0]
    even = 0.1 / (np.sqrt(8) - np.sqrt(6))
    assert choices(UCBDeviation(c=even - 1e-6), *known) == 0
    assert choices(UCBDeviation(c=even + 1e-6), *known) == 1
    known = [6, 2], [3.0, 1.0], [30.0, 8.0]
    assert choices(UCBDeviation(c=1.99, of="mean"), *known) == 0  # 3 + 1.99 * 1 against 1 + 1.99 * 2
    assert choices(UCBDeviation(c=2.01, of="mean"), *known) == 1
    assert choices(UCBDeviation(), [9, 1, 9], [9.0, -9.0, 9.0], [1.0, 0.0, 1.0]) == 1


def test_a_deviation_of_certain_rewards_is_greedy() -> None:
    """Without noise each arm is pulled twice, and then always the best one."""
    curves = play(normal_bandits([[0.3, 0.9, 0.5]], deviation=0.0), UCBDeviation(c=100.0), 50)
    assert curves.optimal[6:].all() and curves.reward[:6].sum() == pytest.approx(2 * 1.7)


@pytest.mark.parametrize(("wins", "losses"), [(2, 5), (30, 10)])
def test_thompson_draws_from_the_posterior(wins: int, losses: int) -> None:
    """How often an arm of this record seems better than one that is known to pay 1/2."""
    from scipy.stats import beta

    rows = 20_000
    exploration = Exploration(bernoulli_bandits(np.full((rows, 2), 0.5)), Thompson())
    n = wins + losses
    exploration.known.counts[:], exploration.known.means[:] = [n, 1e12], [wins / n, 0.5]
    arms = np.empty(rows, np.int64)
    chosen(exploration.rule, exploration.worlds, exploration.known, n, arms)
    expected = beta(1 + wins, 1 + losses).sf(0.5)
    assert shares(arms, 2)[0] == pytest.approx(expected, abs=4 * np.sqrt(0.25 / rows))  # false alarm 1e-4


def test_thompson_of_normal_rewards() -> None:
    """Prior N(0, 1), four rewards of deviation 1 with mean 1: the posterior is N(0.8, 0.2)."""
    from scipy.stats import norm

    rows = 20_000
    exploration = Exploration(normal_bandits(np.zeros((rows, 2))), Thompson())
    exploration.known.counts[:], exploration.known.means[:] = [4, 1e12], [1.0, 0.5]
    arms = np.empty(rows, np.int64)
    chosen(exploration.rule, exploration.worlds, exploration.known, 4, arms)
    expected = norm(0.8, np.sqrt(0.2)).sf(0.5)
    assert shares(arms, 2)[0] == pytest.approx(expected, abs=4 * np.sqrt(0.25 / rows))  # false alarm 1e-4


# Curves --------------------------------------------------------------------------------------------------------------


def test_two_doors() -> None:
    """A first pull of nothing, and greedy never comes back to that door; epsilon-greedy does."""
    means = np.tile([[1.0, 0.2]], (200, 1))  # the first door is the better one, but paid nothing when it was tried
    for epsilon in (0.0, 0.1):
        exploration = Exploration(normal_bandits(means, deviation=0.0), Greedy(epsilon=epsilon))
        exploration.known.counts[:, 0] = 1
        exploration.known.values[:] = [0.0, 0.1]
        exploration.iterate(200)
        assert exploration.curves.optimal.any() == (exploration.curves.optimal[-1] > 0.9) == (epsilon > 0)


def test_the_curves_of_the_ten_armed_testbed() -> None:
    """Standard errors of 2000 rows are below 0.02 in rewards and 0.011 in shares; bounds are 5 of them, 1e-6 each."""
    worlds = normal_testbed(2000, np.random.default_rng(5))
    rules: dict[str, Rule] = {
        "greedy": Greedy(epsilon=0.0),
        "0.01": Greedy(epsilon=0.01),
        "0.1": Greedy(epsilon=0.1),
        "ucb": UCB1(c=2.0),
        "optimistic": Greedy(epsilon=0.0, initial=5.0, step_size=0.1),
        "deviation": UCBDeviation(),
        "thompson": Thompson(),
    }
    curves = {name: play(worlds, rule, 1000, 6) for name, rule in rules.items()}
    late = {name: (curve.reward[-100:].mean(), curve.optimal[-100:].mean()) for name, curve in curves.items()}
    assert all(curve.reward.shape == curve.optimal.shape == (1000,) for curve in curves.values())
    for curve in (curves["greedy"], curves["0.1"]):  # the first pull is blind
        assert abs(curve.reward[0]) < 0.15 and abs(curve.optimal[0] - 0.1) < 0.035
    assert late["greedy"][0] == pytest.approx(1.0, abs=0.1)  # Sutton & Barto, figure 2.2: stuck at about 1
    assert late["greedy"][1] == pytest.approx(1 / 3, abs=0.06)  # "approximately one-third of the tasks"
    assert late["0.1"][1] == pytest.approx(0.8, abs=0.05)
    assert curves["0.1"].optimal.max() <= 0.91 + 0.035  # 1 - epsilon + epsilon / 10 is all that it can get
    assert late["greedy"][0] < late["0.01"][0] < late["0.1"][0] < late["ucb"][0]  # figures 2.2 and 2.4
    assert curves["optimistic"].optimal[:50].mean() < curves["0.1"].optimal[:50].mean()  # figure 2.3: first worse,
    assert late["optimistic"][1] > late["0.1"][1] + 0.03  # then better
    assert late["deviation"][0] > late["greedy"][0] + 0.1
    assert curves["thompson"].regret.sum() < 0.6 * curves["ucb"].regret.sum()


def test_the_gradient_bandit_needs_its_baseline_where_rewards_are_far_from_zero() -> None:
    """Sutton & Barto, figure 2.5: step sizes 0.1, means around 4."""
    worlds = normal_testbed(500, np.random.default_rng(5), mean=4.0)
    late = [play(worlds, Gradient(baseline=baseline), 1000).optimal[-100:].mean() for baseline in (True, False)]
    assert late[0] > 0.75 > 0.6 > late[1]


def test_what_changes_is_learned_by_a_constant_step() -> None:
    """Sutton & Barto, exercise 2.5, shorter: means walk."""
    worlds = walking_testbed(300, drift=0.03)
    constant, mean = (play(worlds, Greedy(step_size=step), 3000).optimal[-500:].mean() for step in (0.1, None))
    assert constant > mean + 0.15
    assert not worlds.means.any()  # who plays does so on a copy


def test_the_regret_of_ucb1_stays_below_its_theorem() -> None:
    # Auer et al. 2002, theorem 1, proven for [0, 1]: normal noise of deviation 1/2 has the tails that the proof uses
    means, steps = np.array([0.9, 0.6, 0.5, 0.2]), 3000
    gaps = means.max() - means[means < means.max()]
    bound = (8 * np.log(steps) / gaps).sum() + (1 + np.pi**2 / 3) * gaps.sum()
    worlds = normal_bandits(np.tile(means, (50, 1)), deviation=0.5)
    rules: dict[str, Rule] = {"ucb1": UCB1(), "uniform": Greedy(epsilon=1.0)}
    regret = {name: play(worlds, rule, steps).regret.sum() for name, rule in rules.items()}
    assert 0 < regret["ucb1"] < bound < regret["uniform"]


def test_rows_are_independent_and_seeds_matter() -> None:
    worlds = normal_testbed(20, np.random.default_rng(8))
    first, again, other = (play(worlds, UCB1(), 30, seed).reward for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    alone = Exploration(worlds._replace(means=worlds.means[:1]), UCB1(), 1)
    beside = Exploration(worlds, UCB1(), 1)
    for exploration in (alone, beside):
        exploration.iterate(30)
    np.testing.assert_array_equal(alone.known.values[0], beside.known.values[0])


# As a run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Greedy(), Thompson(), Gradient()])
def test_iterations_one_by_one_and_from_a_state_are_iterations_at_once(rule: Rule) -> None:
    worlds = walking_testbed(5, arms=3)
    whole, parts, resumed = (Exploration(worlds, rule, 3) for _ in range(3))
    whole.iterate(12)
    for n in (1, 4, 2):
        parts.iterate(n)
    resumed.iterate(1)  # whatever it did before
    resumed.load_state_dict(parts.state_dict())
    resumed.iterate(5)
    assert list(differences(whole.state_dict(), resumed.state_dict())) == []
    assert whole.metrics() == resumed.metrics() and whole.metrics() == {}
    assert whole.evaluate() == resumed.evaluate()


def test_metrics_are_means_since_the_last_ones() -> None:
    exploration = Exploration(normal_bandits([[1.0, 0.0]], deviation=0.0), Greedy(epsilon=0.0))
    exploration.known.counts[:], exploration.known.values[:] = 1, [1.0, 0.0]
    exploration.iterate(3)
    assert exploration.metrics() == {"train/reward": 1.0, "train/optimal": 1.0, "train/regret": 0.0}
    assert exploration.evaluate() == {"eval/optimal": 1.0, "eval/regret": 0.0}


def test_what_has_no_reader_is_refused() -> None:
    with pytest.raises(ValidationError, match="options of rewards=normal"):
        bandit.Testbed(rewards="bernoulli", drift=0.1)
    with pytest.raises(ValidationError):
        bandit.Bandit(rule=Greedy(epsilon=1.1))


def test_bernoulli_worlds_are_for_every_rule() -> None:
    worlds = bernoulli_testbed(200, np.random.default_rng(0))
    regret = [play(worlds, rule, 500).regret.sum() for rule in (Thompson(), UCB1(), Greedy(epsilon=1.0))]
    assert regret[0] < regret[1] < regret[2]


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path: Path) -> None:
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    assert train(TABLES["bandit"], whole) == 0
    shutil.copytree(whole, copy)
    for late in sorted((copy / "checkpoints").iterdir())[2:]:
        shutil.rmtree(late)
    assert train(TABLES["bandit"], copy, "--resume") == 0
    assert_same_run(whole, copy)

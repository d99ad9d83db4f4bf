from __future__ import annotations

import numpy as np
import pytest

from agents.maths.bellman import finite_horizon
from agents.tabular.samples.batch import mc_rows, refit, td_rows, until_stable
from agents.tabular.samples.episodes import Episode, dense, tilings
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP


def episode(states: list[int], rewards: list[float], terminated: bool = True) -> Episode:
    steps = len(rewards)
    return Episode(np.array(states), np.zeros(steps, np.int64), np.array(rewards), np.ones(steps), terminated)


A, B, END = 0, 1, 2
EIGHT = [
    episode([A, B, END], [0.0, 0.0]),
    *[episode([B, END], [1.0])] * 6,
    episode([B, END], [0.0]),
]  # Sutton & Barto, example 6.4


@pytest.mark.parametrize("step", [0.001, 0.03])
def test_batch_td_is_certain_of_its_model_and_batch_mc_fits_returns(step: float) -> None:
    """With small enough steps both come to answers that don't depend on them."""
    table = tilings(3)
    td, mc = (until_stable(table, rows, 1.0, step) for rows in (td_rows(EIGHT), mc_rows(EIGHT, 1.0)))
    np.testing.assert_allclose(td[:2], [0.75, 0.75], atol=1e-6)
    np.testing.assert_allclose(mc[:2], [0.0, 0.75], atol=1e-6)


def test_returns_are_discounted_within_their_episodes() -> None:
    rows = mc_rows([episode([0, 1, 2], [1.0, 2.0]), episode([0, 2], [4.0])], 0.5)
    assert rows.reward.tolist() == [2.0, 2.0, 4.0] and rows.terminated.all()
    assert td_rows([episode([0, 1, 2], [1.0, 2.0], terminated=False)]).terminated.tolist() == [False, False]
    with pytest.raises(ValueError, match="cut off"):
        mc_rows([episode([0, 1], [1.0], terminated=False)], 1.0)


def test_steps_that_are_too_large_are_told() -> None:
    with pytest.raises(ValueError, match="a smaller step than 0.9"):
        until_stable(tilings(3), td_rows(EIGHT), 1.0, 0.9, limit=1000)


def test_least_squares_where_states_share_features() -> None:
    """Batch Monte-Carlo is the regression of returns on features."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, 2))
    episodes = [episode([*rng.integers(3, size=5).tolist(), 3], rng.normal(size=5).tolist()) for _ in range(6)]
    rows = mc_rows(episodes, 0.9)
    found = until_stable(dense(features), rows, 0.9, 0.01)
    np.testing.assert_allclose(found, np.linalg.lstsq(features[rows.state], rows.reward)[0], atol=1e-6)


# Fitted value iteration ----------------------------------------------------------------------------------------------


def test_fitted_values_of_a_table_are_value_iteration() -> None:
    for name in ("gridworld", "windy_gridworld", "recycling_robot"):
        mdp = make_mdp(name)
        table = np.eye(len(mdp.states))
        table[mdp.terminal] = 0.0
        weights, steps = np.zeros(len(table)), finite_horizon(mdp, 12, 0.9)
        for k in range(12):
            weights = refit(mdp, table, weights, 0.9)
            np.testing.assert_allclose(table @ weights, steps[k + 1], atol=1e-10)


@pytest.mark.parametrize(("discount", "factor"), [(0.99, 1.188), (0.83, 0.996), (0.84, 1.008), (5 / 6, 1.0)])
def test_fitted_values_diverge_beyond_five_sixths(discount: float, factor: float) -> None:
    """Values w and 2 w of two states, both of which lead to the second, for nothing: w' = (6 / 5) gamma w.

    Tsitsiklis & Van Roy 1996; Sutton & Barto, example 11.1.
    """
    mdp = MDP.of("w, 2w", {(0, "go"): [(1.0, 1, 0.0)], (1, "go"): [(1.0, 1, 0.0)]})
    weights = refit(mdp, np.array([[1.0], [2.0]]), np.ones(1), discount)
    assert weights[0] == pytest.approx(factor, rel=1e-12)

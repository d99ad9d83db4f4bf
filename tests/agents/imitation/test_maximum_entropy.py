"""Maximum causal entropy: known values, gradients that are differences of visits, rewards that explain an expert."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.imitation.maximum_entropy import Inverse, log_likelihood, make, softly_optimal, visits
from agents.maths.bellman import action_values, finite_horizon, improve, sweep
from agents.registry import parse
from envs.api import Array
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from experiment.seeding import Seeds
from tests.runs import APART, assert_same_run, train


def inverse(**changes: Any) -> Inverse:
    config: Any = parse({"algorithm": "maximum_entropy", "mdp": "garnet", "discount": 0.9} | changes)
    return make(config, Seeds(0))


def grid() -> MDP:
    """5 x 5, moves right, down, left, up, walls stay; being in the last corner pays 1, for ever."""
    transition = np.zeros((25, 4, 25))
    for state in range(25):
        row, column = divmod(state, 5)
        for action, (down, right) in enumerate([(0, 1), (1, 0), (0, -1), (-1, 0)]):
            to = min(max(row + down, 0), 4) * 5 + min(max(column + right, 0), 4)
            transition[state, action, to] = 1
    paid = np.zeros((25, 4))
    paid[24] = 1
    return MDP.of_arrays("grid", transition, paid, np.full(25, 1 / 25))


def test_a_grid_with_a_corner_that_pays() -> None:
    mdp = grid()
    found = softly_optimal(mdp, mdp.reward, 0.9)
    assert found.values[[0, 12, 24]] == pytest.approx([14.327118916, 15.308746668, 19.147905384], abs=1e-8)
    assert found.policy[0] == pytest.approx([0.261339, 0.261339, 0.238661, 0.238661], abs=1e-6)
    states = visits(mdp, found.policy, 0.9).sum(1)
    assert states[24] == pytest.approx(3.562342069, abs=1e-8) and states.sum() == pytest.approx(10, abs=1e-9)


def test_soft_values_are_those_of_soft_value_iteration() -> None:
    mdp = make_mdp("garnet")
    swept = sweep(mdp, 0.9, tolerance=1e-13, temperature=1.0).values
    np.testing.assert_allclose(softly_optimal(mdp, mdp.reward, 0.9).values, swept, rtol=1e-11)


def test_shaping_leaves_the_policy_as_it_is() -> None:
    mdp, potential = make_mdp("garnet"), np.random.default_rng(0).normal(size=len(make_mdp("garnet").states))
    plain = softly_optimal(mdp, mdp.reward, 0.9)
    shaped = softly_optimal(mdp, mdp.reward + 0.9 * mdp.onward @ potential - potential[:, None], 0.9)
    np.testing.assert_allclose(shaped.policy, plain.policy, atol=1e-9)
    np.testing.assert_allclose(shaped.values, plain.values - potential, atol=1e-9)


@pytest.mark.parametrize("features", ["state", "state_action"])
def test_the_gradient_is_the_likelihoods(features: str) -> None:
    """Against central differences of the causal likelihood, away from the optimum; and its curvature against them."""
    model = inverse(features=features)
    at = np.random.default_rng(1).normal(size=len(model.theta))

    def moved(theta: Array) -> Inverse:
        model.theta = theta
        model.values, model.policy = softly_optimal(model.mdp, model.phi @ theta, 0.9)
        return model

    def likelihood(theta: Array) -> float:
        return log_likelihood(model.shown, moved(theta).policy)

    step = 1e-4 * np.eye(len(at))
    by_differences = [(likelihood(at + e) - likelihood(at - e)) / 2e-4 for e in step]
    np.testing.assert_allclose(moved(at).gradient, by_differences, atol=1e-6)
    curved = [(moved(at + e).gradient - moved(at - e).gradient) / 2e-4 for e in step]
    np.testing.assert_allclose(moved(at).fisher(), -np.array(curved), atol=1e-6)


@pytest.mark.parametrize(
    "world", ["garnet", "gridworld", "recycling_robot", "FrozenLake-v1", "cliff_walking(columns=6)"]
)
def test_an_expert_is_matched_and_its_return_recovered(world: str) -> None:
    """One reward for each state and action: expectations to 1e-6, the policy too, the return within 1 %."""
    model = inverse(mdp=world, features="state_action")
    model.iterate(100)
    assert model.converged and model.error < 1e-6
    seen = model.shown.sum(1) > 1e-6
    np.testing.assert_allclose(model.policy[seen], model.expert[seen], atol=1e-4)
    found = model.evaluate()
    assert found["eval/return"] == pytest.approx(found["eval/expert_return"], rel=0.01)


def test_rewards_of_states_explain_an_expert_of_such_a_world() -> None:
    mdp = grid()
    model = inverse(mdp="garnet")
    fresh = Inverse(mdp, model.config)
    fresh.iterate(100)
    assert fresh.error < 1e-6
    np.testing.assert_allclose(fresh.policy, fresh.expert, atol=1e-6)


def test_a_penalty_keeps_rewards_small() -> None:
    free, held = inverse(), inverse(regularization=0.1)
    for model in (free, held):
        model.iterate(50)
    assert np.linalg.norm(held.theta) < np.linalg.norm(free.theta)
    np.testing.assert_allclose(held.gradient, 0.1 * held.theta, atol=1e-8)


def test_a_finite_horizon() -> None:
    """The world of the `imitation` library's tests: five states, three actions, 20 steps; where one is, the last
    state included, is known."""
    transition = np.zeros((5, 3, 5))
    transition[0, 0, [1, 2]], transition[0, 1, 3], transition[0, 2, [1, 2]] = [0.9, 0.1], 1, [0.1, 0.9]
    for state in (1, 2):
        transition[state, 0, [3, 4]], transition[state, 1, 3], transition[state, 2, 4] = [0.05, 0.95], 1, 1
    transition[3, :, 4], transition[4, :, 0] = 1, 1
    paid, start = np.array([1.0, 2, 2, -20, 3]), np.array([0.5, 0, 0, 0, 0.5])
    mdp = MDP.of_arrays("five", transition, np.repeat(paid[:, None], 3, 1), start)
    values = finite_horizon(mdp, 20, temperature=1.0)
    assert values[20] == pytest.approx([53.298300, 54.836443, 54.836443, 33.649463, 54.744662], abs=1e-6)
    policies = [improve(mdp, action_values(mdp, values[left - 1], 1.0), 1.0) for left in range(20, 0, -1)]
    assert policies[0][1] == pytest.approx([0.248431, 0, 0.751569], abs=1e-5)
    at, total = start, start
    for policy in policies:
        at = np.einsum("s,sa,sat->t", at, policy, transition)
        total = total + at
    assert total == pytest.approx([6.998829, 3.397594, 3.397594, 0.405233, 6.800749], abs=1e-5)


def test_what_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    config = APART["maximum_entropy"] | {"checkpoint": {"every": 2, "keep": 99}, "steps": 6}
    assert train(config, tmp_path / "whole") == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    for late in sorted((tmp_path / "killed" / "checkpoints").iterdir())[2:]:
        shutil.rmtree(late)
    assert train(config, tmp_path / "killed", "--resume") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "killed")

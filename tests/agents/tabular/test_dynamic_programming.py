from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.maths.bellman import action_values, evaluate, improve, sweep
from agents.tabular.configs.dynamic_programming import DynamicProgramming
from agents.tabular.dynamic_programming import Planner, predecessors, prioritized
from envs.api import Array
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from experiment.config import ConfigError, check
from experiment.course import Failure
from scripts.evaluate import main as evaluate_run
from tests.runs import TABLES, assert_same_run, train

METHODS = ("policy_iteration", "value_iteration", "prioritized_sweeping")
OPTIMA = [("jumping_gridworld", 0.9), ("FrozenLake-v1", 0.99), ("recycling_robot", 0.9), ("garnet(seed=3)", 0.8),
          ("gambler(goal=20)", 1.0), ("cliff_walking", 1.0)]  # fmt: skip


def planned(world: str | MDP, iterations: int = 5000, **options: Any) -> Planner:
    mdp = make_mdp(world) if isinstance(world, str) else world
    planner = Planner(mdp, DynamicProgramming(mdp=mdp.name, **options))
    planner.iterate(iterations)
    return planner


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("world", "discount"), OPTIMA)
def test_every_method_finds_the_optimum(world: str, discount: float, method: str) -> None:
    planner = planned(world, method=method, discount=discount, tolerance=1e-12)
    expected = sweep(planner.mdp, discount, tolerance=1e-13).values
    assert planner.converged
    np.testing.assert_allclose(planner.values, expected, atol=1e-9)
    best = improve(planner.mdp, action_values(planner.mdp, expected, discount))
    np.testing.assert_array_equal(planner.policy > 0, best > 0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_soft_optimum(method: str) -> None:
    planner = planned("two_state", method=method, temperature=0.5, tolerance=1e-12)
    np.testing.assert_allclose(planner.values, [18.112690123, 20.003047268], atol=5e-10)
    np.testing.assert_allclose(planner.policy[0], [0.197397064, 0.802602936], atol=5e-10)


@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize("world", ["jumping_gridworld", "FrozenLake-v1", "garnet"])
def test_each_improvement_is_one(world: str, temperature: float) -> None:
    """The policy improvement theorem: no state is worth less than before, up to rounding."""
    planner = planned(world, 0, method="policy_iteration", temperature=temperature)
    before: Array = np.full(len(planner.values), -np.inf)
    while not planner.converged:
        planner.iterate(1)
        assert (planner.values >= before - 1e-9).all()
        before = planner.values
    assert planner.iterations < 20


def test_policy_iteration_goes_by_values_and_not_by_policies() -> None:
    """The broken variant waits until the policy, one action for each state, stays the same. Among two ways that are
    equally long it chooses by chance, or by rounding, and may never be done."""
    mdp = MDP.of("detour", {
        ("start", "upper"): [(1.0, "end", 0.3)],
        ("start", "lower"): [(1.0, "middle", 0.1)],
        ("middle", "on"): [(1.0, "end", 0.2)],
    })  # fmt: skip
    planner = planned(mdp, method="policy_iteration", discount=1.0)
    assert planner.converged and planner.iterations <= 3
    assert planner.policy[0].tolist() == [0.5, 0.5, 0.0]
    rng, policies = np.random.default_rng(0), []
    for _ in range(50):
        q = action_values(mdp, planner.values, 1.0)
        policies.append(int(np.argmax(q[0] + 1e-12 * rng.normal(size=3))))
    assert {0, 1} == set(policies[-20:])


def test_how_often_it_takes_to_improve() -> None:
    """From the uniform policy the 4 x 4 grid takes one improvement; the next evaluations find that it is the best."""
    planner = planned("gridworld", 2, method="policy_iteration", discount=1.0)
    assert planner.values.tolist() == [0, -1, -2, -3, -1, -2, -3, -2, -2, -3, -2, -1, -3, -2, -1, 0]
    planner.iterate(10)
    assert (planner.iterations, planner.converged) == (3, True)


def test_evaluations_may_be_cut_short() -> None:
    """Modified policy iteration: more improvements than with exact evaluations, fewer than sweeps of the optimum."""
    exact = planned("jumping_gridworld", method="policy_iteration", tolerance=1e-12)
    short = planned("jumping_gridworld", method="policy_iteration", sweeps=5, tolerance=1e-12)
    np.testing.assert_allclose(short.values, exact.values, atol=1e-10)
    assert exact.iterations < short.iterations < planned("jumping_gridworld", tolerance=1e-12).iterations


def test_early_stopping_is_reported() -> None:
    planner = planned("gridworld", 3, in_place=False, discount=1.0, tolerance=0.0)
    assert planner.metrics() == {
        "train/iterations": 3,
        "train/backups": 48,
        "train/converged": 0.0,
        "train/change": 1.0,
    }
    planner.iterate(100)
    assert planner.metrics() == {
        "train/iterations": 4,
        "train/backups": 64,
        "train/converged": 1.0,
        "train/change": 0.0,
    }


def test_what_the_uniform_policy_is_worth() -> None:
    planner = planned("gridworld", method="policy_evaluation", discount=1.0, tolerance=1e-12)
    exact = evaluate(planner.mdp, planner.mdp.uniform(), 1.0)
    np.testing.assert_allclose(planner.values, exact, atol=1e-9)
    assert planner.evaluate()["eval/policy_value"] == pytest.approx(exact[1:-1].mean())
    np.testing.assert_array_equal(planner.policy, planner.mdp.uniform())


def test_a_value_that_a_policy_does_not_have_is_left_out() -> None:
    """After a sweep of the cliff nothing but the cliff is bad, and who does nothing else may never arrive."""
    loop = MDP.of("loop", {("a", "stay"): [(1.0, "a", 1.0)], ("a", "leave"): [(1.0, "end", 0.0)]})
    assert "eval/policy_value" not in planned(loop, 1, discount=1.0).evaluate()
    assert planned(loop, 1000, discount=0.5).evaluate()["eval/policy_value"] == pytest.approx(2.0)


def test_values_that_do_not_exist_are_told_from_those_that_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing ends in the 5 x 5 grid; in the loop the uniform policy ends, and the improved one stays for ever."""
    config = {"algorithm": "dynamic_programming", "method": "policy_iteration", "discount": 1.0}
    assert train(config | {"mdp": "jumping_gridworld"}, tmp_path / "run") == 2
    assert "back to (0, 0) for ever, where the reward is -0.5: set discount below 1" in capsys.readouterr().err
    loop = MDP.of("loop", {("a", "stay"): [(1.0, "a", 1.0)], ("a", "leave"): [(1.0, "end", 0.0)]})
    planner = planned(loop, 1, method="policy_iteration", discount=1.0)
    assert planner.values.tolist() == [1.0, 0.0]
    with pytest.raises(Failure, match="'a' for ever, where the reward is 1"):
        planner.iterate(1)
    assert planner.values.tolist() == [1.0, 0.0]


# Where the error is largest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["FrozenLake-v1", "cliff_walking", "recycling_robot", "random_walk"])
def test_predecessors(world: str) -> None:
    mdp = make_mdp(world)
    before = predecessors(mdp)
    for state in range(len(mdp.states)):
        expected = np.flatnonzero(mdp.onward[:, :, state].any(1))
        np.testing.assert_array_equal(before.state[before.first[state] : before.first[state + 1]], expected)


def test_the_largest_error_goes_first() -> None:
    """A corridor whose only reward is at its end: from there the values come backwards, one backup for each state."""
    n = 30
    corridor = MDP.of("corridor", {(s, "on"): [(1.0, s + 1, float(s + 1 == n))] for s in range(n)}, {0: 1.0})
    values = np.zeros(n + 1)
    found = prioritized(corridor.outcomes, predecessors(corridor), 0.9, 0.0, values, 1e-12, 1000)
    np.testing.assert_allclose(values[:n], 0.9 ** np.arange(n - 1, -1, -1))
    assert found == (n, 0.0)
    assert planned(corridor, tolerance=1e-12).backups == (n + 1) ** 2  # by sweeps from the front


def test_it_takes_fewer_backups_than_sweeps() -> None:
    """In Gymnasium's Taxi one for each state."""
    taxi = make_mdp("Taxi-v4")
    sweeps, best = (
        planned(taxi, discount=1.0, method=method) for method in ("value_iteration", "prioritized_sweeping")
    )
    np.testing.assert_allclose(best.values, sweeps.values, atol=1e-7)
    assert best.backups == 500 and sweeps.backups > 2 * best.backups


# As a run ------------------------------------------------------------------------------------------------------------


def test_an_option_without_a_reader_is_refused() -> None:
    with pytest.raises(ConfigError, match="sweeps is an option of method=policy_iteration, but method is value_iter"):
        check(DynamicProgramming, {"mdp": "gridworld", "sweeps": 3})


def test_an_unknown_world_ends_a_run_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train({"algorithm": "dynamic_programming", "mdp": "gridwrld"}, tmp_path / "run") == 2
    assert "no MDP 'gridwrld': did you mean gridworld" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in TABLES if TABLES[name]["algorithm"] == "dynamic_programming"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(name: str, tmp_path: Path) -> None:
    whole = TABLES[name] | {"checkpoint": {"every": 4, "keep": 99}, "logging": {"every": 4}}
    assert train(whole, tmp_path / "whole") == 0
    assert train(whole | {"steps": 4}, tmp_path / "part") == 0
    assert train(whole, tmp_path / "part", "--resume") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "part")


def test_the_table_acts_in_the_world_and_in_gymnasiums(tmp_path: Path) -> None:
    """On the ice the best policy ends at the goal in 3 of 4 episodes of 100 steps, a random one in one of 70. That of
    100 episodes fewer than 50 do, or more than 15, has a probability below 1e-7."""
    config = {"algorithm": "dynamic_programming", "mdp": "FrozenLake-v1", "discount": 1.0, "steps": 3000}
    assert train(config, tmp_path / "run") == 0
    for more in ([], ["--env", "FrozenLake-v1"]):
        request = [str(tmp_path / "run"), "random", "--episodes", "100", "--json", str(tmp_path / "found.json"), *more]
        assert evaluate_run(request) == 0
        ice, random = json.loads((tmp_path / "found.json").read_text())["contenders"]
        assert ice["mean"] >= 0.5 and random["mean"] <= 0.15

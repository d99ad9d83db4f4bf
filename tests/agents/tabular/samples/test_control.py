from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from agents.maths.bellman import action_values, evaluate, finite_horizon, sweep
from agents.maths.schedules import Schedule
from agents.registry import parse
from agents.tabular.configs.tabular_control import TabularControl
from agents.tabular.samples.control import ALGORITHM, METHODS, Controller
from agents.tabular.samples.episodes import schedule
from envs.api import Array
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from experiment.seeding import Seeds
from tests.runs import TABLES, assert_same_run, differences, train

CLIFF, GRID = make_mdp("cliff_walking"), make_mdp("gridworld")
FALLING = Schedule(kind="exponential", start=0.5, end=0.005)


def controller(mdp: MDP, method: str, behaviour: Array | None = None, **changes: Any) -> Controller:
    options = TabularControl.model_validate({"mdp": mdp.name, "method": method} | changes)
    return Controller(mdp, options, behaviour)


def soft(mdp: MDP, q: Array, epsilon: float) -> Array:
    """The epsilon-greedy policy [S, A] of Q [S, A]."""
    best = np.where(mdp.legal, q == q.max(1, keepdims=True), False)
    return (1 - epsilon) * best / np.maximum(best.sum(1, keepdims=True), 1) + epsilon * mdp.uniform()


def best_soft(mdp: MDP, epsilon: float, discount: float = 1.0) -> Array:
    """Q [S, A] of the best among the policies that take any action with probability epsilon, by policy iteration."""
    q = np.where(mdp.legal, 0.0, -np.inf)
    for _ in range(60):
        q = action_values(mdp, evaluate(mdp, soft(mdp, q, epsilon), discount), discount)
    return q


def worth(q: Array, epsilon: float) -> Array:
    """What states are worth [...] whose actions, all legal, are worth q [..., A] and chosen epsilon-greedily."""
    return (1 - epsilon) * q.max(-1) + epsilon * q.mean(-1)


# The cliff -----------------------------------------------------------------------------------------------------------

START = CLIFF.state((3, 0))


def route(q: Array) -> list[Any]:
    """The cells that the greedy policy walks through."""
    state, cells = START, list[Any]()
    while not CLIFF.terminal[state] and len(cells) < 30:
        cells.append(CLIFF.states[state])
        state = int(CLIFF.transition[state, q[state].argmax()].argmax())
    return cells


def test_what_policies_are_worth_that_sometimes_do_anything() -> None:
    """Exact levels of the two curves of Sutton & Barto, example 6.6: what is learned along the edge is worth -51.81."""
    q = best_soft(CLIFF, 0.1)
    assert worth(q[START], 0.1) == pytest.approx(-20.7077, abs=5e-5)
    assert [row for row, _ in route(q)] == [3, 2, *[1] * 12, 2] and len(route(q)) == 15
    edge = action_values(CLIFF, sweep(CLIFF, 1.0).values, 1.0)
    edge[:, CLIFF.action("down")] += 1e-9  # back to the edge, where other ways are as short
    assert evaluate(CLIFF, soft(CLIFF, edge, 0.1), 1.0)[START] == pytest.approx(-51.81, abs=0.005)
    assert edge[START].max() == pytest.approx(-13.0)


def test_expected_sarsa_is_exact_where_the_world_is_certain() -> None:
    """Its targets hold no luck, so that a step size of 1 comes to the fixed point."""
    runs = controller(CLIFF, "expected_sarsa", step_size=1.0, runs=2, steps=20_000)
    runs.iterate(20_000)
    found = worth(runs.action_values()[:, START], 0.1)
    np.testing.assert_allclose(found, worth(best_soft(CLIFF, 0.1)[START], 0.1), rtol=1e-7)


def test_q_learning_learns_from_whoever_acts() -> None:
    """Actions at random, and the greedy return is exactly -13."""
    for given in ({"behaviour": CLIFF.uniform()}, {"epsilon": 1.0}):
        runs = controller(CLIFF, "q_learning", runs=3, episode_limit=2000, steps=3000, **given)
        runs.iterate(3000)
        assert runs.evaluate() == {"eval/policy_value": -13.0, "eval/worst_policy_value": -13.0}
        assert (runs.action_values()[:, START].max(1) == -13.0).all()
        assert runs.metrics()["train/return"] < -1000


def test_sarsa_is_realistic_and_q_learning_optimistic() -> None:
    """Sutton & Barto, example 6.6: who looks only at the best falls while exploring. Standard errors are below 0.7."""
    late = {}
    for method in ("sarsa", "q_learning"):
        runs = controller(CLIFF, method, runs=200, steps=500)
        runs.iterate(500)
        late[method] = runs.told[0, -200:].mean()
    assert -31 < late["sarsa"] < -23 and -55 < late["q_learning"] < -45


@pytest.mark.parametrize("method", ["sarsa", "expected_sarsa", "q_learning"])
def test_with_less_and_less_exploration_all_come_to_the_optimum(method: str) -> None:
    """15 steps through the wind: Sutton & Barto, example 6.5."""
    wind, fading = make_mdp("windy_gridworld"), Schedule(start=0.3, end=0.0, until=0.9)
    runs = controller(wind, method, epsilon=fading, step_size=0.1, runs=10, steps=5000)
    runs.iterate(5000)
    assert runs.evaluate() == {"eval/policy_value": -15.0, "eval/worst_policy_value": -15.0}
    assert (runs.told[0, -500:] == pytest.approx(-15.0)) and runs.told[0, :100].mean() < -50


def test_sarsa_finds_what_its_own_actions_are_worth() -> None:
    """The mean of ten runs, whose standard error is below 0.05."""
    falling = Schedule(kind="exponential", start=0.1, end=0.003)
    runs = controller(CLIFF, "sarsa", step_size=falling, runs=10, steps=100_000)
    runs.iterate(100_000)
    assert worth(runs.action_values()[:, START], 0.1).mean() == pytest.approx(-20.7077, abs=0.2)
    assert all([row for row, _ in route(q)].count(3) == 1 for q in runs.action_values()), "nobody walks on the edge"


# Other worlds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["q_learning", "double_q_learning", "dyna_q"])
def test_the_optimum_is_found(method: str) -> None:
    runs = controller(GRID, method, epsilon=0.5, runs=5, steps=3000)
    runs.iterate(3000)
    best = action_values(GRID, sweep(GRID, 1.0).values, 1.0)
    for q in runs.action_values():
        np.testing.assert_allclose(q[~GRID.terminal], best[~GRID.terminal], atol=0.01)


def test_planning_saves_steps() -> None:
    """Sutton & Barto, section 8.2: the same world, a tenth of the episodes."""
    worth = {}
    for planning in (0, 50):
        runs = controller(CLIFF, "dyna_q", planning=planning, runs=20, steps=30)
        runs.iterate(30)
        worth[planning] = runs.evaluate()["eval/policy_value"]
    assert worth[50] == -13.0 > worth[0]


def test_what_is_remembered_is_what_happened() -> None:
    runs = controller(GRID, "dyna_q", runs=2, steps=20)
    runs.iterate(20)
    for run in range(2):
        tried = runs.remembered["tried"][run]
        pairs = tried[1 : tried[0] + 1]
        assert len({*pairs.tolist()}) == tried[0] > 20
        state, action = np.divmod(pairs, 4)
        after = runs.remembered["next_state"][run, state, action]
        assert (GRID.transition[state, action, after] == 1).all()
        assert (runs.remembered["reward"][run, state, action] == -1).all()
        np.testing.assert_array_equal(runs.remembered["terminated"][run, state, action], GRID.terminal[after])


def test_two_tables_are_not_fooled_by_noise() -> None:
    """Sutton & Barto, example 6.7: left is worth -0.1, hence 5 % of all choices, and looks better for a long time."""
    noisy = make_mdp("maximization_bias")
    left = {}
    for method in ("q_learning", "double_q_learning"):
        runs, a = controller(noisy, method, step_size=0.1, runs=2000, steps=300), noisy.state("A")
        share = []
        for _ in range(300):
            before = runs.counts[:, :, a, noisy.action("left")].sum()
            runs.iterate(1)
            share.append((runs.counts[:, :, a, noisy.action("left")].sum() - before) / 2000)
        left[method] = np.array(share)
    assert left["q_learning"].max() > 0.7 > 0.55 > left["double_q_learning"].max()  # standard error 0.011
    assert left["q_learning"][-30:].mean() > 0.1 > 0.08 > left["double_q_learning"][-30:].mean() > 0.05


# Monte-Carlo ---------------------------------------------------------------------------------------------------------


def test_exploring_starts_find_the_best_policy() -> None:
    runs = controller(GRID, "exploring_starts", step_size=None, runs=5, steps=3000, episode_limit=100)
    runs.iterate(3000)
    assert runs.evaluate()["eval/worst_policy_value"] == pytest.approx(GRID.start @ sweep(GRID, 1.0).values)
    assert (runs.counts[:, 0][:, GRID.legal] > 30).all()


def test_epsilon_soft_control_finds_the_best_epsilon_soft_policy() -> None:
    """Not the best policy: on 3 x 3 cells with a discount; a constant step forgets what worse policies got."""
    grid = make_mdp("gridworld(rows=3,columns=3)")
    runs = controller(grid, "monte_carlo", epsilon=0.3, step_size=FALLING, discount=0.9, runs=20, steps=8000)
    runs.iterate(8000)
    best = best_soft(grid, 0.3, 0.9)
    worth = [grid.start @ evaluate(grid, soft(grid, q, 0.3), 0.9) for q in runs.action_values()]
    optimum = grid.start @ evaluate(grid, soft(grid, best, 0.3), 0.9)
    assert np.mean(worth) == pytest.approx(optimum, abs=0.02)
    found = runs.action_values().max(2).mean(0)
    np.testing.assert_allclose(found[~grid.terminal], best.max(1)[~grid.terminal], atol=0.1)
    assert np.abs(best.max(1) - sweep(grid, 0.9).values).max() > 0.2


def test_off_policy_returns_find_the_best_policy() -> None:
    """They are learned from the tails of episodes; so that these grow, what was never learned must not look best."""
    grid = make_mdp("gridworld(rows=3,columns=3)")
    optimum = grid.start @ sweep(grid, 1.0).values
    for behaviour in (None, grid.uniform()):
        for initial, found in ((-10.0, True), (0.0, False)):
            given: dict[str, Any] = {"epsilon": 0.5, "step_size": None, "runs": 5, "initial": initial, "steps": 3000}
            runs = controller(grid, "off_policy_monte_carlo", behaviour, **given)
            runs.iterate(3000)
            assert (runs.evaluate()["eval/worst_policy_value"] == pytest.approx(optimum)) == found


def test_off_policy_returns_by_hand() -> None:
    """A chain of two choices: weights are 1 / b as long as what follows was greedy (Sutton & Barto, section 5.7)."""
    chain = MDP.of(
        "chain",
        {
            ("x", "on"): [(1.0, "y", 0.0)],
            ("x", "off"): [(1.0, "end", 1.0)],
            ("y", "on"): [(1.0, "end", 4.0)],
            ("y", "off"): [(1.0, "end", 2.0)],
        },
        states=("x", "y"),
    )
    behaviour = np.array([[0.25, 0.75], [0.2, 0.8], [0.0, 0.0]])
    runs = controller(chain, "off_policy_monte_carlo", behaviour, step_size=None, runs=1, steps=2000)
    runs.iterate(2000)
    np.testing.assert_allclose(runs.action_values()[0, :2], [[4.0, 1.0], [4.0, 2.0]], rtol=1e-2)
    q, counts = runs.action_values()[0], runs.counts[0, 0]
    assert q[0, 0] < 4 or counts[0, 0] % 5 == 0  # until y's best action was known, x's was learned from its other one
    assert counts[1, 0] + counts[1, 1] == runs.told[1].sum() - 2000


def test_blackjack_by_exploring_starts() -> None:
    """Sutton & Barto, example 5.3, with a fifth of its episodes: within 0.004 of what the best policy gets."""
    game = make_mdp("blackjack")
    runs = controller(game, "exploring_starts", step_size=None, runs=4, steps=100_000)
    runs.iterate(100_000)
    optimum = game.start @ sweep(game, 1.0, tolerance=1e-12).values
    assert optimum == pytest.approx(-0.043113, abs=5e-7)
    told = runs.evaluate()
    assert optimum - 0.004 < told["eval/worst_policy_value"] <= told["eval/policy_value"] <= optimum


def test_who_learns_from_itself_takes_no_behaviour() -> None:
    with pytest.raises(ValueError, match="off_policy_monte_carlo from others"):
        controller(GRID, "monte_carlo", GRID.uniform())
    with pytest.raises(ValidationError, match="set step_size=null"):
        controller(GRID, "off_policy_monte_carlo")


# Little things -------------------------------------------------------------------------------------------------------


def test_every_method_is_there() -> None:
    assert {*get_args(TabularControl.model_fields["method"].annotation)} == METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_cut_off_goes_on(method: str) -> None:
    """Reward 1 without end, discount 0.9, cut off after four steps: 10."""
    endless = MDP.of("endless", {("here", "stay"): [(1.0, "here", 1.0)]})
    step = None if method == "off_policy_monte_carlo" else 0.2
    runs = controller(endless, method, discount=0.9, episode_limit=4, step_size=step, runs=1, steps=2000)
    runs.iterate(2000)
    assert runs.action_values() == pytest.approx(10.0, abs=1.6 if step is None else 1e-6)  # a mean of all times
    assert runs.metrics() == {"train/return": 4.0, "train/length": 4.0}
    horizon = finite_horizon(endless, 4, 0.9)[4, 0]
    assert runs.evaluate()["eval/policy_value"] == pytest.approx(horizon) == pytest.approx(3.439)


@pytest.mark.parametrize("method", METHODS)
def test_illegal_actions_are_never_taken(method: str) -> None:
    robot = make_mdp("recycling_robot")
    step = None if method == "off_policy_monte_carlo" else 0.2
    runs = controller(robot, method, discount=0.9, episode_limit=50, step_size=step, epsilon=0.5, runs=2, steps=50)
    runs.iterate(50)
    assert not robot.legal.all() and (runs.counts.sum(1)[:, ~robot.legal] == 0).all()
    assert (runs.counts.sum(1)[:, robot.legal] > 0).all()
    assert (runs.greedy()[:, ~robot.legal] == 0).all()


def test_high_first_values_explore_by_themselves() -> None:
    """A step costs 1: from 0, which is hope, the greedy see everything; from -1000, despair, they take what comes."""
    for initial, seen in ((0.0, True), (-1000.0, False)):
        runs = controller(GRID, "q_learning", epsilon=0.0, initial=initial, runs=5, steps=2000, episode_limit=200)
        runs.iterate(2000)
        optimum = GRID.start @ sweep(GRID, 1.0).values
        assert (runs.evaluate()["eval/worst_policy_value"] == pytest.approx(optimum)) == seen


# As a run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sarsa", "double_q_learning", "dyna_q", "off_policy_monte_carlo"])
def test_iterations_one_by_one_and_from_a_state_are_iterations_at_once(method: str) -> None:
    step = None if method == "off_policy_monte_carlo" else {"start": 0.5, "end": 0.1}
    whole, parts, resumed = (controller(GRID, method, step_size=step, runs=3, steps=9) for _ in range(3))
    whole.iterate(9)
    for n in (1, 4):
        parts.iterate(n)
    resumed.iterate(1)  # whatever it did before
    resumed.load_state_dict(parts.state_dict())
    resumed.iterate(4)
    assert list(differences(whole.state_dict(), resumed.state_dict())) == []
    assert whole.metrics() == resumed.metrics() and whole.metrics() == {}
    assert whole.evaluate() == resumed.evaluate()


@pytest.mark.parametrize("name", ["tabular_control", "tabular_prediction"])
def test_a_resumed_run_is_the_run_that_never_stopped(name: str, tmp_path: Path) -> None:
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    assert train(TABLES[name], whole) == 0
    shutil.copytree(whole, copy)
    for late in sorted((copy / "checkpoints").iterdir())[2:]:
        shutil.rmtree(late)
    assert train(TABLES[name], copy, "--resume") == 0
    assert_same_run(whole, copy)


def test_who_acts_in_the_end_is_the_first_run() -> None:
    config = parse({"algorithm": "tabular_control", "mdp": "cliff_walking", "epsilon": 1.0, "steps": 3000})
    assert isinstance(config, TabularControl) and ALGORITHM.solver is not None and ALGORITHM.table is not None
    runs = ALGORITHM.solver(config, Seeds(0))
    runs.iterate(3000)
    table = ALGORITHM.table(config, {"solver": runs.state_dict()})
    assert CLIFF.start @ evaluate(CLIFF, table, 1.0) == -13.0
    np.testing.assert_array_equal(table, runs.greedy()[0])  # type: ignore[attr-defined]
    assert schedule(config.epsilon, 0, 1, 1) == 1.0

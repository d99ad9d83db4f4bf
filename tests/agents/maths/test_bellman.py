from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from agents.maths.bellman import (
    action_values,
    endless,
    evaluate,
    finite_horizon,
    improve,
    residual,
    sweep,
)
from envs.api import Array
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP

GRID = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
JUMPS = """
     3.31  8.79  4.43  5.32  1.49
     1.52  2.99  2.25  1.91   .55
      .05   .74   .67   .36  -.40
     -.97  -.44  -.35  -.59 -1.18
    -1.86 -1.35 -1.23 -1.42 -1.98
"""


def numbers(text: str) -> Array:
    return np.array(text.split(), np.float64)


def plain_sweep(mdp: MDP, values: Array, discount: float, policy: Array | None, temperature: float) -> Array:
    """Bellman's equations, written out with full arrays."""
    q = mdp.reward + discount * mdp.onward @ values
    if policy is not None:
        logs = np.log(np.where(policy > 0, policy, 1.0))
        return np.asarray((policy * (q - temperature * logs)).sum(1))
    q = np.where(mdp.legal, q, -np.inf)
    best = q.max(1) if temperature == 0 else temperature * logsumexp(q / temperature, axis=1)
    return np.where(mdp.terminal, 0.0, best)


WORLDS = ["recycling_robot", "FrozenLake-v1", "gambler(goal=9)", "maximization_bias(arms=3)", "garnet(seed=4)"]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_sweep_is_bellmans_equation(world: str, temperature: float) -> None:
    mdp, rng = make_mdp(world), np.random.default_rng(0)
    values = rng.normal(size=len(mdp.states))
    policy = rng.exponential(size=mdp.legal.shape) * mdp.legal
    policy /= np.maximum(policy.sum(1, keepdims=True), 1e-9)
    for acted in (None, policy):
        found = sweep(mdp, 0.8, acted, values=values, limit=1, in_place=False, temperature=temperature)
        expected = plain_sweep(mdp, values, 0.8, acted, temperature)
        np.testing.assert_allclose(found.values, expected, atol=1e-12)
        assert found.change == pytest.approx(np.abs(expected - values).max())
    q = action_values(mdp, values, 0.8)
    np.testing.assert_allclose(np.where(mdp.legal, q, 0), mdp.reward + 0.8 * mdp.onward @ values, atol=1e-12)
    assert (q[~mdp.legal] == -np.inf).all()


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_three_ways_to_the_values_of_a_policy(world: str, temperature: float) -> None:
    mdp = make_mdp(world)
    exact = evaluate(mdp, mdp.uniform(), 0.9, temperature)
    for in_place in (False, True):
        found = sweep(mdp, 0.9, mdp.uniform(), tolerance=1e-12, in_place=in_place, temperature=temperature)
        np.testing.assert_allclose(found.values, exact, atol=1e-10)


def test_in_place_a_sweep_sees_its_own_values() -> None:
    """A walk whose rewards come from the left: one sweep is enough in place, with two arrays it takes one for each."""
    walk = MDP.of("walk", {(s, "left"): [(1.0, s - 1, 1.0)] for s in range(1, 6)}, {5: 1.0}, range(6))
    assert sweep(walk, 1.0, limit=1).values.tolist() == [0, 1, 2, 3, 4, 5]
    assert sweep(walk, 1.0, limit=1, in_place=False).values.tolist() == [0, 1, 1, 1, 1, 1]


# The textbook's grids ------------------------------------------------------------------------------------------------


def test_the_uniform_policy_on_the_grids() -> None:
    """Sutton & Barto, examples 4.1 and 3.5, recomputed to two digits."""
    grid, jumps = make_mdp("gridworld"), make_mdp("jumping_gridworld")
    np.testing.assert_allclose(evaluate(grid, grid.uniform(), 1.0), GRID, atol=1e-11)
    np.testing.assert_allclose(evaluate(jumps, jumps.uniform(), 0.9), numbers(JUMPS), atol=0.005)


@pytest.mark.parametrize(("theta", "two_arrays", "one"), [(1e-2, 89, 62), (1e-4, 173, 114), (1e-6, 258, 167)])
def test_in_place_converges_in_fewer_sweeps(theta: float, two_arrays: int, one: int) -> None:
    grid = make_mdp("gridworld")
    found = [sweep(grid, 1.0, grid.uniform(), tolerance=theta, in_place=in_place) for in_place in (False, True)]
    assert [each.sweeps for each in found] == [two_arrays, one]
    assert max(each.change for each in found) < theta


def test_values_with_so_many_steps_to_go() -> None:
    grid = make_mdp("gridworld")
    found = finite_horizon(grid, 10, policy=grid.uniform())
    assert found.shape == (11, 16) and not found[0].any()
    assert (found[1][~grid.terminal] == -1).all()
    assert found[2][:4].tolist() == [0, -1.75, -2, -2]
    assert found[3][:4].tolist() == [0, -2.4375, -2.9375, -3] and found[3][5] == -2.875
    np.testing.assert_allclose(found[10][:4], [0, -6.1380, -8.3524, -8.9673], atol=5e-5)


def test_one_improvement_of_the_uniform_policy_solves_the_grid() -> None:
    """Of the nonterminal states, in how many some greedy action of V_k is not on a shortest path."""
    grid = make_mdp("gridworld")
    best = improve(grid, action_values(grid, sweep(grid, 1.0).values, 1.0))
    values = finite_horizon(grid, 10, policy=grid.uniform())
    wrong = {}
    for k in (0, 1, 2, 3, 10):
        greedy = improve(grid, action_values(grid, values[k], 1.0))
        wrong[k] = int(((greedy > 0) & (best == 0)).any(1).sum())
    assert wrong == {0: 12, 1: 8, 2: 2, 3: 0, 10: 0}


def test_the_optimum_on_the_grids() -> None:
    grid, jumps = make_mdp("gridworld"), make_mdp("jumping_gridworld")
    found = sweep(grid, 1.0, in_place=False)
    assert found.values.tolist() == [0, -1, -2, -3, -1, -2, -3, -2, -2, -3, -2, -1, -3, -2, -1, 0]
    assert (found.sweeps, found.change) == (4, 0.0)  # the fourth confirms
    expected = numbers(
        """22.0 24.4 22.0 19.4 17.5  19.8 22.0 19.8 17.8 16.0  17.8 19.8 17.8 16.0 14.4
           16.0 17.8 16.0 14.4 13.0  14.4 16.0 14.4 13.0 11.7"""
    )
    np.testing.assert_allclose(sweep(jumps, 0.9, tolerance=1e-12).values, expected, atol=0.05)


@pytest.mark.parametrize(
    ("world", "discount", "expected"),
    [
        ("windy_gridworld", 1.0, -15.0),
        ("windy_gridworld(moves=8)", 1.0, -7.0),
        ("cliff_walking", 1.0, -13.0),
        ("FrozenLake-v1", 1.0, 14 / 17),
        ("FrozenLake-v1", 0.99, 0.5420),
        ("Taxi-v4", 1.0, 7.93),
        ("blackjack", 1.0, -0.043113),
        ("two_state", 0.9, 18.4),
        ("river_swim", 0.95, 4.669300),
    ],
)
def test_what_the_best_policy_gets_at_the_start(world: str, discount: float, expected: float) -> None:
    mdp = make_mdp(world)
    digits = {0.5420: 5e-5}.get(expected, 5e-7)
    assert mdp.start @ sweep(mdp, discount, tolerance=1e-12).values == pytest.approx(expected, abs=digits)


def test_a_hundred_steps_on_the_ice() -> None:
    lake = make_mdp("FrozenLake-v1")
    assert lake.start @ finite_horizon(lake, 100)[100] == pytest.approx(0.7442, abs=5e-5)


def test_what_a_gambler_can_hope_for() -> None:
    mdp = make_mdp("gambler")
    values = sweep(mdp, 1.0, tolerance=1e-12).values
    np.testing.assert_allclose(values[[25, 50, 75]], [0.16, 0.4, 0.64], atol=1e-10)
    q = action_values(mdp, values, 1.0)
    assert improve(mdp, q)[50].argmax() == mdp.action(50)  # all at once; his other best stakes share with nothing
    assert (improve(mdp, q)[25] > 0).nonzero()[0].tolist() == [mdp.action(25)]


def test_swimming_up_the_river() -> None:
    mdp = make_mdp("river_swim")
    found = sweep(mdp, 0.95, tolerance=1e-12).values
    np.testing.assert_allclose(found, [4.669300, 5.078888, 5.901143, 6.905998, 8.088045, 9.473155], atol=1.1e-6)
    always = np.tile(np.eye(2)[mdp.action("right")], (6, 1))
    left = np.tile(np.eye(2)[mdp.action("left")], (6, 1))
    twenty = [finite_horizon(mdp, 20, policy=policy)[20, 0] for policy in (None, always, left)]
    np.testing.assert_allclose(twenty, [3.397263959, 3.396636976, 0.1], atol=5e-10)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", [27.52293578, 24.77064220]),
        ("alpha=.8,beta=.6,search=2", [16.94915254, 15.25423729]),
        ("alpha=.5,beta=.5,search=2", [13.79310345, 12.41379310]),
    ],
)
def test_the_recycling_robot(parameters: str, expected: list[float]) -> None:
    robot = make_mdp(f"recycling_robot({parameters})")
    values = sweep(robot, 0.9, tolerance=1e-13).values
    np.testing.assert_allclose(values, expected, atol=5e-9)
    assert improve(robot, action_values(robot, values, 0.9)).tolist() == [[1, 0, 0], [0, 0, 1]]
    if not parameters:
        q = action_values(robot, values, 0.9)
        np.testing.assert_allclose(q[0, :2], [27.5229, 25.7706], atol=5e-5)
        np.testing.assert_allclose(q[1], [23.1798, 23.2936, 24.7706], atol=5e-5)
        np.testing.assert_allclose(evaluate(robot, robot.uniform(), 0.9), [18.656, 15.669333], atol=5e-7)


def test_the_error_of_the_optimum_is_gone_at_the_optimum_only() -> None:
    jumps = make_mdp("jumping_gridworld")
    values = sweep(jumps, 0.9, tolerance=1e-13).values
    assert residual(jumps, values, 0.9) < 1e-12
    assert residual(jumps, evaluate(jumps, jumps.uniform(), 0.9), 0.9) > 1
    assert values == pytest.approx(sweep(jumps, 0.9, tolerance=1e-13).values)


def test_walking_along_a_cliff_with_a_tenth_of_random_steps() -> None:
    """The best epsilon-soft policy, which Sarsa learns, keeps a row of distance; along the edge one falls too often."""
    cliff = make_mdp("cliff_walking")
    trembling = cliff.trembling(0.1)
    values = sweep(trembling, 1.0, tolerance=1e-12).values
    assert trembling.start @ values == pytest.approx(-20.7077, abs=5e-5)
    policy, state, path = improve(trembling, action_values(trembling, values, 1.0)), cliff.state((3, 0)), []
    while not cliff.terminal[state]:
        path.append(cliff.actions[policy[state].argmax()])
        state = int(cliff.transition[state, policy[state].argmax()].argmax())
    assert path == ["up"] * 2 + ["right"] * 11 + ["down"] * 2
    edge = dict.fromkeys(cliff.states, "down") | {(2, column): "right" for column in range(11)} | {(3, 0): "up"}
    chosen = np.stack([np.eye(4)[cliff.action(edge[state])] for state in cliff.states]) * cliff.legal
    assert cliff.start @ evaluate(trembling, chosen, 1.0) == pytest.approx(-51.81, abs=5e-3)


# Without end ---------------------------------------------------------------------------------------------------------


def test_a_policy_that_never_ends_has_no_value_without_discount() -> None:
    grid = make_mdp("gridworld")
    up = np.where(grid.terminal[:, None], 0.0, np.eye(4)[grid.action("up")])
    assert np.flatnonzero(endless(grid.under(up))).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"with discount 1 a policy has no value that comes back to \(0, 1\) for ever"):
        evaluate(grid, up, 1.0)
    assert evaluate(grid, up, 0.9)[1] == pytest.approx(-10.0)


def test_what_never_ends_and_pays_nothing_is_worth_nothing() -> None:
    table = {("a", "go"): [(0.5, "a", 0.0), (0.5, "b", 2.0)], ("b", "go"): [(1.0, "c", 0.0)]}
    mdp = MDP.of("trap", table | {("c", "go"): [(1.0, "b", 0.0)]})
    assert endless(mdp.under(mdp.uniform())).tolist() == [False, True, True]
    assert evaluate(mdp, mdp.uniform(), 1.0).tolist() == [2.0, 0.0, 0.0]


# With entropy --------------------------------------------------------------------------------------------------------


def test_a_soft_bandit() -> None:
    """V = log(1 + e), pi(1) = e / (1 + e)."""
    bandit = MDP.of("bandit", {("s", arm): [(1.0, "end", float(arm))] for arm in (0, 1)})
    values = sweep(bandit, 1.0, temperature=1.0).values
    assert values.tolist() == pytest.approx([1.3132617, 0.0], abs=5e-8)
    policy = improve(bandit, action_values(bandit, values, 1.0), 1.0)
    assert policy[0, 1] == pytest.approx(0.7310586, abs=5e-8) and not policy[1].any()


def test_the_soft_recycling_robot() -> None:
    robot = make_mdp("recycling_robot")
    values = sweep(robot, 0.9, tolerance=1e-13, temperature=1.0).values
    np.testing.assert_allclose(values, [29.297884, 26.774832], atol=5e-7)
    policy = improve(robot, action_values(robot, values, 0.9), 1.0)
    np.testing.assert_allclose(policy[0], [0.854821, 0.145179, 0], atol=5e-7)
    np.testing.assert_allclose(policy[1], [0.147337, 0.186844, 0.665820], atol=5.5e-7)
    np.testing.assert_allclose(evaluate(robot, policy, 0.9, 1.0), values, atol=1e-10)
    cold = sweep(robot, 0.9, tolerance=1e-13, temperature=0.01).values
    np.testing.assert_allclose(cold, sweep(robot, 0.9, tolerance=1e-13).values, atol=1e-8)


def test_two_soft_states() -> None:
    mdp = make_mdp("two_state")
    values = sweep(mdp, 0.9, tolerance=1e-13, temperature=0.5).values
    q = action_values(mdp, values, 0.9)
    np.testing.assert_allclose(values, [18.112690123, 20.003047268], atol=5e-10)
    np.testing.assert_allclose(q, [[17.301421111, 18.002742542], [20.002742542, 16.301421111]], atol=5e-10)
    expected = [[0.197397064, 0.802602936], [0.999390732, 0.000609268]]
    np.testing.assert_allclose(improve(mdp, q, 0.5), expected, atol=5e-10)


def test_the_soft_backup_is_a_contraction() -> None:
    mdp, rng = make_mdp("garnet"), np.random.default_rng(0)
    one, other = rng.normal(size=(2, len(mdp.states)))
    after = [sweep(mdp, 0.7, values=v, limit=1, in_place=False, temperature=2.0).values for v in (one, other)]
    assert np.abs(after[0] - after[1]).max() <= 0.7 * np.abs(one - other).max()


def test_soft_policies_are_softmax_over_legal_actions() -> None:
    robot = make_mdp("recycling_robot")
    q = np.array([[800.0, -800.0, -np.inf], [0.0, 1.0, 2.0]])
    np.testing.assert_allclose(improve(robot, q, 0.5)[1], softmax([0, 2, 4]))
    assert improve(robot, q, 0.5)[0].tolist() == [1.0, 0.0, 0.0]


def test_equally_good_actions_share() -> None:
    """1e-12 apart is rounding; 1e-6 is not."""
    robot = make_mdp("recycling_robot")
    q = np.array([[1.0, 1.0 + 1e-12, -np.inf], [3.0, 3.0 + 1e-6, -1.0]])
    assert improve(robot, q).tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]

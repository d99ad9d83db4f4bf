from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import stats

from envs.api import Array
from envs.streams import seed, uniform
from envs.tabular.mdp import MDP, Outcomes, begin, step

ROBOT: dict[Any, Any] = {
    ("high", "search"): [(0.9, "high", 3.0), (0.1, "low", 3.0)],
    ("low", "search"): [(0.4, "low", 3.0), (0.6, "high", -3.0)],
    ("low", "recharge"): [(1.0, "high", 0.0)],
}


def random_table(rng: np.random.Generator, states: int = 4, actions: int = 3) -> tuple[Array, Array]:
    """p(s', r | s, a) as a full table [S, A, S, R] of the rewards [R]: what the three reductions are made of."""
    rewards = np.array([-1.0, 0.5, 2.0])
    joint = rng.exponential(size=(states, actions, states, len(rewards))) * rng.integers(0, 2, (states, 1, states, 3))
    joint[..., 0, 0] += 0.1
    return joint / joint.sum((2, 3), keepdims=True), rewards


def of_joint(joint: Array, rewards: Array) -> MDP:
    dynamics = {
        (s, a): [(p, t, r) for t, row in enumerate(joint[s, a]) for p, r in zip(row, rewards)]
        for s, a in np.ndindex(*joint.shape[:2])
    }
    return MDP.of("random", dynamics)


def test_states_and_actions_are_named() -> None:
    robot = MDP.of("robot", ROBOT)
    assert (robot.states, robot.actions) == (("high", "low"), ("search", "recharge"))
    assert (robot.state("low"), robot.action("recharge")) == (1, 1)
    assert robot.legal.tolist() == [[True, False], [True, True]]
    assert robot.start.tolist() == [1.0, 0.0]
    assert MDP.of("robot", ROBOT, states=("low",), actions=("recharge",)).states == ("low", "high")
    with pytest.raises(KeyError, match="medium"):
        robot.state("medium")


def test_the_three_reductions_of_a_random_table() -> None:
    """r(s, a), p(s' | s, a) and r(s, a, s') by their definitions, term by term."""
    joint, rewards = random_table(np.random.default_rng(0))
    mdp = of_joint(joint, rewards)
    for s, a in np.ndindex(4, 3):
        expected = sum(r * p for row in joint[s, a] for p, r in zip(row, rewards))
        assert mdp.reward[s, a] == pytest.approx(expected, abs=1e-14)
        for t in range(4):
            total = sum(joint[s, a, t])
            assert mdp.transition[s, a, t] == pytest.approx(total, abs=1e-14)
            share = sum(r * p for p, r in zip(joint[s, a, t], rewards)) / total if total else 0.0
            assert mdp.reward_to[s, a, t] == pytest.approx(share, abs=1e-14)
    np.testing.assert_allclose((mdp.transition * mdp.reward_to).sum(2), mdp.reward, atol=1e-14)
    np.testing.assert_array_equal(mdp.onward, mdp.transition)


def test_arrays_and_a_table_make_the_same_as_names() -> None:
    joint, rewards = random_table(np.random.default_rng(1))
    mdp = of_joint(joint, rewards)
    arrays = MDP.of_arrays("arrays", mdp.transition, mdp.reward_to)
    np.testing.assert_allclose(arrays.transition, mdp.transition, atol=1e-15)
    np.testing.assert_allclose(arrays.reward, mdp.reward, atol=1e-14)
    np.testing.assert_allclose(MDP.of_arrays("arrays", mdp.transition, mdp.reward).reward, mdp.reward, atol=1e-14)
    table = {
        s: {a: [(p, t, r, False) for t, row in enumerate(joint[s, a]) for p, r in zip(row, rewards)] for a in range(3)}
        for s in range(4)
    }
    gymnasium = MDP.of_table("table", table, np.eye(4)[2])
    np.testing.assert_allclose(gymnasium.reward_to, mdp.reward_to, atol=1e-14)
    assert gymnasium.start.tolist() == [0, 0, 1, 0]


def test_an_episode_ends_where_nothing_can_be_done_and_where_a_table_says_so() -> None:
    named = MDP.of("walk", {("a", "go"): [(0.5, "a", 1.0), (0.5, "end", 2.0)]})
    assert named.terminal.tolist() == [False, True]
    assert named.transition[0, 0].tolist() == [0.5, 0.5] and named.onward[0, 0].tolist() == [0.5, 0.0]
    table = {
        0: {0: [(0.5, 0, 1.0, True), (0.25, 1, 0.0, False), (0.25, 2, 2.0, False)]},
        1: {0: [(1.0, 1, 0.0, True)]},  # as the holes of FrozenLake
        2: {0: [(1.0, 0, 0.0, False)]},
    }
    told = MDP.of_table("table", table, np.array([1.0, 0.0, 0.0]))
    assert told.terminal.tolist() == [False, True, False]
    assert told.transition[0, 0].tolist() == [0.5, 0.25, 0.25] and told.onward[0, 0].tolist() == [0.0, 0.0, 0.25]
    arrays = MDP.of_arrays("arrays", np.full((2, 1, 2), 0.5), np.ones((2, 1)), terminal=[1])
    assert arrays.terminal.tolist() == [False, True] and arrays.onward[0, 0].tolist() == [0.5, 0.0]


def test_equal_outcomes_are_one() -> None:
    mdp = MDP.of("corner", {("a", "up"): [(1 / 3, "a", 0.0), (1 / 3, "b", 1.0), (1 / 3, "a", 0.0), (0.0, "c", 9.0)]})
    assert mdp.outcomes.probability.tolist() == [2 / 3, 1 / 3]
    assert mdp.outcomes.reward.tolist() == [0.0, 1.0]


def test_a_policy_makes_a_chain_of_it() -> None:
    robot = MDP.of("robot", ROBOT)
    assert robot.uniform().tolist() == [[1.0, 0.0], [0.5, 0.5]]
    chain = robot.under(robot.uniform())
    np.testing.assert_allclose(chain.transition, [[0.9, 0.1], [0.8, 0.2]])
    np.testing.assert_allclose(chain.reward, [3.0, 0.5 * -0.6])


@pytest.mark.parametrize(
    ("dynamics", "start", "why"),
    [
        ({("a", "go"): [(0.5, "a", 0.0)]}, None, "what follows 'go' in 'a' sum to 0.5, expected 1"),
        ({("a", "go"): [(1.5, "a", 0.0), (-0.5, "a", 1.0)]}, None, "'go' in 'a' leads to 'a' with probability -0.5"),
        ({("a", "go"): [(1.0, "a", np.inf)]}, None, "reward inf, expected numbers"),
        ({("a", "go"): [(np.nan, "a", 0.0)]}, None, "probability nan"),
        ({("a", "go"): [(1.0, "b", 0.0)]}, {"b": 1.0}, "can't begin in 'b', for no action is legal there"),
        ({("a", "go"): [(1.0, "b", 0.0)]}, {"a": 0.9}, "expected probabilities of 2 states that sum to 1"),
    ],
)
def test_what_is_no_mdp_is_refused_with_the_place(dynamics: Any, start: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"broken: .*{why}"):
        MDP.of("broken", dynamics, start)


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[S, A, S\], but found \(2, 3, 4\)"):
        MDP.of_arrays("broken", np.ones((2, 3, 4)), np.ones((2, 3)))


def test_nobody_can_change_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        MDP.of("robot", ROBOT).outcomes.reward[0] = 1.0


# In compiled code ----------------------------------------------------------------------------------------------------


@njit(cache=False)
def sampled(outcomes: Outcomes, streams: Array, state: int, action: int, found: Array) -> None:
    for n in range(len(found)):
        found[n, 0] = begin(outcomes, uniform(streams, 0))
        found[n, 1], found[n, 2], found[n, 3] = step(outcomes, state, action, uniform(streams, 0))


@njit(cache=False)
def at(outcomes: Outcomes, state: int, action: int, u: float) -> tuple[int, int]:
    return begin(outcomes, u), step(outcomes, state, action, u)[0]


def test_samples_have_their_probabilities() -> None:
    """Chi-square on 20,000 samples of each of 2 distributions: a false alarm once in 2 * 1000 seeds."""
    dynamics = {("a", "go"): [(0.5, "a", 1.0), (0.3, "a", 2.0), (0.2, "end", 1.0)], ("b", "go"): [(1.0, "a", 0.0)]}
    mdp = MDP.of("world", dynamics, {"a": 0.25, "b": 0.75})
    streams, found = np.empty(1, np.uint64), np.empty((20_000, 4))
    seed(np.array([3], np.uint64), streams)
    sampled(mdp.outcomes, streams, 0, 0, found)
    assert stats.chisquare(np.bincount(found[:, 0].astype(int), minlength=2), [5000, 15_000]).pvalue > 1e-3
    kinds, counts = np.unique(found[:, 1:], axis=0, return_counts=True)
    assert kinds.tolist() == [[0, 1, 0], [0, 2, 0], [2, 1, 1]]
    assert stats.chisquare(counts, [10_000, 6000, 4000]).pvalue > 1e-3
    assert stats.chisquare(counts, [9_600, 6400, 4000]).pvalue < 1e-3  # or else the test would see nothing


def test_the_largest_number_finds_an_outcome_though_sums_are_rounded() -> None:
    tenths = MDP.of("tenths", {("a", "go"): [(0.1, t, 0.0) for t in range(10)]}, {"a": 1.0})
    assert np.cumsum([0.1] * 10)[-1] < 1
    last = 1 - 2.0**-53
    assert at(tenths.outcomes, 0, 0, last) == (0, tenths.state(9))
    assert at(tenths.outcomes, 0, 0, 0.0) == (0, tenths.state(0))


def test_who_trembles_does_any_legal_action() -> None:
    robot = MDP.of("robot", ROBOT)
    trembling = robot.trembling(0.2)
    np.testing.assert_allclose(trembling.transition[0, 0], robot.transition[0, 0])
    np.testing.assert_allclose(trembling.transition[1, 1], 0.9 * robot.transition[1, 1] + 0.1 * robot.transition[1, 0])
    np.testing.assert_allclose(trembling.reward[1], [0.9 * -0.6, 0.1 * -0.6], atol=1e-15)
    assert (trembling.legal == robot.legal).all()

from __future__ import annotations

from itertools import product
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from agents.maths.bellman import evaluate
from agents.maths.schedules import Schedule
from agents.tabular.configs.tabular_prediction import (
    MonteCarloReturns,
    NStepReturns,
    TabularPrediction,
    Target,
    Traces,
)
from agents.tabular.samples.episodes import Episode, Features, dense, matrix, tilings
from agents.tabular.samples.prediction import Learned, Predictor, compiled, learn
from envs.api import Array
from envs.tabular.blackjack import NATURAL
from envs.tabular.chains import BAIRD_FEATURES, ROAD_HOME
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from tests.runs import differences

VISITS: tuple[Literal["first", "every"], ...] = ("first", "every")
IMPORTANCE: tuple[Literal["ordinary", "weighted"], ...] = ("ordinary", "weighted")
VIEWS = ("accumulating", "replacing", "dutch", "offline", "forward")


def learned(
    episode: Episode, method: Target, features: Features, weights: Any, step: float, discount: float = 1.0
) -> Array:
    """The weights after an episode."""
    found, size, steps = np.array(weights, np.float64), features.size, len(episode.action)
    scratch = np.empty(size), np.empty(size), np.empty(len(features.active), np.int64), np.empty(steps), np.empty(steps)
    learn(features, compiled(method), discount, step, episode, Learned(found, np.zeros(size), *scratch))
    return found


def some_episode(rng: np.random.Generator, states: int, steps: int, terminated: bool, on_policy: bool) -> Episode:
    ratio = np.ones(steps) if on_policy else rng.uniform(0, 2, steps)
    found = rng.integers(states, size=steps + 1), np.zeros(steps, np.int64), rng.normal(size=steps), ratio
    return Episode(*found, terminated)


# From the definitions ------------------------------------------------------------------------------------------------


def n_step_return(e: Episode, t: int, n: int, discount: float, values: Array) -> float:
    """Of at most n rewards, and the value of the state that they led to."""
    end = min(t + n, len(e.reward))
    found = sum(discount ** (k - t) * e.reward[k] for k in range(t, end))
    return found + (0.0 if e.terminated and end == len(e.reward) else discount ** (end - t) * values[e.state[end]])


def lambda_return(e: Episode, t: int, decay: float, discount: float, values: Array) -> float:
    left = len(e.reward) - t
    weights = [(1 - decay) * decay ** (n - 1) for n in range(1, left)] + [decay ** (left - 1)]
    assert sum(weights) == pytest.approx(1)
    return sum(w * n_step_return(e, t, n, discount, values) for n, w in enumerate(weights, 1))


def test_weights_of_a_lambda_return() -> None:
    """Lambda 0.8 and five steps left, of which one is rewarded: what is known of it is the weight of longer returns."""
    expected = [0.2, 0.16, 0.128, 0.1024, 0.4096]
    values = np.eye(6)
    for n in range(1, 6):
        episode = Episode(np.arange(6), np.zeros(5, np.int64), np.zeros(5), np.ones(5), False)
        found = learned(episode, Traces(decay=0.8, view="forward"), dense(np.eye(6)), values[n], 1.0)
        assert found[0] == pytest.approx(expected[n - 1], abs=1e-15)


@pytest.mark.parametrize("terminated", [True, False])
@pytest.mark.parametrize("on_policy", [True, False])
def test_methods_are_their_definitions(terminated: bool, on_policy: bool) -> None:
    rng, discount, step = np.random.default_rng(0), 0.9, 0.3
    for features in (tilings(5), dense(rng.normal(size=(5, 3)))):
        x, first = matrix(features), rng.normal(size=features.size)
        e = some_episode(rng, 5, 12, terminated, on_policy)
        for n in (1, 3, 100):
            w = first.copy()
            for t in range(12):
                importance = np.prod(e.ratio[t : t + n])
                error = n_step_return(e, t, n, discount, x @ w) - x[e.state[t]] @ w
                w += step * importance * error * x[e.state[t]]
            np.testing.assert_allclose(learned(e, NStepReturns(n=n), features, first, step, discount), w, rtol=1e-10)
        w, z = first.copy(), np.zeros(features.size)
        for t in range(12):
            v, future = x @ w, 0.0 if terminated and t == 11 else (x @ w)[e.state[t + 1]]
            z = e.ratio[t] * (discount * 0.7 * z + x[e.state[t]])
            w += step * (e.reward[t] + discount * future - v[e.state[t]]) * z
        np.testing.assert_allclose(learned(e, Traces(decay=0.7), features, first, step, discount), w, rtol=1e-10)
        for visits, kind in product(VISITS, IMPORTANCE):
            method, w, start = MonteCarloReturns(visits=visits, importance=kind), first.copy(), x @ first
            for t in range(12):
                if visits == "every" or e.state[t] not in e.state[:t]:
                    weight, target = np.prod(e.ratio[t:]), n_step_return(e, t, 100, discount, start)
                    old = x[e.state[t]] @ w
                    error = weight * (target - old) if kind == "weighted" else weight * target - old
                    w += step * error * x[e.state[t]]
            np.testing.assert_allclose(learned(e, method, features, first, step, discount), w, rtol=1e-10)


def test_replacing_traces_are_set() -> None:
    rng = np.random.default_rng(1)
    e, w, z = some_episode(rng, 3, 9, True, True), np.zeros(3), np.zeros(3)
    for t in range(9):
        z *= 0.9 * 0.7
        z[e.state[t]] = 1.0
        future = 0.0 if t == 8 else w[e.state[t + 1]]
        w += 0.3 * (e.reward[t] + 0.9 * future - w[e.state[t]]) * z
    replacing, accumulating = (
        learned(e, Traces(decay=0.7, view=view), tilings(3), np.zeros(3), 0.3, 0.9)
        for view in ("replacing", "accumulating")
    )
    np.testing.assert_allclose(replacing, w, rtol=1e-12)
    assert np.abs(accumulating - w).max() > 0.01


@pytest.mark.parametrize("terminated", [True, False])
def test_forward_is_backward(terminated: bool) -> None:
    """Where values change at the end of an episode only: Sutton & Barto, section 12.2, to 1e-12."""
    rng = np.random.default_rng(2)
    for features in (tilings(5), dense(rng.normal(size=(5, 3)))):
        e, first = some_episode(rng, 5, 15, terminated, True), rng.normal(size=features.size)
        x, changes = matrix(features), np.zeros(features.size)
        for t in range(15):
            target = lambda_return(e, t, 0.8, 0.9, x @ first)
            changes += 0.2 * (target - x[e.state[t]] @ first) * x[e.state[t]]
        for view in ("forward", "offline"):
            found = learned(e, Traces(decay=0.8, view=view), features, first, 0.2, 0.9)
            np.testing.assert_allclose(found, first + changes, rtol=0, atol=1e-12)
        online = learned(e, Traces(decay=0.8), features, first, 0.2, 0.9)
        assert np.abs(online - first - changes).max() > 1e-3, "which is another algorithm"


def test_dutch_traces_are_the_online_lambda_return_algorithm() -> None:
    """At every step all updates so far are made anew with the returns as known now: Sutton & Barto, section 12.4."""
    rng, decay, discount, step = np.random.default_rng(3), 0.8, 0.9, 0.2
    features = dense(rng.normal(size=(5, 3)))
    e, x, first = some_episode(rng, 5, 10, True, True), matrix(features), rng.normal(size=3)
    known = [first]  # after each step
    for horizon in range(1, 11):
        w = first.copy()
        for t in range(horizon):
            returns = [
                sum(discount ** (k - t) * e.reward[k] for k in range(t, t + n))
                + (0.0 if t + n == 10 else discount**n * x[e.state[t + n]] @ known[t + n - 1])
                for n in range(1, horizon - t + 1)
            ]
            mixed = sum((1 - decay) * decay**k * g for k, g in enumerate(returns[:-1]))
            mixed += decay ** (len(returns) - 1) * returns[-1]
            w += step * (mixed - x[e.state[t]] @ w) * x[e.state[t]]
        known.append(w)
    found = learned(e, Traces(decay=decay, view="dutch"), features, first, step, discount)
    np.testing.assert_allclose(found, known[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("view", VIEWS)
def test_lambda_zero_is_td_and_lambda_one_is_monte_carlo(view: Any) -> None:
    """The latter where no state is seen twice; what is learned at the end of an episode is TD without looking again."""
    e = Episode(np.arange(7), np.zeros(6, np.int64), np.arange(6.0), np.ones(6), True)
    td = learned(e, NStepReturns(), tilings(7), np.ones(7), 0.1, 0.9)
    np.testing.assert_allclose(learned(e, Traces(decay=0, view=view), tilings(7), np.ones(7), 0.1, 0.9), td, atol=1e-12)
    mc = learned(e, MonteCarloReturns(), tilings(7), np.ones(7), 0.1, 0.9)
    if view in ("offline", "forward", "dutch"):
        one = learned(e, Traces(decay=1, view=view), tilings(7), np.ones(7), 0.1, 0.9)
        np.testing.assert_allclose(one, mc, atol=1e-12)


# Known answers -------------------------------------------------------------------------------------------------------


def test_driving_home() -> None:
    """Sutton & Barto, example 6.1: step size 1, from what was predicted."""
    elapsed, predicted = (np.array([float(leg[k]) for leg in ROAD_HOME]) for k in (1, 2))
    home = make_mdp("driving_home")
    rewards = np.diff(elapsed)
    np.testing.assert_array_equal(rewards, home.outcomes.reward)
    e = Episode(np.arange(6), np.zeros(5, np.int64), rewards, np.ones(5), True)
    mc = learned(e, MonteCarloReturns(), tilings(6), predicted, 1.0) - predicted
    td = learned(e, NStepReturns(), tilings(6), predicted, 1.0) - predicted
    assert mc[:5].tolist() == [13, 3, 8, 3, 0]
    assert td[:5].tolist() == [10, -5, 5, 3, 0] and td.sum() == 13  # TD errors sum to the error of the first state


def test_first_and_every_visit_differ() -> None:
    """Ten steps, always in the same state, reward 1: 10 after the first visit, 5.5 after all of them."""
    e = Episode(np.zeros(11, np.int64), np.zeros(10, np.int64), np.ones(10), np.ones(10), True)
    first, every = (
        learned(e, MonteCarloReturns(visits=visits), tilings(1), [0.0], step=0.0)[0] for visits in ("first", "every")
    )
    assert (first, every) == (10.0, pytest.approx(5.5, abs=1e-12))


def predictor(name: str, method: Target, **changes: Any) -> Predictor:
    made = {name: changes.pop(name) for name in ("policy", "behaviour", "features", "starts") if name in changes}
    return Predictor(make_mdp(name), TabularPrediction(mdp=name, method=method, **changes), **made)


def assert_close(found: Array, expected: Array, errors: float = 5.0) -> None:
    """Means over runs [runs, ...] within so many standard errors: 5 are a false alarm in two million."""
    standard = found.std(0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - expected) <= errors * standard + 1e-12).all(), (found.mean(0), expected, standard)


@pytest.mark.parametrize("visits", ["first", "every"])
def test_monte_carlo_finds_the_values_of_the_walk(visits: Any) -> None:
    runs = predictor("random_walk", MonteCarloReturns(visits=visits), step_size=None, runs=400)
    runs.iterate(400)
    assert_close(runs.values()[:, 1:6], np.arange(1, 6) / 6)
    assert (runs.values()[:, [0, 6]] == 0).all() and runs.errors().mean() < 0.06


@pytest.mark.parametrize(
    "method", [NStepReturns(), NStepReturns(n=3), Traces(decay=0.8), Traces(decay=0.8, view="replacing")]
)
def test_temporal_differences_find_the_values_of_the_walk(method: Target) -> None:
    falling = Schedule(kind="exponential", start=0.2, end=0.002)
    runs = predictor("random_walk", method, step_size=falling, runs=50, initial=0.5, steps=4000)
    runs.iterate(4000)
    np.testing.assert_allclose(runs.values()[:, 1:6].mean(0), np.arange(1, 6) / 6, atol=0.01)


def test_td_is_better_than_monte_carlo_on_the_walk() -> None:
    """Sutton & Barto, example 6.2, 100 episodes from 0.5."""
    td = predictor("random_walk", NStepReturns(), step_size=0.05, initial=0.5)
    mc = predictor("random_walk", MonteCarloReturns(visits="every"), step_size=0.02, initial=0.5)
    for runs in (td, mc):
        runs.iterate(100)
    assert td.errors().mean() < 0.07 < mc.errors().mean()


def test_numbers_of_steps_in_between_are_best() -> None:
    """Sutton & Barto, figure 7.2: 19 states, the first ten episodes."""
    walk, errors = "random_walk(states=19,left=-1.0)", list[float]()
    for n in (1, 4, 64):
        runs = predictor(walk, NStepReturns(n=n), step_size=0.4)
        by_episode = []
        for _ in range(10):
            runs.iterate(1)
            by_episode.append(runs.errors().mean())
        errors.append(float(np.mean(by_episode)))
    assert errors[1] < 0.3 < min(errors[0], errors[2])


def test_what_one_state_costs_does_not_depend_on_the_others() -> None:
    """Episodes begin where one wants to know: here in the state next to the right end."""
    runs = predictor("random_walk(states=30)", MonteCarloReturns(), step_size=None, runs=200, starts=[30])
    runs.iterate(200)
    assert_close(runs.values()[:, 30], np.array(30 / 31))
    assert (runs.counts[:, 30] == 200).all() and runs.counts[:, 10].mean() < 20


def test_what_is_cut_off_goes_on_by_its_last_state() -> None:
    """Reward 1 without end, discount 0.9, cut off after five steps: 10. As if that were the end: 4.0951."""
    endless = MDP.of("endless", {("here", "stay"): [(1.0, "here", 1.0)]})
    for method in (MonteCarloReturns(), NStepReturns(n=2), NStepReturns(n=9), Traces()):
        options = TabularPrediction(mdp="-", method=method, discount=0.9, episode_limit=5, runs=1, step_size=0.2)
        runs = Predictor(endless, options)
        runs.iterate(300)
        assert runs.values() == pytest.approx(10.0, abs=1e-6)
    e = Episode(np.zeros(6, np.int64), np.zeros(5, np.int64), np.ones(5), np.ones(5), True)
    assert learned(e, MonteCarloReturns(), tilings(1), [0.0], 1.0, 0.9)[0] == pytest.approx(4.0951)


# Another policy acts -------------------------------------------------------------------------------------------------


def sticking(game: MDP) -> Array:
    """The policy [S, A] that sticks on 20 and 21."""
    found, hands = np.zeros(game.legal.shape), list[Any](game.states)
    for number, hand in enumerate(hands):
        if not game.terminal[number]:
            enough = hand[0] == NATURAL or hand[0] >= 20
            found[number, game.action("stick" if enough else "hit")] = 1.0
    return found


def test_importance_sampling_finds_the_value_of_another_policy() -> None:
    """Blackjack: the dealer shows a deuce, one has 13 with a usable ace, sticks on 20 and 21, but moves were random.

    Sutton & Barto, example 5.4: -0.27726, by a hundred million episodes.
    """
    game = make_mdp("blackjack")
    state, policy = game.state((13, 2, True)), sticking(game)
    truth = evaluate(game, policy, 1.0)[state]
    assert truth == pytest.approx(-0.27726, abs=1e-4)  # their standard error
    for importance in IMPORTANCE:
        method = MonteCarloReturns(importance=importance)
        given = {"policy": policy, "behaviour": game.uniform(), "starts": [state]}
        runs = predictor("blackjack", method, step_size=None, runs=200, **given)
        runs.iterate(2000)
        assert_close(runs.values()[:, state], truth)
        with pytest.raises(AssertionError):  # which is what the behaviour is worth
            assert_close(runs.values()[:, state], evaluate(game, game.uniform(), 1.0)[state])


def test_off_policy_td_finds_the_values_too() -> None:
    game = make_mdp("gridworld")
    policy = np.full(game.legal.shape, [0.1, 0.2, 0.3, 0.4]) * game.legal
    truth = evaluate(game, policy, 0.9)
    given = {"policy": policy, "behaviour": game.uniform(), "discount": 0.9, "runs": 100, "initial": -5.0}
    falling = Schedule(kind="exponential", start=0.2, end=0.001)
    for method in (NStepReturns(), NStepReturns(n=2), Traces(decay=0.5)):
        runs = predictor("gridworld", method, step_size=falling, steps=4000, **given)
        runs.iterate(4000)
        np.testing.assert_allclose(runs.values().mean(0), truth, atol=0.03)
    assert np.abs(truth - evaluate(game, game.uniform(), 0.9)).max() > 0.5


def test_a_behaviour_that_never_does_what_is_judged_is_refused() -> None:
    game = make_mdp("blackjack")
    with pytest.raises(ValueError, match="takes actions that its behaviour never takes"):
        predictor("blackjack", NStepReturns(), policy=game.uniform(), behaviour=sticking(game))


# Shared weights ------------------------------------------------------------------------------------------------------


def test_linear_td_has_its_own_fixed_point() -> None:
    """A^-1 b with A = Phi' D (I - gamma P) Phi and b = Phi' D r; Monte-Carlo is least squares instead."""
    walk, features = make_mdp("random_walk"), tilings(7, width=3)
    chain, x = walk.under(walk.uniform()), matrix(features)
    x[walk.terminal] = 0.0
    visits = np.linalg.solve(np.eye(7) - chain.transition.T, chain.start)
    weighted = x.T * visits
    td = np.linalg.lstsq(weighted @ (x - chain.transition @ x), weighted @ chain.reward)[0]
    mc = np.linalg.lstsq(weighted @ x, weighted @ evaluate(walk, walk.uniform(), 1.0))[0]
    assert np.abs(td - mc).max() > 0.02
    falling = Schedule(kind="exponential", start=0.1, end=0.0005)
    for method, expected in ((NStepReturns(), td), (MonteCarloReturns(visits="every"), mc)):
        runs = predictor("random_walk", method, step_size=falling, runs=100, initial=0.5, steps=6000, width=3)
        runs.iterate(6000)
        np.testing.assert_allclose((runs.weights.mean(0) - expected)[:2], 0.0, atol=0.005)


def test_tilings_share_steps() -> None:
    """With several tilings a step is divided among them, so that a state moves as far as in a table."""
    walk = "random_walk(states=19)"
    for tiles in (1, 4):
        runs = predictor(walk, NStepReturns(), step_size=0.5, runs=1, width=4 if tiles > 1 else 1, tilings=tiles)
        runs.weights[:] = 1.0 / tiles
        runs.iterate(1)
        last = 1 if runs.values()[0, 1] != 1 else 19
        assert runs.values()[0, last] == pytest.approx({1: 0.5, 19: 1.0}[last], abs=0.5)
        assert len(runs.weights[0]) == {1: 21, 4: 4 * 6}[tiles]


def test_semi_gradients_off_policy_diverge() -> None:
    """Baird 1995; Sutton & Barto, figure 11.2: step 0.01, `solid` is judged and taken once in seven times."""
    world, features = make_mdp("baird"), dense(BAIRD_FEATURES)
    solid, behaviour = (np.tile(row, (7, 1)) for row in ([0.0, 1.0], [6 / 7, 1 / 7]))
    grown = []
    for acts in (behaviour, solid):
        options = TabularPrediction(
            mdp="baird", method=NStepReturns(), step_size=0.01, discount=0.99, episode_limit=1000, runs=20
        )
        runs = Predictor(world, options, solid, acts, features)
        runs.weights[:] = [1, 1, 1, 1, 1, 1, 10, 1]
        runs.iterate(2)
        grown.append(float(np.median(np.abs(runs.weights).max(1))))
    assert grown[0] > 100 > 11 > grown[1], "on policy they don't"


# As a run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [NStepReturns(), Traces(view="replacing"), MonteCarloReturns()])
def test_iterations_one_by_one_and_from_a_state_are_iterations_at_once(method: Target) -> None:
    falling = Schedule(start=0.5, end=0.1)
    whole, parts, resumed = (predictor("random_walk", method, step_size=falling, runs=3, steps=9) for _ in range(3))
    whole.iterate(9)
    for n in (1, 4):
        parts.iterate(n)
    resumed.iterate(1)  # whatever it did before
    resumed.load_state_dict(parts.state_dict())
    resumed.iterate(4)
    assert list(differences(whole.state_dict(), resumed.state_dict())) == []
    told = whole.metrics()
    assert told == resumed.metrics() and told["train/length"] > 1 and 0 <= told["train/return"] <= 1
    assert whole.metrics() == {} and whole.evaluate() == resumed.evaluate()


def test_runs_are_independent() -> None:
    alone = Predictor(make_mdp("random_walk"), TabularPrediction(mdp="random_walk", runs=1), seed_of_runs=5)
    beside = Predictor(make_mdp("random_walk"), TabularPrediction(mdp="random_walk", runs=4), seed_of_runs=5)
    other = Predictor(make_mdp("random_walk"), TabularPrediction(mdp="random_walk", runs=1), seed_of_runs=6)
    for runs in (alone, beside, other):
        runs.iterate(20)
    np.testing.assert_array_equal(alone.weights[0], beside.weights[0])
    np.testing.assert_array_equal(other.weights[0], beside.weights[1])
    assert (alone.weights != other.weights).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": None, "tilings": 2}, "counts one weight|needs one weight"),
        ({"step_size": None, "method": {"name": "td_lambda", "view": "dutch"}}, "needs a number"),
    ],
)
def test_steps_of_one_over_n_need_what_is_counted(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TabularPrediction.model_validate({"mdp": "random_walk"} | changes)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agents.tabular.dynamics import (
    Trajectories,
    fictitious_play,
    joint_play,
    multiplicative_weights,
    regret_matching,
    replicator,
)
from agents.tabular.equilibria import coarse_gains, expected_payoffs, exploitability, nash_conv, solve_zero_sum
from envs.api import Array
from envs.tabular.matrix_games import CLASSICS, MatrixGame, zero_sum

SHAPLEY, ROCK = CLASSICS["shapley"], CLASSICS["rock_paper_scissors"]
CORNER = [np.eye(3)[0], np.eye(3)[0]]
ASIDE = [np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])]

RULES: dict[str, Callable[[MatrixGame, int], Trajectories]] = {
    "fictitious play": fictitious_play,
    "regret matching": regret_matching,
    "regret matching+": lambda game, rounds: regret_matching(game, rounds, plus=True),
    "multiplicative weights": lambda game, rounds: multiplicative_weights(game, rounds, 0.01),
}
# how much may be lost to a best response after 20000 rounds of the games below, whose payoffs are in [-1, 1]
TOLERANCES = {
    "fictitious play": 0.03,
    "regret matching": 0.01,
    "regret matching+": 0.01,
    "multiplicative weights": 0.02,
}


def randoms(count: int) -> list[MatrixGame]:
    rng = np.random.default_rng(5)
    return [zero_sum(rng.uniform(-1, 1, rng.integers(2, 6, size=2))) for _ in range(count)]


@pytest.mark.parametrize("rule", RULES)
def test_averages_converge_to_the_value_of_random_zero_sum_games(rule: str) -> None:
    for game in randoms(8):
        average = RULES[rule](game, 20_000).average
        value, _ = solve_zero_sum(game)
        assert exploitability(game, average) < TOLERANCES[rule]
        assert abs(expected_payoffs(game, average)[0] - value) < 2 * TOLERANCES[rule]  # at most NashConv


@pytest.mark.parametrize("rule", RULES)
def test_a_trajectory_consists_of_strategies_and_the_average_is_its_mean(rule: str) -> None:
    game = MatrixGame(np.random.default_rng(6).normal(size=(3, 2, 4, 3)))
    play = RULES[rule](game, 50)
    weights = np.arange(1, 51) if rule.endswith("+") else np.ones(50)
    for p, count in enumerate(game.counts):
        assert play.trajectory[p].shape == (50, count)
        np.testing.assert_allclose(play.trajectory[p].sum(1), 1, atol=1e-12)
        np.testing.assert_allclose(play.trajectory[p][0], 1 / count)
        np.testing.assert_allclose(play.average[p], weights @ play.trajectory[p] / weights.sum(), atol=1e-12)


# Each rule against the sentence that defines it, with three players of different sizes -------------------------------


def worth(game: MatrixGame, profile: list[Array], p: int) -> Array:
    letters = "abc"[: game.players]
    others = [strategy for q, strategy in enumerate(profile) if q != p]
    rule = ",".join([letters, *(letter for q, letter in enumerate(letters) if q != p)]) + "->" + letters[p]
    return np.asarray(np.einsum(rule, game.payoffs[p], *others))


@pytest.mark.parametrize("plus", [False, True])
def test_regret_matching_by_hand(plus: bool) -> None:
    game = MatrixGame(np.random.default_rng(7).normal(size=(3, 2, 4, 3)))
    play = regret_matching(game, 40, plus=plus)
    regrets = [np.zeros(count) for count in game.counts]
    for t in range(39):
        profile = [part[t] for part in play.trajectory]
        for p in range(3):
            values = worth(game, profile, p)
            regrets[p] += values - values @ profile[p]
            if plus:
                regrets[p] = np.maximum(regrets[p], 0)
            positive = np.maximum(regrets[p], 0)
            expected = positive / positive.sum() if positive.any() else np.full(len(positive), 1 / len(positive))
            np.testing.assert_allclose(play.trajectory[p][t + 1], expected, atol=1e-9)


def test_fictitious_play_by_hand() -> None:
    game = MatrixGame(np.random.default_rng(8).normal(size=(3, 2, 4, 3)))
    play = fictitious_play(game, 60)
    for t in range(1, 60):
        beliefs = [part[:t].mean(0) for part in play.trajectory]
        for p in range(3):
            assert play.trajectory[p][t].argmax() == worth(game, beliefs, p).argmax()
            assert play.trajectory[p][t].max() == 1


def test_multiplicative_weights_by_hand() -> None:
    game = MatrixGame(np.random.default_rng(9).normal(size=(3, 2, 4, 3)))
    play = multiplicative_weights(game, 30, step=0.3)
    for t in range(29):
        profile = [part[t] for part in play.trajectory]
        for p in range(3):
            weights = profile[p] * np.exp(0.3 * worth(game, profile, p))
            np.testing.assert_allclose(play.trajectory[p][t + 1], weights / weights.sum(), atol=1e-12)


def test_replicator_moves_as_its_equation_says() -> None:
    game = MatrixGame(np.random.default_rng(10).normal(size=(3, 2, 4, 3)))
    start = [np.array([0.4, 0.6]), np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.5, 0.5])]
    step = 1e-3
    play = replicator(game, 3, step, start)
    middle = [part[1] for part in play.trajectory]
    for p in range(3):
        values = worth(game, middle, p)
        slope = (play.trajectory[p][2] - play.trajectory[p][0]) / (2 * step)
        np.testing.assert_allclose(slope, middle[p] * (values - values @ middle[p]), atol=1e-5)
    assert not play.trajectory[2][:, 0].any()  # what is not there does not grow


# Shapley's game ------------------------------------------------------------------------------------------------------


def runs(actions: Array) -> Array:
    """Lengths of the stretches in which one action is repeated."""
    return np.diff(np.flatnonzero(np.diff(actions, prepend=-1, append=-1)))


def test_fictitious_play_cycles_in_shapleys_game() -> None:
    play = fictitious_play(SHAPLEY, 100_000, CORNER)
    lengths = runs(play.trajectory[0].argmax(1))[:-1]
    assert len(lengths) > 8
    late = lengths[5:]
    assert (late[1:] > 1.2 * late[:-1]).all()  # ever longer, so that the averages never settle
    beliefs = [np.cumsum(part, 0) / np.arange(1, 100_001)[:, None] for part in play.trajectory]
    for t in (999, 9_999, 29_999, 99_999):
        assert nash_conv(SHAPLEY, [belief[t] for belief in beliefs]) > 0.2
    assert np.ptp(beliefs[0][10_000:], axis=0).min() > 0.2
    # the same rule does settle where Robinson says that it must
    assert nash_conv(ROCK, fictitious_play(ROCK, 100_000, CORNER).average) < 0.02


def test_regret_matching_in_shapleys_game_approaches_coarse_correlated_equilibria() -> None:
    gains = []
    for rounds in (1_000, 100_000):
        play = regret_matching(SHAPLEY, rounds, CORNER, np.random.default_rng(11))
        assert all(set(np.unique(part)) == {0.0, 1.0} for part in play.trajectory)
        gains.append(coarse_gains(SHAPLEY, joint_play(play.trajectory)).max())
    assert gains[1] < 0.01 and gains[1] < gains[0] / 3
    # not because the equilibrium was found: what happens is correlated
    joint = joint_play(play.trajectory)
    assert np.abs(joint - 1 / 9).max() > 0.05
    mixed = regret_matching(SHAPLEY, 100_000, CORNER)
    assert coarse_gains(SHAPLEY, joint_play(mixed.trajectory)).max() < 0.01


@pytest.mark.parametrize("drawn", [False, True])
def test_regrets_stay_below_their_bounds(drawn: bool) -> None:
    rounds, step = 10_000, 0.02
    for name, game in CLASSICS.items():
        span = np.ptp(game.payoffs, axis=tuple(range(1, game.players + 1)))
        rng = np.random.default_rng(12) if drawn else None
        chance = span * np.sqrt(2 * np.log(1e3) / rounds) * 2 if drawn else 0.0  # what luck may add
        gains = coarse_gains(game, joint_play(regret_matching(game, rounds, None, rng).trajectory))
        assert (gains <= span * np.sqrt(np.array(game.counts) / rounds) + chance).all(), name
        gains = coarse_gains(game, joint_play(multiplicative_weights(game, rounds, step, None, rng).trajectory))
        assert (gains <= np.log(game.counts) / (step * rounds) + step * span**2 / 8 + chance + 1e-12).all(), name


# Replicator ----------------------------------------------------------------------------------------------------------


def test_replicator_circles_around_the_equilibrium_and_its_time_average_is_there() -> None:
    play = replicator(ROCK, 20_000, 0.05, ASIDE)
    energy = sum(np.log(part).sum(1) for part in play.trajectory)  # constant (Hofbauer 1996)
    np.testing.assert_allclose(energy, energy[0], rtol=0, atol=1e-3)
    assert np.abs(play.trajectory[0][-1000:] - 1 / 3).max() > 0.1
    assert exploitability(ROCK, play.average) < 0.01
    # multiplicative weights is Euler's rule for the same equation, and leaves the circle for the boundary
    euler = multiplicative_weights(ROCK, 20_000, 0.05, ASIDE)
    assert sum(np.log(part[-1]).sum() for part in euler.trajectory) < energy[0] - 1


def test_replicator_finds_what_domination_leaves_and_selects_by_its_start() -> None:
    dilemma = replicator(CLASSICS["prisoners_dilemma"], 500, 0.1, [np.array([0.99, 0.01])] * 2)
    np.testing.assert_allclose(dilemma.trajectory[0][-1], [0, 1], atol=1e-9)
    for share, end in ((0.76, 1.0), (0.74, 0.0)):  # the mixed equilibrium, 3/4, is the watershed
        hunt = replicator(CLASSICS["stag_hunt"], 2_000, 0.1, [np.array([share, 1 - share])] * 2)
        assert hunt.trajectory[1][-1][0] == pytest.approx(end, abs=1e-6)


# Chance, starts, errors ----------------------------------------------------------------------------------------------


def test_the_same_generator_state_gives_the_same_play_and_none_is_touched_without_one() -> None:
    first, again, other = (
        regret_matching(ROCK, 200, rng=np.random.default_rng(seed)).trajectory[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_actions_are_drawn_as_often_as_the_strategy_says() -> None:
    start = [np.array([0.2, 0.0, 0.8]), np.array([0.0, 1.0, 0.0])]
    still = multiplicative_weights(zero_sum(np.zeros((3, 3))), 20_000, 1.0, start, np.random.default_rng(13))
    np.testing.assert_allclose(still.average[0], start[0], atol=0.02)
    np.testing.assert_array_equal(still.average[1], start[1])
    assert still.average[0][1] == 0


def test_joint_play_is_not_the_product_of_averages() -> None:
    together = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(joint_play([together, together]), [[0.5, 0], [0, 0.5]])
    three = joint_play([together, together[:, ::-1], together])
    assert three.tolist() == [[[0, 0], [0.5, 0]], [[0, 0.5], [0, 0]]]


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds"):
        fictitious_play(ROCK, 0)
    with pytest.raises(ValueError, match="step"):
        multiplicative_weights(ROCK, 10, 0.0)
    with pytest.raises(ValueError, match="step"):
        replicator(ROCK, 10, -1.0, ASIDE)
    with pytest.raises(ValueError, match="start"):
        regret_matching(ROCK, 10, ASIDE[:1])
    with pytest.raises(ValueError, match="distribution"):
        regret_matching(ROCK, 10, [np.ones(3), np.ones(3)])

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from agents.tabular import equilibria
from agents.tabular.equilibria import (
    action_values,
    best_responses,
    coarse_gains,
    correlated_equilibrium,
    eliminate_dominated,
    expected_payoffs,
    exploitability,
    maximin,
    nash_conv,
    pure_equilibria,
    solve_zero_sum,
    support_enumeration,
    swap_gains,
)
from envs.api import Array
from envs.tabular.matrix_games import CLASSICS, MatrixGame, bimatrix, symmetric, zero_sum

# What the books print ------------------------------------------------------------------------------------------------

THIRD, HALF = np.full(3, 1 / 3), np.full(2, 1 / 2)
BIASED = np.array([1, 10, 5]) / 16

MIXED = {  # the only equilibrium in which all actions are played, and what it pays
    "rock_paper_scissors": (THIRD, THIRD, 0, 0),
    "biased_rock_paper_scissors": (BIASED, BIASED, 0, 0),
    "matching_pennies": (HALF, HALF, 0, 0),
    "battle_of_the_sexes": (np.array([3, 1]) / 4, np.array([1, 3]) / 4, 3 / 2, 3 / 2),
    "chicken": (np.array([2, 1]) / 3, np.array([2, 1]) / 3, 14 / 3, 14 / 3),
    "stag_hunt": (np.array([3, 1]) / 4, np.array([3, 1]) / 4, 3, 3),
    "shapley": (THIRD, THIRD, 1 / 3, 1 / 3),
    "coin_guess": (np.array([2, 1]) / 3, np.array([2, 1]) / 3, -2 / 3, 2 / 3),
}
PURE = {
    "rock_paper_scissors": [],
    "biased_rock_paper_scissors": [],
    "matching_pennies": [],
    "matching_pennies_of_three": [],
    "battle_of_the_sexes": [(0, 0), (1, 1)],
    "prisoners_dilemma": [(1, 1)],
    "chicken": [(0, 1), (1, 0)],
    "stag_hunt": [(0, 0), (1, 1)],
    "shapley": [],
    "give_take": [(1, 1)],
    "coin_guess": [],
}


def pure(game: MatrixGame, actions: tuple[int, ...]) -> list[Array]:
    return [np.eye(count)[action] for count, action in zip(game.counts, actions, strict=True)]


def random_profile(game: MatrixGame, rng: np.random.Generator) -> list[Array]:
    return [rng.dirichlet(np.ones(count)) for count in game.counts]


@pytest.mark.parametrize("name", CLASSICS)
def test_pure_equilibria_of_the_classics(name: str) -> None:
    game = CLASSICS[name]
    assert pure_equilibria(game) == PURE[name]
    for actions in product(*map(range, game.counts)):
        assert (nash_conv(game, pure(game, actions)) == 0) == (actions in PURE[name])


@pytest.mark.parametrize("name", MIXED)
def test_mixed_equilibria_of_the_classics(name: str) -> None:
    game, (row, column, mine, theirs) = CLASSICS[name], MIXED[name]
    found, degenerate = support_enumeration(game)
    assert not degenerate
    assert len(found) == len(PURE[name]) + 1
    x, y = next(pair for pair in found if min(map(np.min, pair)) > 0)
    np.testing.assert_allclose(x, row, rtol=0, atol=1e-12)
    np.testing.assert_allclose(y, column, rtol=0, atol=1e-12)
    np.testing.assert_allclose(expected_payoffs(game, (x, y)), (mine, theirs), rtol=0, atol=1e-12)
    assert abs(nash_conv(game, (x, y))) < 1e-12
    for p in range(2):
        assert len(best_responses(game, (x, y), p)) == game.counts[p]  # indifferent: hence everybody mixes


@pytest.mark.parametrize("name", [name for name, game in CLASSICS.items() if game.two_player_zero_sum])
def test_the_linear_program_gives_the_printed_value_and_strategies(name: str) -> None:
    row, column, mine, _ = MIXED[name]
    value, (x, y) = solve_zero_sum(CLASSICS[name])
    assert value == pytest.approx(mine, abs=1e-9)
    np.testing.assert_allclose(x, row, rtol=0, atol=1e-9)
    np.testing.assert_allclose(y, column, rtol=0, atol=1e-9)
    assert exploitability(CLASSICS[name], (x, y)) == pytest.approx(0, abs=1e-9)


# Values --------------------------------------------------------------------------------------------------------------


def test_values_and_payoffs_are_the_sums_over_joint_actions_that_define_them() -> None:
    rng = np.random.default_rng(0)
    game = MatrixGame(rng.normal(size=(3, 2, 3, 4)))
    profile = random_profile(game, rng)
    paid, values = np.zeros(3), [np.zeros(count) for count in game.counts]
    for joint in product(*map(range, game.counts)):
        weights = [strategy[action] for strategy, action in zip(profile, joint, strict=True)]
        paid += np.prod(weights) * np.array([payoff[joint] for payoff in game.payoffs])
        for p in range(3):
            others = np.prod([w for q, w in enumerate(weights) if q != p])
            values[p][joint[p]] += others * game.payoffs[p][joint]
    np.testing.assert_allclose(expected_payoffs(game, profile), paid, atol=1e-14)
    for p in range(3):
        np.testing.assert_allclose(action_values(game, profile, p), values[p], atol=1e-14)
        assert best_responses(game, profile, p).tolist() == [values[p].argmax()]
    assert nash_conv(game, profile) == pytest.approx(sum(v.max() for v in values) - paid.sum())


def test_three_pennies_have_their_only_equilibrium_at_one_half() -> None:
    game = CLASSICS["matching_pennies_of_three"]
    assert nash_conv(game, [HALF] * 3) == 0
    rng = np.random.default_rng(1)
    assert all(nash_conv(game, random_profile(game, rng)) > 0.01 for _ in range(50))


def test_exploitability_is_half_of_nash_conv_and_only_for_zero_sum_games_of_two() -> None:
    game = CLASSICS["rock_paper_scissors"]
    rock = np.eye(3)[0]
    assert nash_conv(game, (rock, THIRD)) == pytest.approx(1)  # the second could play paper
    assert exploitability(game, (rock, THIRD)) == pytest.approx(1 / 2)
    assert exploitability(game, (rock, rock)) == 1
    for name in ("chicken", "matching_pennies_of_three"):
        with pytest.raises(ValueError, match="nash_conv"):
            exploitability(CLASSICS[name], [HALF] * CLASSICS[name].players)


@pytest.mark.parametrize("profile", [[HALF], [HALF, THIRD], [HALF, np.array([0.5, 0.6])], [HALF, np.array([2.0, -1])]])
def test_what_is_no_profile_is_refused(profile: list[Array]) -> None:
    with pytest.raises(ValueError, match="strategy"):
        nash_conv(CLASSICS["chicken"], profile)


# Domination ----------------------------------------------------------------------------------------------------------


def test_only_a_mixture_dominates_the_last_row() -> None:
    game = bimatrix([[3, 0], [0, 3], [1, 1]], [[0, 1], [1, 0], [0, 0]])
    assert eliminate_dominated(game).kept == ((0, 1), (0, 1))
    assert eliminate_dominated(game).rounds == (((0, 2),),)
    no_longer = bimatrix([[3.0, 0.0], [0.0, 3.0], [1.5, 1.5]], [[0, 1], [1, 0], [0, 0]])
    assert eliminate_dominated(no_longer).rounds == ()
    assert eliminate_dominated(no_longer, weakly=True).rounds == ()  # equal in every outcome


def test_elimination_goes_on_with_what_is_left() -> None:
    # right falls to the middle, then down to up, then left to the middle
    game = bimatrix([[1, 1, 0], [0, 0, 2]], [[0, 2, 1], [3, 1, 0]])
    left = eliminate_dominated(game)
    assert left.rounds == (((1, 2),), ((0, 1),), ((1, 0),))
    assert left.kept == ((0,), (1,))
    np.testing.assert_array_equal(left.game.payoffs, [[[1]], [[2]]])


def test_weak_domination_is_asked_for_and_may_lose_equilibria() -> None:
    game = bimatrix([[1, 1], [1, 0]], [[1, 1], [1, 0]])
    assert pure_equilibria(game) == [(0, 0), (0, 1), (1, 0)]
    assert eliminate_dominated(game).kept == ((0, 1), (0, 1))
    assert eliminate_dominated(game, weakly=True).kept == ((0,), (0,))


def test_dilemmas_are_solved_by_domination_and_coordination_is_not() -> None:
    for name in ("prisoners_dilemma", "give_take"):
        assert eliminate_dominated(CLASSICS[name]).kept == ((1,), (1,))
    for name in set(CLASSICS) - {"prisoners_dilemma", "give_take"}:
        assert eliminate_dominated(CLASSICS[name]).rounds == ()


def test_domination_with_three_players_and_whatever_the_scale() -> None:
    payoffs = np.random.default_rng(2).random((3, 2, 2, 3))
    payoffs[1, :, 1] = payoffs[1, :, 0] - 0.01  # the second player's second action loses to his first
    for scale in (1e-6, 1.0, 1e6):
        assert (1, 1) in eliminate_dominated(MatrixGame(scale * payoffs + 7 * scale)).rounds[0]


def test_no_equilibrium_plays_what_is_strictly_dominated() -> None:
    rng = np.random.default_rng(3)
    removed = 0
    for _ in range(15):
        game = MatrixGame(rng.integers(0, 20, (2, 3, 4)))
        kept = eliminate_dominated(game)
        removed += len(kept.rounds)
        for pair in support_enumeration(game).equilibria:
            for p in range(2):
                assert set(np.flatnonzero(pair[p])) <= set(kept.kept[p])
    assert removed > 5


# Guarantees ----------------------------------------------------------------------------------------------------------


def test_security_levels_outside_zero_sum_games() -> None:
    assert maximin(CLASSICS["chicken"], 0)[0] == pytest.approx(2)
    value, strategy = maximin(CLASSICS["battle_of_the_sexes"], 0)
    assert value == pytest.approx(3 / 2)
    np.testing.assert_allclose(strategy, HALF, atol=1e-9)
    assert maximin(CLASSICS["matching_pennies_of_three"], 2)[0] == pytest.approx(0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 2), (6, 6)])
def test_both_strategies_guarantee_the_same_value(shape: tuple[int, int]) -> None:
    payoff = 1e3 * np.random.default_rng(shape).normal(size=shape) + 500
    value, (x, y) = solve_zero_sum(zero_sum(payoff))
    assert (x @ payoff).min() == pytest.approx(value, rel=1e-9)
    assert (payoff @ y).max() == pytest.approx(value, rel=1e-9)


def test_a_game_that_is_not_zero_sum_has_no_value() -> None:
    with pytest.raises(ValueError, match="zero-sum"):
        solve_zero_sum(CLASSICS["chicken"])


# All equilibria, against exact arithmetic ----------------------------------------------------------------------------


def solve(rows: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Gauss-Jordan elimination over the rationals; None if the matrix is singular."""
    m = [[*row, r] for row, r in zip(rows, right, strict=True)]
    for i in range(len(m)):
        pivot = next((k for k in range(i, len(m)) if m[k][i]), None)
        if pivot is None:
            return None
        m[i], m[pivot] = m[pivot], m[i]
        m[i] = [value / m[i][i] for value in m[i]]
        for k in range(len(m)):
            if k != i and m[k][i]:
                m[k] = [a - m[k][i] * b for a, b in zip(m[k], m[i], strict=True)]
    return [row[-1] for row in m]


def vertices(payoff: list[list[int]]) -> dict[tuple[Fraction, ...], set[int]]:
    """Vertices of {z >= 0, payoff @ z <= 1}, payoff positive, and the numbers of the inequalities that bind there."""
    n = len(payoff[0])
    rows = [[Fraction(-(i == j)) for j in range(n)] for i in range(n)] + [[Fraction(v) for v in row] for row in payoff]
    right = [Fraction(0)] * n + [Fraction(1)] * len(payoff)
    found = {}
    for chosen in combinations(range(len(rows)), n):
        z = solve([rows[i] for i in chosen], [right[i] for i in chosen])
        if z is not None:
            value = [sum((a * b for a, b in zip(row, z, strict=True)), Fraction(0)) for row in rows]
            if all(v <= r for v, r in zip(value, right, strict=True)):
                found[tuple(z)] = {i for i, (v, r) in enumerate(zip(value, right, strict=True)) if v == r}
    return found


def vertex_enumeration(game: MatrixGame) -> tuple[set[tuple[Fraction, ...]], bool]:
    """Equilibria as pairs of vertices with all labels, exactly; and whether a vertex has too many of them."""
    m, n = game.counts
    row, column = ((payoff - payoff.min() + 1).astype(int) for payoff in game.payoffs)
    # Label i < m: the first's action i isn't played, or is a best response. Label m + j: the same for the second's j.
    mine = vertices(column.T.tolist())
    theirs = {y: {(binds + m) % (m + n) for binds in labels} for y, labels in vertices(row.tolist()).items()}
    found = {
        (*(v / sum(x) for v in x), *(v / sum(y) for v in y))
        for x, y in product(mine, theirs)
        if any(x) and any(y) and mine[x] | theirs[y] == set(range(m + n))
    }
    degenerate = any(len(labels) > len(z) for polytope in (mine, theirs) for z, labels in polytope.items())
    return found, degenerate


@pytest.mark.parametrize(("shape", "high", "games"), [((3, 3), 1000, 12), ((3, 3), 5, 25), ((2, 4), 8, 15)])
def test_support_enumeration_finds_what_exact_vertex_enumeration_finds(
    shape: tuple[int, int], high: int, games: int
) -> None:
    rng = np.random.default_rng((*shape, high))
    several = degenerates = 0
    for _ in range(games):
        game = MatrixGame(rng.integers(-high, high, (2, *shape)))
        found, degenerate = support_enumeration(game)
        expected, truly = vertex_enumeration(game)
        assert degenerate == truly
        floats = sorted(tuple(map(float, z)) for z in expected)
        pairs = [tuple(np.concatenate(pair)) for pair in found]
        if degenerate:
            degenerates += 1
            assert all(np.abs(np.array(floats) - pair).max(1).min() < 1e-9 for pair in pairs)
        else:
            assert len(pairs) == len(expected) and len(pairs) % 2 == 1  # odd: Lemke & Howson 1964
            np.testing.assert_allclose(sorted(pairs), floats, rtol=0, atol=1e-9)
            several += len(pairs) > 1
    assert several and (degenerates > 0) == (high < 10)


@pytest.mark.parametrize(
    ("game", "degenerate"),
    [
        (bimatrix([[1, 1], [0, 2]], [[1, 0], [0, 1]]), False),
        (bimatrix([[1, 1], [1, 2]], [[1, 0], [0, 1]]), True),  # two best responses to the first column
        (symmetric([[1, 1], [1, 1]]), True),
        (bimatrix([[3.0, 0.0], [0.0, 3.0], [1.5, 1.5]], [[0, 1], [1, 0], [0, 2]]), True),  # three, to one half each
        (bimatrix([[3.0, 0.0], [0.0, 3.0], [1.5, 1.4]], [[0, 1], [1, 0], [0, 2]]), False),
    ],
)
def test_degeneracy_is_reported(game: MatrixGame, degenerate: bool) -> None:
    assert support_enumeration(game).degenerate == degenerate


def test_support_enumeration_takes_two_players() -> None:
    with pytest.raises(ValueError, match="two players, not 3"):
        support_enumeration(CLASSICS["matching_pennies_of_three"])


# Correlated play -----------------------------------------------------------------------------------------------------


def test_the_best_correlated_equilibrium_of_chicken_pays_more_than_any_mixture_of_nash_equilibria() -> None:
    game = CLASSICS["chicken"]
    joint = correlated_equilibrium(game)
    np.testing.assert_allclose(joint, [[1 / 2, 1 / 4], [1 / 4, 0]], atol=1e-9)
    assert (game.payoffs * joint).sum() == pytest.approx(10.5, abs=1e-9)
    assert max(expected_payoffs(game, pair).sum() for pair in support_enumeration(game).equilibria) < 9.4
    np.testing.assert_allclose(swap_gains(game, joint), 0, atol=1e-9)
    # Aumann's own: a third each; and what nobody told to swerve would obey
    np.testing.assert_allclose(swap_gains(game, np.array([[1, 1], [1, 0]]) / 3), 0, atol=1e-12)
    np.testing.assert_allclose(swap_gains(game, np.array([[1.0, 0], [0, 0]])), 1)


@pytest.mark.parametrize("name", CLASSICS)
def test_nobody_disobeys_and_no_equilibrium_has_more_welfare(name: str) -> None:
    game = CLASSICS[name]
    joint = correlated_equilibrium(game)
    assert joint.shape == game.counts and joint.sum() == pytest.approx(1) and joint.min() >= 0
    span = np.ptp(game.payoffs)
    assert swap_gains(game, joint).max() < 1e-9 * span
    assert coarse_gains(game, joint).max() < 1e-9 * span
    for actions in PURE[name]:
        assert game.payoffs[(slice(None), *actions)].sum() <= (game.payoffs * joint).sum() + 1e-9


def test_gains_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(4)
    game = MatrixGame(rng.normal(size=(3, 2, 3, 2)))
    joint = rng.dirichlet(np.ones(12)).reshape(game.counts)
    for p in range(3):
        paid = {  # by deviation rule: what to play when told 0, 1, ...
            rule: sum(
                joint[a] * game.payoffs[(p, *a[:p], rule[a[p]], *a[p + 1 :])] for a in product(*map(range, game.counts))
            )
            for rule in product(range(game.counts[p]), repeat=game.counts[p])
        }
        obey = paid[tuple(range(game.counts[p]))]
        constant = max(paid[(action,) * game.counts[p]] for action in range(game.counts[p]))
        assert swap_gains(game, joint)[p] == pytest.approx(max(paid.values()) - obey)
        assert coarse_gains(game, joint)[p] == pytest.approx(constant - obey)


def test_a_trivial_game_has_a_trivial_correlated_equilibrium() -> None:
    np.testing.assert_array_equal(correlated_equilibrium(zero_sum([[3]])), [[1]])


def test_a_failed_program_is_no_solution() -> None:
    with pytest.raises(ArithmeticError, match="infeasible"):
        equilibria._minimize(np.ones(1), A_eq=np.ones((1, 1)), b_eq=-np.ones(1))

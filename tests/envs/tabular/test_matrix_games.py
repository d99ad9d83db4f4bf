from __future__ import annotations

import numpy as np
import pytest

from envs.tabular.matrix_games import CLASSICS, MatrixGame, bimatrix, symmetric, zero_sum


def test_a_game_knows_its_players_and_actions() -> None:
    game = MatrixGame(np.zeros((3, 2, 4, 5)))
    assert (game.players, game.counts) == (3, (2, 4, 5))
    assert game.payoffs.dtype == np.float64
    assert CLASSICS["matching_pennies_of_three"].players == 3


@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (2, 3, 3, 3), (3, 2, 2), (2, 0, 2), (0,)])
def test_an_array_that_is_no_game_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        MatrixGame(np.zeros(shape))


def test_payoffs_are_finite_and_nobody_can_change_them() -> None:
    with pytest.raises(ValueError, match="finite"):
        zero_sum([[0.0, np.inf]])
    mine = np.zeros((2, 2, 2))
    game = MatrixGame(mine)
    mine[:] = 1.0
    assert not game.payoffs.any()
    with pytest.raises(ValueError, match="read-only"):
        game.payoffs[0, 0, 0] = 1.0


def test_constructors() -> None:
    np.testing.assert_array_equal(zero_sum([[1, 2, 3]]).payoffs, [[[1, 2, 3]], [[-1, -2, -3]]])
    np.testing.assert_array_equal(symmetric([[1, 2], [3, 4]]).payoffs, [[[1, 2], [3, 4]], [[1, 3], [2, 4]]])
    with pytest.raises(ValueError, match="shape"):
        bimatrix([[1, 2]], [[1], [2]])


def test_who_is_zero_sum() -> None:
    names = {name for name, game in CLASSICS.items() if game.two_player_zero_sum}
    pennies = {"rock_paper_scissors", "biased_rock_paper_scissors", "matching_pennies", "coin_guess"}
    assert names == pennies
    assert zero_sum(np.random.default_rng(0).normal(size=(4, 5)) / 3).two_player_zero_sum
    assert not bimatrix([[0.0, 1.0]], [[0.0, -1.0 + 1e-9]]).two_player_zero_sum
    assert not MatrixGame(np.zeros((3, 1, 1, 1))).two_player_zero_sum


def test_the_classics_pay_what_their_stories_say() -> None:
    sexes = CLASSICS["battle_of_the_sexes"].payoffs
    assert [tuple(sexes[:, i, j]) for i in (0, 1) for j in (0, 1)] == [(3, 2), (1, 1), (0, 0), (2, 3)]
    shapley = CLASSICS["shapley"].payoffs
    for i in range(3):
        assert tuple(shapley[:, i, i]) == (1, 0)
        assert tuple(shapley[:, i, (i + 1) % 3]) == (0, 1)
    assert shapley.sum() == 6
    give = CLASSICS["give_take"].payoffs[0]
    assert [[given * 3 + (not kept) * 1 for given in (1, 0)] for kept in (1, 0)] == give.tolist()
    three = CLASSICS["matching_pennies_of_three"].payoffs
    assert three[:, 0, 0, 0].tolist() == [1, 1, -1]
    assert three[:, 0, 1, 1].tolist() == [-1, 1, 1]

"""Matrix games as trees: three ways to the value of a game, and to its equilibrium, that share no code."""

from __future__ import annotations

import numpy as np
import pytest

from agents.regret.best_response import expected_returns, exploitability
from agents.regret.cfr import VARIANTS, RegretMinimizer
from agents.regret.linear_program import solve
from agents.regret.tree import compile_tree
from agents.tabular.dynamics import fictitious_play
from agents.tabular.equilibria import expected_payoffs, solve_zero_sum
from envs.api import TERMINAL, Array, GameSpec
from envs.tabular.matrix_games import CLASSICS, MatrixGame, zero_sum


class InTurns:
    """Seat 0 chooses, then seat 1, who has not seen it. Positions are int64 [n, 3]: how many have chosen, and what."""

    def __init__(self, game: MatrixGame) -> None:
        self.game = game
        self.spec = GameSpec("matrix", 2, max(game.counts), (0,), 2, True, False, False)

    def initial(self, n: int) -> Array:
        return np.zeros((n, 3), np.int64)

    def step(self, positions: Array, actions: Array) -> Array:
        following = positions.copy()
        following[np.arange(len(positions)), 1 + positions[:, 0]] = actions
        following[:, 0] += 1
        return following

    def seat(self, positions: Array) -> Array:
        return np.where(positions[:, 0] < 2, positions[:, 0], TERMINAL)

    def legal(self, positions: Array) -> Array:
        counts = np.array([*self.game.counts, 0])[positions[:, 0]]
        return np.arange(self.spec.actions) < counts[:, None]

    def chance(self, positions: Array) -> Array:
        return np.zeros((len(positions), self.spec.actions))

    def returns(self, positions: Array) -> Array:
        over = (positions[:, 0] == 2)[:, None]
        return np.where(over, self.game.payoffs[:, positions[:, 1], positions[:, 2]].T, 0.0)

    def information_state(self, positions: Array, seat: Array | None = None) -> list[str]:
        return [f"seat {moved}" for moved in positions[:, 0]]


def games() -> list[MatrixGame]:
    rng = np.random.default_rng(11)
    return [zero_sum(rng.uniform(-1, 1, rng.integers(2, 6, size=2))) for _ in range(8)]


@pytest.mark.parametrize("game", [*games(), CLASSICS["rock_paper_scissors"], CLASSICS["matching_pennies"]])
def test_linear_program_counterfactual_regret_and_fictitious_play_agree_on_the_value(game: MatrixGame) -> None:
    value, _ = solve_zero_sum(game)
    tree = compile_tree(InTurns(game))  # type: ignore[arg-type]
    assert tree.infosets == 2
    assert solve(tree).value == pytest.approx(value, abs=1e-9)
    solver = RegretMinimizer(tree, VARIANTS["cfr_plus"])
    solver.iterate(20_000)
    policy = solver.average_policy()
    assert exploitability(tree, policy) < 1e-3
    assert expected_returns(tree, policy)[0] == pytest.approx(value, abs=2e-3)
    average = fictitious_play(game, 20_000).average
    assert expected_payoffs(game, average)[0] == pytest.approx(value, abs=0.03)


def test_a_second_seat_that_sees_the_first_ones_choice_makes_it_another_game() -> None:
    """The broken variant: matching pennies with open eyes is worth -1 to the first seat."""

    class Open(InTurns):
        def information_state(self, positions: Array, seat: Array | None = None) -> list[str]:
            return [str(position[: 1 + position[0]]) for position in positions.tolist()]

    game = CLASSICS["matching_pennies"]
    assert solve(compile_tree(InTurns(game))).value == pytest.approx(0, abs=1e-9)  # type: ignore[arg-type]
    assert solve(compile_tree(Open(game))).value == pytest.approx(-1, abs=1e-9)  # type: ignore[arg-type]

"""Games in normal form: everybody chooses once, at the same time, and an array says what each one gets.

`CLASSICS["chicken"]` and the others are the textbook's games, with two players unless the comment says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from envs.api import Array


@dataclass(frozen=True, eq=False)
class MatrixGame:
    """P players; player p has A_p actions. Raises ValueError where the array's shape isn't that of a game."""

    payoffs: Array  # [P, A_1, ..., A_P] float64, read-only: what player p gets if the players choose a_1, ..., a_P

    def __post_init__(self) -> None:
        payoffs = np.array(self.payoffs, np.float64)
        if payoffs.ndim < 2 or payoffs.shape[0] != payoffs.ndim - 1 or payoffs.size == 0:
            raise ValueError(
                f"payoffs of P players have shape [P, A_1, ..., A_P], each A at least 1, but found {payoffs.shape}"
            )
        if not np.isfinite(payoffs).all():
            raise ValueError("payoffs must be finite")
        payoffs.setflags(write=False)
        object.__setattr__(self, "payoffs", payoffs)

    @property
    def players(self) -> int:
        return len(self.payoffs)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of actions of each player."""
        return self.payoffs.shape[1:]

    @property
    def two_player_zero_sum(self) -> bool:
        """Two players, and what one wins the other loses (up to rounding)."""
        total = np.abs(self.payoffs.sum(0)).max()
        return self.players == 2 and bool(total <= 1e-12 * np.abs(self.payoffs).max())


def bimatrix(row: ArrayLike, column: ArrayLike) -> MatrixGame:
    """The two-player game in which the players get `row` and `column`, both [A_1, A_2]."""
    return MatrixGame(np.stack([np.asarray(row, np.float64), np.asarray(column, np.float64)]))


def zero_sum(row: ArrayLike) -> MatrixGame:
    """The two-player game in which the second player pays `row` [A_1, A_2] to the first."""
    return bimatrix(row, -np.asarray(row, np.float64))


def symmetric(row: ArrayLike) -> MatrixGame:
    """The two-player game that looks the same from both sides: who chooses the row gets `row` [A, A]."""
    return bimatrix(row, np.asarray(row, np.float64).T)


def _matching_pennies_of_three() -> MatrixGame:
    """+1 for the first who matches the second, who matches the third, who wants to differ from the first."""
    first, second, third = np.indices((2, 2, 2))
    return MatrixGame(1.0 - 2.0 * np.stack([first != second, second != third, third == first]))


CLASSICS: dict[str, MatrixGame] = {
    # rock, paper, scissors: 1 for a win
    "rock_paper_scissors": zero_sum([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]),
    # the same with stakes 25 (rock-paper), 50 (rock-scissors) and 5 (paper-scissors), as in OpenSpiel's matrix_brps
    "biased_rock_paper_scissors": zero_sum([[0, -25, 50], [25, 0, -5], [-50, 5, 0]]),
    # heads, tails: the first player wins if both show the same side
    "matching_pennies": zero_sum([[1, -1], [-1, 1]]),
    # three players, heads or tails (Jordan 1993)
    "matching_pennies_of_three": _matching_pennies_of_three(),
    # the place that the first prefers, the place that the second prefers; going alone to the right place is worth 1
    "battle_of_the_sexes": bimatrix([[3, 1], [0, 2]], [[2, 1], [0, 3]]),
    # cooperate, defect
    "prisoners_dilemma": symmetric([[3, 0], [5, 1]]),
    # swerve, drive on: with these numbers the example of Aumann 1974
    "chicken": symmetric([[6, 2], [7, 0]]),
    # stag, hare
    "stag_hunt": symmetric([[4, 0], [3, 3]]),
    # the first player wants to match the second, who wants to be one ahead (Shapley 1964)
    "shapley": bimatrix(np.eye(3), np.roll(np.eye(3), 1, axis=1)),
    # give: the other one gets 3; take: 1 for oneself. A prisoner's dilemma in which an action's gain is always the same
    "give_take": symmetric([[3, 0], [4, 1]]),
    # The first hides a coin worth 1 or a coin worth 2; the second gets it if he says which one it is.
    "coin_guess": zero_sum([[-1, 0], [0, -2]]),
}

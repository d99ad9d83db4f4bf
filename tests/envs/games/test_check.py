"""check_game must see each rule that a game breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from envs.api import CHANCE, Array, GameSpec, IllegalAction, Positions, Symmetry
from envs.games.check import check_game
from envs.games.make import make_game
from envs.games.native import NativeGame
from envs.games.symmetries import identity, square

LENGTH = 4  # two dice are thrown, then each seat moves once


class Dice:
    """Each seat's die is thrown, then each names a number from 0 to 2: the nearer to the sum of the dice wins.

    A position is uint64 [6]: how much was done, then what. `fault` is the rule to break.
    """

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.spec = GameSpec("dice", 2, 3, (6,), 2, zero_sum=True, chance=True, perfect_information=True)
        if fault == "max_length":
            self.spec = replace(self.spec, max_length=1)
        if fault == "no chance":
            self.spec = replace(self.spec, chance=False)

    def initial(self, n: int) -> Positions:
        return np.zeros((n, 6), np.uint64)

    def step(self, positions: Positions, actions: Array) -> Positions:
        legal = self.legal(positions) if self.fault != "accepts" else np.ones((len(positions), 3), bool)
        for row, action in enumerate(actions.tolist()):
            if not 0 <= action < 3 or not (legal[row, action] or self.fault == "accepts"):
                raise IllegalAction(f"dice, row {0 if self.fault == 'blame' else row}: action {action} is not legal")
        if self.fault == "batch":
            actions = np.roll(actions, 1)
        following = positions if self.fault == "mutates" else positions.copy()
        done = following[:, 0].astype(np.int64)
        following[np.arange(len(following)), 1 + done] = actions
        following[:, 0] += np.uint64(1)
        return following

    def seat(self, positions: Positions) -> Array:
        seats = np.array([CHANCE, CHANCE, 0, 1, -4])[positions[:, 0].astype(np.int64)]
        return seats.astype(np.int32) if self.fault == "dtype" else seats

    def legal(self, positions: Positions) -> Array:
        done = positions[:, 0]
        legal = np.broadcast_to((done < LENGTH)[:, None], (len(positions), 3)).copy()
        legal[done < 2, 2] = False  # a die has two sides
        if self.fault == "secret":
            legal[(done == 2) & (positions[:, 1] == 1), 0] = False
        if self.fault == "goes on":
            legal[done == LENGTH] = True
        if self.fault == "stuck":
            legal[done == 3] = False
        return legal

    def chance(self, positions: Positions) -> Array:
        lucky = (positions[:, 0] < 2)[:, None]
        fair = np.array([0.5, 0.25, 0.25] if self.fault == "illegal luck" else [0.5, 0.5, 0.0])
        return np.where(lucky, fair * (0.5 if self.fault == "half" else 1.0), 0.0)

    def returns(self, positions: Positions) -> Array:
        total = positions[:, 1].astype(float) + positions[:, 2]
        miss = np.abs(positions[:, 3:5].astype(float) - total[:, None])
        first = np.where(positions[:, 0] == LENGTH, np.sign(miss[:, 1] - miss[:, 0]), 0.0)
        return np.stack([first, first if self.fault == "both win" else -first], 1)

    def observe(self, positions: Positions, seat: Array | None = None) -> Array:
        seen = positions.astype(np.float32)
        if self.fault == "another's":
            seen[:, 5] = 7.0 if seat is None else seat
        return np.full_like(seen, np.nan) if self.fault == "NaN" else seen

    def information_state(self, positions: Positions, seat: Array | None = None) -> list[str]:
        shown = positions[:, [0, 2, 3, 4]] if self.fault == "secret" else positions
        return [str(row.tolist()) for row in shown]

    def information_tensor(self, positions: Positions, seat: Array | None = None) -> Array:
        return self.observe(positions, seat)

    def symmetries(self) -> list[Symmetry]:
        return [Symmetry(np.arange(6), np.arange(3))]

    def text(self, positions: Positions, seat: Array | None = None) -> list[str]:
        return self.information_state(positions, seat)

    def picture(self, positions: Positions) -> Array:
        raise ValueError("dice has no board to draw")


def test_a_sound_game_passes() -> None:
    check_game(Dice(), games=20, seed=0)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("max_length", "max_length is 1, a game has 2 moves"),
        ("no chance", "there is a chance node"),
        ("accepts", "illegal actions: . was accepted where it is not legal"),
        ("blame", "but the error says 'dice, row 0"),
        ("mutates", "a step changed the positions"),
        ("batch", "steps otherwise beside others than alone"),
        ("dtype", "seat: int32"),
        ("secret", "other actions are legal for seat 0 in one information state"),
        ("goes on", "something is legal after the end"),
        ("stuck", "nothing is legal, though"),
        ("half", "they don't sum to 1"),
        ("illegal luck", "an outcome that is not legal has a probability"),
        ("both win", "doesn't sum to 0"),
        ("another's", "is not what seat 0 sees"),
        ("NaN", "obs is not finite"),
    ],
)
def test_a_broken_rule_is_seen(fault: str, rule: str) -> None:
    game: Any = Dice(fault)
    with pytest.raises(AssertionError, match=rule):
        check_game(game, games=20, seed=0)


def test_an_accepted_action_after_the_end_is_seen() -> None:
    class Endless(Dice):
        def step(self, positions: Positions, actions: Array) -> Positions:
            over = positions[:, 0] == LENGTH
            following = positions.copy()
            following[~over] = super().step(positions[~over], actions[~over])
            return following

    with pytest.raises(AssertionError, match="accepted after the end"):
        check_game(Endless(), games=1, seed=0)


def with_symmetries(name: str, symmetries: list[Symmetry]) -> NativeGame:
    game = make_game(name)
    assert isinstance(game, NativeGame)
    return NativeGame(game.rules._replace(symmetries=symmetries))


MIRROR = np.array([2, 1, 0, 5, 4, 3, 8, 7, 6])


@pytest.mark.parametrize(
    ("cells", "actions", "rule"),
    [
        (MIRROR, MIRROR, None),
        (np.arange(9), MIRROR, "symmetry .*: another observation"),
        (MIRROR, np.arange(9), "symmetry .*: another observation"),
        (MIRROR, MIRROR[::-1], "symmetry .*: another observation"),
        (np.roll(np.arange(9), 1), np.roll(np.arange(9), 1), "symmetry .*: another seat is to move"),  # no lines
        (MIRROR, np.zeros(9, np.int64), "symmetry 1: actions is no permutation of 0 to 8"),
        (np.arange(4), MIRROR, "symmetry 1: cells is no permutation"),
    ],
)
def test_a_wrong_symmetry_is_seen(cells: Array, actions: Array, rule: str | None) -> None:
    game = with_symmetries("tic_tac_toe", [identity(9, 9), Symmetry(cells, actions)])
    if rule is None:
        check_game(game, games=20, seed=0)
        return
    with pytest.raises(AssertionError, match=rule):
        check_game(game, games=20, seed=0)


def test_symmetries_begin_with_the_one_that_changes_nothing() -> None:
    with pytest.raises(AssertionError, match="the first changes something"):
        check_game(with_symmetries("tic_tac_toe", [Symmetry(MIRROR, MIRROR)]), games=1, seed=0)


def test_a_quarter_turn_exchanges_the_colours_of_othello() -> None:
    with pytest.raises(AssertionError, match="other actions are legal"):
        check_game(with_symmetries("othello", square(8, others=1)), games=8, seed=0)

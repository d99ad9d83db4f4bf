"""What holds in every position of every size of the native games, on lines of play that hypothesis thinks of."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.api import CHANCE, TERMINAL, Array, Game, IllegalAction, Positions, Symmetry
from envs.games.make import make_game
from envs.games.native import NativeGame
from envs.games.rules import NATIVE
from tests.envs.games.test_native import drawn, native

SIZES = {
    "tic_tac_toe": st.just("tic_tac_toe"),
    "connect_four": st.builds(
        "connect_four(rows={},columns={},x_in_row={},egocentric_obs_tensor={})".format,
        *(st.integers(2, 7), st.integers(2, 8), st.integers(2, 5), st.booleans()),
    ),
    "othello": st.builds("othello(board_size={})".format, st.sampled_from([4, 6, 8])),
    "hex": st.builds(
        "hex(num_rows={},num_cols={},plain_obs_tensor={})".format, st.integers(2, 11), st.integers(2, 11), st.booleans()
    ),
    "breakthrough": st.builds("breakthrough(rows={},columns={})".format, st.integers(2, 8), st.integers(2, 8)),
    "go": st.builds(
        "go(board_size={},komi={},max_game_length={})".format,
        *(st.integers(2, 6), st.integers(-8, 16).map(lambda halves: halves / 2), st.integers(2, 60)),
    ),
    "kuhn_poker": st.just("kuhn_poker"),
    "leduc_poker": st.just("leduc_poker"),
}
GAMES = st.one_of(*SIZES.values()).map(cache(native))
CHOICES = st.lists(st.integers(0, 2**16), min_size=1, max_size=12)  # again and again: the n-th legal action, modulo
PLIES = st.integers(0, 80)
quickly = settings(max_examples=60, deadline=None)


def actions_of(game: Game, choices: list[int], plies: int) -> list[int]:
    """A line of so many plies, or to the end."""
    position, line = game.initial(1), list[int]()
    while len(line) < plies and game.seat(position)[0] != TERMINAL:
        legal = np.flatnonzero(game.legal(position)[0])
        line.append(int(legal[choices[len(line) % len(choices)] % len(legal)]))
        position = game.step(position, np.array(line[-1:]))
    return line


def along(game: Game, line: list[int]) -> Positions:
    """[plies + 1, W] the positions of a line."""
    found = [game.initial(1)]
    for action in line:
        found.append(game.step(found[-1], np.array([action])))
    return np.concatenate(found)


# What holds ----------------------------------------------------------------------------------------------------------


def assert_masks_are_what_steps_take(game: Game, position: Positions) -> None:
    """An action is legal if and only if it can be played; none after the end."""
    mask = game.legal(position)[0]
    for action in range(-1, game.spec.actions + 1):
        try:
            game.step(position, np.array([action]))
            taken = True
        except IllegalAction:
            taken = False
        assert taken == (0 <= action < len(mask) and bool(mask[action])), f"action {action} of {mask}"


def assert_symmetries_commute_with_steps(game: Game, line: list[int]) -> None:
    """A line as another sees it leads to what the line leads to, as that other sees it."""
    plain = along(game, line)
    for cells, actions in game.symmetries():
        turned = along(game, np.argsort(actions)[line].tolist())
        seen = game.observe(plain).reshape(len(plain), -1, len(cells))[:, :, cells].reshape(len(plain), -1)
        assert np.array_equal(game.observe(turned).reshape(len(plain), -1), seen)
        assert np.array_equal(game.legal(turned), game.legal(plain)[:, actions])
        assert np.array_equal(game.seat(turned), game.seat(plain))
        assert np.array_equal(game.returns(turned), game.returns(plain))


def assert_symmetries_are_a_group(game: Game) -> None:
    """Two ways to look, one after the other, are one of the ways; so each has its inverse among them."""
    same = game.symmetries()
    known = {(one.cells.tobytes(), one.actions.tobytes()) for one in same}
    assert len(known) == len(same)
    for one in same:
        for other in same:
            assert (one.cells[other.cells].tobytes(), one.actions[other.actions].tobytes()) in known


def assert_returns_are_paid_once(game: Game, positions: Positions) -> None:
    """Nothing before the end, then within the game's range; together nothing."""
    over, returns, spec = game.seat(positions) == TERMINAL, game.returns(positions), game.spec
    assert not over[:-1].any()
    assert not returns[~over].any()
    assert (returns.sum(1) == 0).all()
    if spec.utility is not None:
        assert (returns >= spec.utility[0]).all() and (returns <= spec.utility[1]).all()
    assert (game.seat(positions)[:-1] != CHANCE).sum() <= spec.max_length


def assert_what_is_shown_has_its_form(game: Game, positions: Positions) -> None:
    """Shapes and types; by default what the mover sees; a row looks alone as it does beside others."""
    seat, shape = game.seat(positions), (len(positions), *game.spec.obs_shape)
    views = np.stack([game.observe(positions, np.full(len(positions), looks)) for looks in (0, 1)])
    for seen in (game.observe(positions), *views):
        assert seen.shape == shape and seen.dtype == np.float32 and np.isfinite(seen).all()
    assert seat.dtype == np.int64 and game.legal(positions).dtype == bool
    assert game.legal(positions).shape == (len(positions), game.spec.actions)
    assert np.array_equal(game.observe(positions), views[np.maximum(seat, 0), np.arange(len(positions))])
    alone = [game.observe(positions[row : row + 1]) for row in range(len(positions))]
    assert np.array_equal(np.concatenate(alone), game.observe(positions))


def test_every_native_game_has_sizes() -> None:
    assert set(SIZES) == set(NATIVE)


@quickly
@given(GAMES, CHOICES, PLIES)
def test_masks_are_what_steps_take(game: NativeGame, choices: list[int], plies: int) -> None:
    assert_masks_are_what_steps_take(game, along(game, actions_of(game, choices, plies))[-1:])


@quickly
@given(GAMES, CHOICES, PLIES)
def test_symmetries_commute_with_steps(game: NativeGame, choices: list[int], plies: int) -> None:
    assert_symmetries_commute_with_steps(game, actions_of(game, choices, plies))


@quickly
@given(GAMES)
def test_symmetries_are_a_group(game: NativeGame) -> None:
    assert_symmetries_are_a_group(game)


@quickly
@given(GAMES, CHOICES, PLIES)
def test_returns_are_paid_once(game: NativeGame, choices: list[int], plies: int) -> None:
    assert_returns_are_paid_once(game, along(game, actions_of(game, choices, plies)))


@quickly
@given(GAMES, CHOICES, PLIES)
def test_what_is_shown_has_its_form(game: NativeGame, choices: list[int], plies: int) -> None:
    assert_what_is_shown_has_its_form(game, along(game, actions_of(game, choices, plies)))


@quickly
@given(GAMES, CHOICES, PLIES, st.integers(0, 2**64 - 1))
def test_random_actions_are_legal(game: NativeGame, choices: list[int], plies: int, stream: int) -> None:
    position = along(game, actions_of(game, choices, plies))[-1]
    if game.seat(position[None])[0] != TERMINAL:
        actions, streams = np.empty(game.spec.actions, np.int64), np.array([stream], np.uint64)
        often = drawn(game.rules.kind, game.rules.board, position, actions, streams, 50)
        assert often.sum() == 50 and not often[~game.legal(position[None])[0]].any()


# Games in which it does not hold -------------------------------------------------------------------------------------


class Broken(NativeGame):
    """`fault` is what it does wrong."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(native(name).rules)
        self.fault = fault

    def legal(self, positions: Positions) -> Array:
        legal = super().legal(positions)
        if self.fault == "mask":
            legal[:, -1] ^= True
        return legal

    def returns(self, positions: Positions) -> Array:
        returns = super().returns(positions)
        if self.fault == "early":
            returns[0] = 1.0, -1.0
        return abs(returns) if self.fault == "sum" else returns

    def observe(self, positions: Positions, seat: Array | None = None) -> Array:
        seen = super().observe(positions, seat)
        if self.fault == "batch":
            seen[-1] = seen[0]
        return seen.astype(np.float64) if self.fault == "dtype" else seen

    def symmetries(self) -> list[Symmetry]:
        same = super().symmetries()
        if self.fault == "actions":
            return [same[0], same[1]._replace(actions=same[0].actions)]
        return same[:3] if self.fault == "group" else same


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("mask", lambda game, line: assert_masks_are_what_steps_take(game, along(game, line)[-1:])),
        ("actions", assert_symmetries_commute_with_steps),
        ("group", lambda game, line: assert_symmetries_are_a_group(game)),
        ("early", lambda game, line: assert_returns_are_paid_once(game, along(game, line))),
        ("sum", lambda game, line: assert_returns_are_paid_once(game, along(game, line))),
        ("dtype", lambda game, line: assert_what_is_shown_has_its_form(game, along(game, line))),
        ("batch", lambda game, line: assert_what_is_shown_has_its_form(game, along(game, line))),
    ],
)
def test_what_does_not_hold_is_seen(fault: str, holds: Any) -> None:
    line = [0, 3, 1, 4, 2]  # the first row is full of crosses
    holds(make_game("tic_tac_toe"), line)
    with pytest.raises(AssertionError):
        holds(Broken("tic_tac_toe", fault), line)

from __future__ import annotations

import importlib.util
import sys

import pytest

from envs.games.make import make_game
from envs.games.native import NativeGame

needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")


def test_parameters_reach_the_native_game() -> None:
    game = make_game(" connect_four(rows=5,columns=4) ")
    assert isinstance(game, NativeGame)
    assert game.spec.name == "connect_four(rows=5,columns=4)"
    assert game.spec.obs_shape == (3, 5, 4)
    assert game.spec.max_length == 20
    assert make_game("hex(num_rows=3)").spec.obs_shape == (9, 11, 3)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("hex(size=5)", "unknown parameter 'size', known are board_size, num_cols"),
        ("tic_tac_toe(rows=3)", "unknown parameter 'rows', known are none"),
        ("connect_four(rows=four)", "rows is 'four', expected int"),
        ("connect_four(rows=True)", "rows is True, expected int"),
        ("connect_four(4)", "'4' is not of the form parameter=value"),
        ("othello(board_size=5)", "board_size is 5, expected 4, 6 or 8"),
        ("go(komi=7)", "komi is 7, expected float"),
        ("go(board_size=1)", "expected a board_size of 2 to 19"),
        ("hex(board_size=100000)", "board_size is 100000, expected 0 to 100"),
        ("connect_four(rows=1000000)", "rows is 1000000, expected 0 to 100"),
        ("connect_four(rows=-1)", "rows is -1, expected 0 to 100"),
        (
            "connect_four(rows=4,columns=4,x_in_row=1000000000000000000000)",
            "x_in_row is 1000000000000000000000, expected",
        ),
        ("breakthrough(rows=100000,columns=100000)", "rows is 100000, expected 0 to 100"),
        ("go(komi=1000000.0)", "komi is 1000000.0, expected -1000 to 1000"),
        ("go(max_game_length=1000000000)", "max_game_length is 1000000000, expected 0 to 100000"),
        ("chess(", "is not the name of a game"),
    ],
)
def test_what_cannot_be_made_says_why(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_game(name)


@needs_open_spiel
def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ValueError, match="no game 'conect_four': did you mean connect_four"):
        make_game("conect_four")
    with pytest.raises(ValueError, match="no game 'zzzzzzz': known are 2048, add_noise"):
        make_game("zzzzzzz")


@needs_open_spiel
@pytest.mark.parametrize(
    "name",
    [
        "connect_four(rows=10,columns=10)",
        "hex(board_size=12)",
        "hex(board_size=3,swap=True)",
        "breakthrough(rows=9)",
        "go(handicap=2)",
    ],
)
def test_sizes_without_a_native_game_are_open_spiels(name: str) -> None:
    assert not isinstance(make_game(name), NativeGame)
    assert make_game(name).initial(2).dtype == object


@needs_open_spiel
def test_the_version_of_open_spiel_can_be_asked_for() -> None:
    assert not isinstance(make_game("tic_tac_toe", native=False), NativeGame)
    assert make_game("tic_tac_toe", native=False).spec == make_game("tic_tac_toe").spec


def test_without_open_spiel_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(ValueError, match=r"pip install 'sparring\[peers\]'"):
        make_game("chess")


@needs_open_spiel
@pytest.mark.parametrize(
    "name", ["mnk(m=100000,n=100000)", "y(board_size=10000)", "goofspiel(num_cards=1000000)", "connect_four(rows=0)"]
)
def test_sizes_that_open_spiel_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"has -?\d+ actions, observations .* choose other parameters"):
        make_game(name)

"""Clicks and names of moves: each leads to one move, and to the one that happens on the board."""

from __future__ import annotations

import numpy as np
import pytest

from agents.play.drawing import Drawing, drawing_of
from envs.api import TERMINAL
from envs.games.make import make_game

GAMES = [
    "tic_tac_toe",
    "connect_four",
    "othello(board_size=6)",
    "hex(num_cols=3,num_rows=5)",
    "breakthrough(rows=5,columns=4)",
    "go(board_size=4)",
]


def drawn(name: str) -> Drawing:
    drawing = drawing_of(make_game(name))
    assert drawing is not None
    return drawing


@pytest.mark.parametrize("name", GAMES)
def test_clicks_choose_one_move_and_are_where_it_happens(name: str) -> None:
    drawing, rng = drawn(name), np.random.default_rng(5)
    game = drawing.game
    position = game.initial(1)
    while (seat := int(game.seat(position)[0])) != TERMINAL:
        legal = np.flatnonzero(game.legal(position)[0]).tolist()
        ways = [tuple(map(tuple, drawing.clicks(action))) for action in legal]
        assert len(set(ways)) == len({drawing.label(action) for action in legal}) == len(legal)
        action = int(rng.choice(legal))
        following = game.step(position, np.array([action]))
        before, after = drawing.cells(position), drawing.cells(following)
        stages = drawing.clicks(action)
        if not stages:
            assert before == after
            assert drawing.label(action) == "pass"
        else:
            (arrived,) = [cell for cell in stages[-1] if after[cell] != before[cell]]
            assert after[arrived] == seat + 1
        if len(stages) == 2:
            assert [(before[cell], after[cell]) for cell in stages[0]] == [(seat + 1, 0)]
        position = following


@pytest.mark.parametrize("name", ["othello", "hex(board_size=4)", "breakthrough(rows=6,columns=6)", "go(board_size=9)"])
def test_names_are_openspiels(name: str) -> None:
    pyspiel = pytest.importorskip("pyspiel")
    drawing, rng, state = drawn(name), np.random.default_rng(5), pyspiel.load_game(name).new_initial_state()
    while not state.is_terminal():
        for action in state.legal_actions():
            theirs = state.action_to_string(action).lower().removesuffix("*")
            assert theirs.split()[-1] == drawing.label(action)
        state.apply_action(int(rng.choice(state.legal_actions())))


def test_boards_stand_upright() -> None:
    drop, go, breakthrough = drawn("connect_four"), drawn("go(board_size=5)"), drawn("breakthrough")
    assert drop.cells(drop.game.step(drop.game.initial(1), np.array([2]))).index(1) == 5 * 7 + 2
    assert go.cells(go.game.step(go.game.initial(1), np.array([1]))).index(1) == 4 * 5 + 1
    assert go.label(1) == "b1"
    assert breakthrough.cells(breakthrough.game.initial(1))[:16] == [1] * 16


def test_games_without_a_board_have_no_drawing() -> None:
    assert drawing_of(make_game("kuhn_poker")) is None

"""OpenSpiel's games behind our interface."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from envs.api import CHANCE, TERMINAL, IllegalAction
from envs.games import open_spiel
from envs.games.check import check_game
from envs.games.make import make_game
from scripts import evaluate

pytest.importorskip("pyspiel")

ROOT = Path(__file__).resolve().parents[3]

GAMES = [
    "2048",
    "amazons",
    "backgammon",
    "bargaining",
    "battleship",
    "blotto",
    "catch",
    "checkers",
    "chess",
    "clobber",
    "coin_game",
    "crazy_eights",
    "dark_hex(board_size=3)",
    "dots_and_boxes",
    "first_sealed_auction",
    "go(board_size=5)",
    "goofspiel(players=3,num_cards=4)",
    "hearts",
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "liars_dice",
    "mancala",
    "matrix_rps",
    "nim",
    "oshi_zumo",
    "oware",
    "pentago",
    "phantom_ttt",
    "pig",
    "tiny_hanabi",
    "ultimate_tic_tac_toe",
]


@pytest.mark.parametrize("name", GAMES)
def test_adapted_games_keep_to_the_interface(name: str) -> None:
    check_game(make_game(name, native=False), games=2, seed=0)


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four(rows=4,columns=4)", "hex(board_size=3)"])
def test_what_a_native_game_replaces_keeps_to_it_too(name: str) -> None:
    check_game(make_game(name, native=False), games=5, seed=0)


@pytest.mark.parametrize("native", [True, False])
def test_kuhn_poker_by_hand(native: bool) -> None:
    game = make_game("kuhn_poker", native)
    assert (game.spec.seats, game.spec.chance, game.spec.perfect_information) == (2, True, False)
    dealt = game.initial(2)
    assert game.seat(dealt).tolist() == [CHANCE, CHANCE]
    assert game.chance(dealt).tolist() == [[1 / 3] * 3] * 2
    dealt = game.step(dealt, np.array([0, 0]))
    assert game.chance(dealt).tolist() == [[0, 0.5, 0.5]] * 2
    dealt = game.step(dealt, np.array([1, 2]))  # jack against queen, jack against king: the same to seat 0
    assert len(set(game.information_state(dealt))) == 1
    assert len(set(game.information_state(dealt, np.array([1, 1])))) == 2
    over = game.step(game.step(dealt, np.array([1, 1])), np.array([0, 1]))  # a bet; folded, and called
    assert game.seat(over).tolist() == [TERMINAL, TERMINAL]
    assert game.returns(over).tolist() == [[1, -1], [-2, 2]]
    with pytest.raises(IllegalAction, match="kuhn_poker, row 1: action 0 after the end of the game"):
        game.step(np.concatenate([dealt[:1], over[1:]]), np.array([0, 0]))


def test_simultaneous_moves_are_made_in_turns_and_unseen() -> None:
    game = make_game("matrix_rps")
    start = game.initial(2)
    assert game.seat(start).tolist() == [0, 0]
    second = game.step(start, np.array([0, 1]))
    assert game.seat(second).tolist() == [1, 1]
    assert len(set(game.information_state(second))) == 1  # seat 1 has not seen rock or paper
    assert game.returns(game.step(second, np.array([1, 1]))).tolist() == [[-1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("liars_dice(cards=3)", "OpenSpiel can't load liars_dice.*Unknown parameter 'cards'"),
        ("mfg_crowd_modelling", "is a mean field game"),
        ("negotiation", "draws its luck out of sight"),
    ],
)
def test_games_that_cannot_be_played_in_turns_are_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_game(name)


def test_what_is_known_as_a_tensor() -> None:
    leduc = make_game("leduc_poker", native=False)
    assert leduc.information_tensor(leduc.initial(2)).shape == (2, 30)
    assert leduc.observe(leduc.initial(2)).shape == (2, 16)  # which forgets the bets
    nim = make_game("nim")
    assert np.array_equal(nim.information_tensor(nim.initial(2)), nim.observe(nim.initial(2)))
    rummy = make_game("gin_rummy")
    with pytest.raises(ValueError, match="no tensor of what is known in gin_rummy"):
        rummy.information_tensor(rummy.initial(1))


def test_what_a_person_reads_hides_the_cards_of_others() -> None:
    chess = make_game("chess")
    assert chess.text(chess.initial(1)) == ["rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"]
    poker = make_game("leduc_poker", native=False)
    dealt = poker.step(poker.step(poker.initial(1), np.array([3])), np.array([5]))
    assert "Private: 3" in poker.text(dealt)[0] and "Private: 5" not in poker.text(dealt)[0]
    assert "Private: 5" in poker.text(dealt, np.array([1]))[0]
    with pytest.raises(ValueError, match="OpenSpiel draws no pictures of chess"):
        chess.picture(chess.initial(1))


UNPLAYABLE = {  # registered games that are refused, and why
    **dict.fromkeys(
        ["mfg_crowd_modelling", "mfg_crowd_modelling_2d", "mfg_dynamic_routing", "mfg_garnet"], "mean field"
    ),
    "crossword": "doesn't say what is observed in",
    "morpion_solitaire": "write beyond their memory",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", open_spiel.names())
def test_every_registered_game_is_played_and_compared_or_refused_by_name(name: str) -> None:
    """In a process of its own: one that dies fails this test, and no other."""
    request_ = ["scripts/evaluate.py", "random", "random", "--games", "2", "--game", name]
    done = subprocess.run(
        [sys.executable, *request_], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done.stderr
    if done.returncode == 2:
        reasons = ("draws its luck out of sight", "OpenSpiel can't load", UNPLAYABLE.get(name, "can't load"))
        assert name in done.stderr and any(reason in done.stderr for reason in reasons), done.stderr
    else:
        assert "forfeit" not in done.stdout
        assert name not in UNPLAYABLE


def test_what_ends_the_process_is_refused() -> None:
    with pytest.raises(ValueError, match="morpion_solitaire can't be played: .* ends the process"):
        make_game("morpion_solitaire")


def test_games_for_one_are_compared_on_the_same_chance(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    for name in ("blackjack", "catch"):
        request_ = ["random", "random", "--games", "20", "--game", name, "--json", str(file)]
        assert evaluate.main(request_) == 0
        one, other = json.loads(file.read_text())["players"]
        assert one["games"] == other["games"] == 20
        assert (one["wins"], one["draws"], one["losses"]) == (other["losses"], other["draws"], other["wins"])
        assert one["wins"] + one["draws"] + one["losses"] == 20
    assert evaluate.main(["random", "random", "--game", "catch", "--league", str(tmp_path / "a.sqlite")]) == 2
    assert not (tmp_path / "a.sqlite").exists()

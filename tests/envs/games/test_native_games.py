"""Native games against OpenSpiel move for move, and against counts and values that are known."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from envs.api import CHANCE, TERMINAL, Array, IllegalAction, Positions
from envs.games import rules
from envs.games.check import check_game
from envs.games.make import make_game
from envs.games.native import NativeGame, legal_into, play

needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")
NAMES = ["tic_tac_toe", "connect_four", "othello", "hex(board_size=5)", "breakthrough", "kuhn_poker", "leduc_poker"]
SIZES = [
    "tic_tac_toe()",
    "connect_four(rows=4,columns=4)",
    "connect_four(rows=5,columns=4,x_in_row=3,egocentric_obs_tensor=True)",
    "connect_four(rows=2,columns=16,x_in_row=2)",
    "connect_four(rows=7,columns=8)",
    "hex(board_size=2)",
    "hex(num_cols=3,num_rows=2)",
    "hex(board_size=7)",
    "breakthrough(rows=6,columns=3)",
    "breakthrough(rows=2,columns=2)",
    "breakthrough(rows=5,columns=12)",
    "breakthrough(rows=3,columns=4)",
]


def native(name: str) -> NativeGame:
    game = make_game(name)
    assert isinstance(game, NativeGame)
    return game


def assert_same_as_open_spiel(name: str, games: int, seed: int) -> None:
    """Seats, legal actions, chances, returns and what everybody sees and knows at every ply of random games."""
    rng = np.random.default_rng(seed)
    ours, theirs = native(name), make_game(name, native=False)
    assert ours.spec == theirs.spec
    mine, other = ours.initial(games), theirs.initial(games)
    while len(mine):
        legal, seat = ours.legal(mine), ours.seat(mine)
        assert np.array_equal(legal, theirs.legal(other))
        assert np.array_equal(seat, theirs.seat(other))
        assert np.array_equal(ours.chance(mine), theirs.chance(other))
        assert np.array_equal(ours.returns(mine), theirs.returns(other))
        for looks in (None, np.zeros(len(mine), np.int64), np.ones(len(mine), np.int64)):
            assert np.array_equal(ours.observe(mine, looks), theirs.observe(other, looks))
            if not ours.spec.perfect_information:
                assert ours.information_state(mine, looks) == theirs.information_state(other, looks)
            assert np.array_equal(ours.information_tensor(mine, looks), theirs.information_tensor(other, looks))
        mine, other, legal = mine[seat != TERMINAL], other[seat != TERMINAL], legal[seat != TERMINAL]
        actions = (legal * rng.random(legal.shape)).argmax(1)
        mine, other = ours.step(mine, actions), theirs.step(other, actions)


@needs_open_spiel
@pytest.mark.parametrize("name", NAMES)
def test_random_games_equal_open_spiel(name: str) -> None:
    assert_same_as_open_spiel(name, 200, 1)


@needs_open_spiel
@pytest.mark.parametrize("name", SIZES)
def test_other_sizes_equal_open_spiel(name: str) -> None:
    assert_same_as_open_spiel(name, 60, 2)


@needs_open_spiel
@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "hex", *SIZES])
def test_ten_thousand_random_games_equal_open_spiel(name: str) -> None:
    for seed in range(20):
        assert_same_as_open_spiel(name, 500, 100 + seed)


@pytest.mark.parametrize("name", [*NAMES, *SIZES, "othello(board_size=4)", "othello(board_size=6)", "hex"])
def test_native_games_keep_to_the_interface(name: str) -> None:
    check_game(make_game(name), games=20, seed=0)


# Known counts --------------------------------------------------------------------------------------------------------


def children(game: NativeGame, positions: Positions) -> tuple[Positions, Array]:
    """Every successor of every position, and the row it came from."""
    parent, action = np.nonzero(game.legal(positions))
    return game.step(positions[parent], action), parent


def perft(game: NativeGame, plies: int) -> list[int]:
    positions, counts = game.initial(1), []
    for _ in range(plies):
        positions, _ = children(game, positions)
        counts.append(len(positions))
    return counts


def layers(game: NativeGame) -> list[Positions]:
    """The distinct positions by ply, to the end."""
    found = [game.initial(1)]
    while len(found[-1]):
        found.append(np.unique(children(game, found[-1])[0], axis=0))
    return found[:-1]


def value(game: NativeGame) -> float:
    """What the game is worth to seat 0, by backward induction over the distinct positions of each ply."""
    below, values = game.initial(0), np.zeros(0)
    for positions in reversed(layers(game)):
        here = game.returns(positions)[:, 0]
        following, parent = children(game, positions)
        if len(following):
            _, index = np.unique(np.concatenate([below, following]), axis=0, return_inverse=True)
            reached = values[index.ravel()[len(below) :]]
            first = game.seat(positions) == 0
            best = np.where(first, -np.inf, np.inf)
            np.maximum.at(best, parent[first[parent]], reached[first[parent]])
            np.minimum.at(best, parent[~first[parent]], reached[~first[parent]])
            here = np.where(game.seat(positions) == TERMINAL, here, best)
        below, values = positions, here
    return float(values[0])


def test_tic_tac_toe_has_255168_games() -> None:
    game, results = native("tic_tac_toe"), np.zeros(3, np.int64)  # won, drawn, lost by the first player
    positions = game.initial(1)
    while len(positions):
        positions, _ = children(game, positions)
        over = game.returns(positions)[game.seat(positions) == TERMINAL, 0]
        results += [(over == 1).sum(), (over == 0).sum(), (over == -1).sum()]
    assert results.tolist() == [131_184, 46_080, 77_904]


def test_distinct_positions() -> None:
    assert sum(map(len, layers(native("tic_tac_toe")))) == 5_478
    game = native("connect_four")
    positions, counts = game.initial(1), []
    for _ in range(6):
        positions = np.unique(children(game, positions)[0], axis=0)
        counts.append(len(positions))
    assert counts == [7, 49, 238, 1_120, 4_263, 16_422]


def test_othello_perft() -> None:
    assert perft(native("othello"), 6) == [4, 12, 56, 244, 1_396, 8_200]


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("tic_tac_toe", 0),
        ("connect_four(rows=4,columns=4)", 0),
        ("othello(board_size=4)", -1),
        ("hex(board_size=3)", 1),
    ],
)
def test_small_games_are_worth_what_is_known(name: str, worth: int) -> None:
    assert value(native(name)) == worth


@rules.kernel
def results(kind: int, board: Array, start: Array, games: int, rng: np.random.Generator) -> Array:
    """How many random games end in each status."""
    found, actions = np.zeros(5, np.int64), np.empty(9, np.int64)
    for _ in range(games):
        position = start.copy()
        while True:
            legal = legal_into(kind, board, position, actions)
            if legal == 0:
                break
            play(kind, board, position, actions[int(rng.random() * legal)])
        found[np.int64(position[0])] += 1
    return found


def test_compiled_code_plays_with_the_kernels() -> None:
    """Random tic-tac-toe is won by the first player with probability 737 / 1260, drawn with 8 / 63."""
    game = native("tic_tac_toe").rules
    found = results(game.kind, game.board, game.start, 40_000, np.random.default_rng(0))
    assert found[:2].tolist() == [0, 0]
    assert (found[2:] / 40_000).tolist() == pytest.approx([737 / 1260, 121 / 420, 8 / 63], abs=0.01)


@pytest.mark.parametrize(
    ("name", "counts", "information_states"),
    [("kuhn_poker", {CHANCE: 4, TERMINAL: 30, 0: 12, 1: 12}, 12), ("leduc_poker", {CHANCE: 157, TERMINAL: 5_520}, 936)],
)
def test_trees_of_poker(name: str, counts: dict[int, int], information_states: int) -> None:
    game, found, known = native(name), Counter[int](), set()
    positions = game.initial(1)
    while len(positions):
        seats = game.seat(positions).tolist()
        found.update(seats)
        known |= {pair for pair in zip(seats, game.information_state(positions), strict=True) if pair[0] >= 0}
        positions, _ = children(game, positions)
    assert {seat: found[seat] for seat in counts} == counts
    assert found[0] + found[1] == {"kuhn_poker": 24, "leduc_poker": 3_780}[name]
    assert len(known) == information_states


def test_uniform_play_of_poker_is_worth_what_is_known() -> None:
    """Kuhn poker: 1/8 for the first seat, by hand; a draw of Leduc poker pays nobody."""
    game = native("kuhn_poker")
    positions, weight, worth = game.initial(1), np.ones(1), 0.0
    while len(positions):
        worth += float(weight @ game.returns(positions)[:, 0])
        legal = game.legal(positions)
        positions, parent = children(game, positions)
        weight = weight[parent] / legal.sum(1)[parent]
    assert worth == pytest.approx(1 / 8)
    draw = played(native("leduc_poker"), [0, 1, 2, 2, 1, 4, 1, 1])
    assert native("leduc_poker").seat(draw).tolist() == [TERMINAL]
    assert native("leduc_poker").returns(draw).tolist() == [[0, 0]]


# Positions by hand ---------------------------------------------------------------------------------------------------


def played(game: NativeGame, actions: list[int]) -> Positions:
    position = game.initial(1)
    for action in actions:
        position = game.step(position, np.array([action]))
    return position


def test_no_line_of_connect_four_wraps_around_the_top() -> None:
    game = native("connect_four(rows=4,columns=4)")
    split = played(game, [0, 1, 0, 1, 1, 0, 0, 2, 1])  # crosses at the top of two columns, none four in a row
    assert game.seat(split).tolist() == [1]
    won = played(game, [0, 1, 0, 1, 0, 1, 0])
    assert game.seat(won).tolist() == [TERMINAL] and game.returns(won).tolist() == [[1, -1]]


def test_plain_planes_of_hex_are_sums_of_the_nine() -> None:
    # Not compared with OpenSpiel's: it writes beyond its array here and may take the process down.
    plain, nine = native("hex(num_cols=3,num_rows=4,plain_obs_tensor=True)"), native("hex(num_cols=3,num_rows=4)")
    position, rng = nine.initial(50), np.random.default_rng(0)
    for _ in range(5):
        legal = nine.legal(position)
        position = nine.step(position, (legal * rng.random(legal.shape)).argmax(1))
    planes = nine.observe(position)
    expected = np.stack([planes[:, 5:].sum(1), planes[:, :4].sum(1), planes[:, 4]], 1)
    assert np.array_equal(plain.observe(position), expected)


def test_a_refusal_names_the_row_and_what_is_legal() -> None:
    game = native("tic_tac_toe")
    positions = np.concatenate([game.initial(1), played(game, [0])])
    with pytest.raises(IllegalAction, match=r"tic_tac_toe, row 1: action 0 is not legal, legal are \[1, 2, 3"):
        game.step(positions, np.array([0, 0]))
    with pytest.raises(IllegalAction, match="row 0: action 8 after the end of the game"):
        game.step(played(game, [0, 3, 1, 4, 2]), np.array([8]))
    with pytest.raises(ValueError, match=r"one integer for each of 2 positions, not float64 \[2\]"):
        game.step(positions, np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="one of the seats 0 and 1"):
        game.observe(positions, np.array([0, 2]))


def test_compiled_code_is_void_when_another_file_of_the_package_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "othello.py"
    source.write_text("one")
    monkeypatch.setattr(rules, "_SOURCES", [source])

    def stamp() -> object:
        return rules.kernel(lambda bits: bits)._cache._cache_file._source_stamp

    first = stamp()
    assert stamp() == first
    source.write_text("three")
    assert stamp() != first

"""Native games against OpenSpiel move for move, and against counts and values that are known."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from envs.api import CHANCE, TERMINAL, Array, IllegalAction, Positions
from envs.games import rules
from envs.games.check import check_game
from envs.games.make import make_game
from envs.games.native import NativeGame, legal_into, play, random_action

ROOT = Path(__file__).resolve().parents[3]
needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")
NAMES = ["tic_tac_toe", "connect_four", "othello", "hex(board_size=5)", "breakthrough", "go(board_size=5)"]
NAMES += ["kuhn_poker", "leduc_poker"]
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
    "go(board_size=2,komi=0.0,max_game_length=40)",
    "go(board_size=3,komi=-1.5)",
    "go(board_size=4,komi=3.0,max_game_length=100)",
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
@pytest.mark.parametrize("size", [9, 19])
def test_large_boards_of_go_equal_open_spiel(size: int) -> None:
    assert_same_as_open_spiel(f"go(board_size={size})", 4, 3)


@needs_open_spiel
@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "hex", "go(board_size=9)", *SIZES])
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
def drawn(kind: int, board: Array, position: Array, actions: Array, streams: Array, times: int) -> Array:
    """How often each action is drawn."""
    found = np.zeros(len(actions), np.int64)
    for _ in range(times):
        found[random_action(kind, board, position, actions, streams, 0)] += 1
    return found


@pytest.mark.parametrize("name", [*NAMES, "hex", "go(board_size=9)"])
def test_every_legal_action_is_as_likely(name: str) -> None:
    game, rng = native(name), np.random.default_rng(0)
    streams, actions = np.array([7], np.uint64), np.empty(game.spec.actions, np.int64)
    positions, plies = game.initial(1), 0
    while (game.seat(positions) != TERMINAL)[0]:
        legal = game.legal(positions)[0]
        if plies % 7 < 2:
            times = 200 * int(legal.sum())
            found = drawn(game.rules.kind, game.rules.board, positions[0], actions, streams, times)
            assert not found[~legal].any()
            assert found[legal].tolist() == pytest.approx([200] * int(legal.sum()), abs=5 * 200**0.5)
        positions, plies = game.step(positions, rng.choice(np.flatnonzero(legal), 1)), plies + 1


def test_select_finds_the_set_bit_of_each_rank() -> None:
    rng = np.random.default_rng(0)
    words = [2**64 - 1, 1, 1 << 63, 0x8040201008040201]
    words += [int(word) & int(mask) for word, mask in rng.integers(2**64, size=(100, 2), dtype=np.uint64)]
    for word in words:
        set_bits = [index for index in range(64) if word >> index & 1]
        assert [rules.select(np.uint64(word), rank) for rank in range(len(set_bits))] == set_bits


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


def stones(rows: str) -> list[int]:
    """The actions of a picture of Go: letters are moves in the order of the alphabet, the top row first."""
    board = np.array([list(row) for row in rows.split()])[::-1].ravel().tolist()
    return [board.index(letter) for letter in sorted(set(board) - {"."})]


def test_go_takes_stones_that_have_no_liberty_and_keeps_the_ko() -> None:
    game = native("go(board_size=4,komi=0.5)")
    # a c e (black) and b d f (white) make a ko around the two cells in the middle of the third row
    position = played(game, stones(".ab. c..d .ef. ...."))
    fifth, sixth = 9, 10  # between black's stones, between white's
    position = game.step(game.step(position, np.array([sixth])), np.array([fifth]))
    assert game.text(position)[0].split("\n")[1] == "3 x o . o"  # white has taken the stone on the sixth
    assert not game.legal(position)[0, sixth]
    position = game.step(game.step(position, np.array([0])), np.array([3]))  # elsewhere, answered
    assert game.legal(position)[0, sixth]


def test_suicide_is_no_move_in_go() -> None:
    game = native("go(board_size=3)")
    position = played(game, [1, 8, 3, 7])  # black on both sides of the corner
    position = game.step(position, np.array([5]))
    assert not game.legal(position)[0, 0]
    assert game.legal(game.step(position, np.array([9])))[0, 0]  # to black the corner is an eye


def test_area_of_go() -> None:
    for komi, winner in (("8.5", 1), ("9.0", 0), ("9.5", -1)):
        game = native(f"go(board_size=3,komi={komi})")
        over = played(game, [4, 9, 9])  # all the board is black's: nine
        assert game.returns(over).tolist() == [[winner, -winner]]
    for komi, winner in (("4.5", 1), ("5.0", 0), ("5.5", -1)):
        game = native(f"go(board_size=3,komi={komi})")
        over = played(game, [3, 8, 4, 9, 5, 9, 9])  # six for black, one for white, two beside both are nobody's
        assert game.returns(over).tolist() == [[winner, -winner]]


def test_a_board_that_comes_back_ends_a_game_of_go_drawn() -> None:
    game, rng = native("go(board_size=2,komi=0.5,max_game_length=40)"), np.random.default_rng(3)
    drawn = 0
    for _ in range(300):
        position, seen, repeated = game.initial(1), {bytes(4)}, False
        while game.seat(position)[0] != TERMINAL:
            assert not repeated
            action = rng.choice(np.flatnonzero(game.legal(position)[0]), 1)
            position = game.step(position, action)
            board = game.cells(position).tobytes()
            repeated = action[0] != 4 and board in seen
            seen.add(board)
        assert (game.returns(position)[0, 0] == 0) == repeated
        drawn += repeated
    assert drawn > 10


def test_go_on_four_cells_has_57_boards() -> None:
    """As many as Tromp, Farnebäck 2007 count."""
    game, rng, found = native("go(board_size=2,max_game_length=30)"), np.random.default_rng(0), set()
    positions = game.initial(2_000)
    while len(positions):
        found |= {cells.tobytes() for cells in game.cells(positions)}
        positions = positions[game.seat(positions) != TERMINAL]
        positions = game.step(positions, (game.legal(positions) * rng.random((len(positions), 5))).argmax(1))
    assert len(found) == 57


def test_boards_as_text_and_cells() -> None:
    game = native("hex(num_cols=3,num_rows=2)")
    assert game.text(played(game, [1, 3])) == ["1 . x .\n 2 o . .\n    a b c"]
    game = native("connect_four(rows=2,columns=4)")
    assert game.text(played(game, [0, 0, 3])) == ["2 o . . .\n1 x . . x\n  a b c d"]
    assert game.cells(played(game, [0, 0, 3])).tolist() == [[[2, 0, 0, 0], [1, 0, 0, 1]]]
    egocentric = native("connect_four(rows=2,columns=4,egocentric_obs_tensor=True)")
    assert egocentric.cells(played(egocentric, [0, 0])).tolist() == [[[2, 0, 0, 0], [1, 0, 0, 0]]]
    assert native("othello(board_size=4)").text(native("othello(board_size=4)").initial(1))[0][2:9] == ". . . ."
    for seat, text in ((0, "0b"), (1, "2b")):
        assert native("kuhn_poker").text(played(native("kuhn_poker"), [0, 2, 1]), np.array([seat])) == [text]
    with pytest.raises(ValueError, match="kuhn_poker has no board"):
        native("kuhn_poker").cells(native("kuhn_poker").initial(1))


def test_a_picture_shows_discs_where_stones_are() -> None:
    game = native("tic_tac_toe")
    picture = game.picture(played(game, [0, 5]))
    assert picture.shape == (1, 96, 96, 3) and picture.dtype == np.uint8
    middle = picture[0, 16::32, 16::32]
    assert middle[0, 0].max() < 50 and middle[1, 2].min() > 200
    assert (middle[0, 1] == middle[2, 2]).all()
    assert native("hex(board_size=3)").picture(native("hex(board_size=3)").initial(2)).shape == (2, 96, 128, 3)


def test_a_symmetry_says_which_place_comes_where() -> None:
    game = native("hex(board_size=3)")
    half = game.symmetries()[1]
    one, other = played(game, [0, 5]), played(game, [8, 3])
    seen = game.observe(one).reshape(1, -1, len(half.cells))[:, :, half.cells].reshape(1, 9, 3, 3)
    assert np.array_equal(seen, game.observe(other))
    assert np.array_equal(game.legal(one)[:, half.actions], game.legal(other))
    quarter = native("go(board_size=2)").symmetries()[2]
    assert quarter.actions.tolist() == [1, 3, 0, 2, 4]  # the second cell comes to the first place, passes stay
    counts = [len(native(name).symmetries()) for name in NAMES]
    assert counts == [8, 2, 4, 2, 2, 8, 1, 1]


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


# One game more -------------------------------------------------------------------------------------------------------

SUBTRACTION = """
import numpy as np

from envs.api import TERMINAL
from envs.games.check import check_game
from envs.games.make import make_game

game = make_game("subtraction(stones=9)")
check_game(game, games=20, seed=0)


def worth(position):
    if game.seat(position)[0] == TERMINAL:
        return int(game.returns(position)[0, 0])
    following = [worth(game.step(position, np.array([action]))) for action in np.flatnonzero(game.legal(position)[0])]
    return min(following) if game.seat(position)[0] else max(following)


actions, streams = np.empty(3, np.int64), np.zeros(1, np.uint64)
position = game.rules.start.copy()
won = playout(game.rules.kind, game.rules.board, position, actions, streams, 0)
assert [[won, -won]] == game.returns(position[None]).tolist()
print([worth(make_game(f"subtraction(stones={stones})").initial(1)) for stones in range(1, 10)])
if hasattr(playout, "stats"):
    print([sum(kernel.stats.cache_misses.values()) for kernel in (native._step, native._legal, playout)])
"""


def block(language: str, page: str, heading: str) -> str:
    """The one block of code in this language in a section of the documentation."""
    section = (ROOT / "docs" / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(code)


def run_script(root: Path, compiled: bool) -> subprocess.CompletedProcess[str]:
    """In a house of its own. What isn't compiled says the same, and at once."""
    house = {"PYTHONPATH": str(root), "NUMBA_DISABLE_JIT": str(int(not compiled))}
    command = [sys.executable, "-W", "ignore", str(root / "script.py")]
    return subprocess.run(command, env=os.environ | house, capture_output=True, text=True)


def follow(root: Path) -> None:
    """What docs/extending.md says."""
    games, line = root / "envs" / "games", block("diff", "extending.md", "A native game").removeprefix("+")
    text = (games / "rules.py").read_text()
    (games / "rules.py").write_text(re.sub(r"(\nNATIVE = .*\n)", rf"\1{line}", text))
    (games / "subtraction.py").write_text(block("python", "extending.md", "A native game"))


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_game_more_is_one_file_and_one_line(compiled: bool, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "envs", tmp_path / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "script.py").write_text(block("python", "games.md", "How a native game is made") + SUBTRACTION)
    assert "ValueError" in run_script(tmp_path, compiled).stderr
    follow(tmp_path)
    worths = "[1, 1, 1, -1, 1, 1, 1, -1, 1]"  # who finds a multiple of four loses
    first = run_script(tmp_path, compiled)
    assert first.stdout.splitlines() == [worths, "[1, 1, 1]"][: 1 + compiled], first.stderr
    if compiled:  # another process finds all of it in the cache
        assert run_script(tmp_path, compiled).stdout.splitlines() == [worths, "[0, 0, 0]"]

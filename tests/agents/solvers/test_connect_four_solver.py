"""The connect four solver against backward induction, alpha-beta, and what is known of the usual board."""

from __future__ import annotations

import numpy as np
import pytest

from agents.api import fresh
from agents.solvers import perfect
from agents.solvers.alpha_beta import AlphaBeta
from agents.solvers.backward_induction import Ply, solve
from agents.solvers.connect_four_solver import ILLEGAL, ConnectFourSolver
from agents.solvers.exhaustive import play_every_line
from agents.solvers.perfect import Perfect
from envs.api import TERMINAL, Array, Positions
from envs.games.make import make_game

BITS = 16  # of small tables: a million bytes


def distances(plies: list[Ply], cells: int) -> list[Array]:
    """The score of every position by the definition, stones left in the winner's hand; the last ply first."""
    found: list[Array] = []
    for made, ply in reversed(list(enumerate(plies))):
        scores = np.full(len(ply.seat), -cells)
        over = ply.seat == TERMINAL
        won = ply.positions[:, 0] < 4  # else it is a draw
        scores[over] = np.where(won[over], -((cells + 2 - made) // 2), 0)  # for who would move: the other has won
        if found:
            np.maximum.at(scores, ply.edges.parent, -found[-1][ply.edges.child])
        found.append(scores)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "connect_four(rows=4,columns=4)",
        "connect_four(rows=4,columns=3,x_in_row=3)",
        "connect_four(rows=3,columns=5,x_in_row=3)",
        "connect_four(rows=2,columns=6)",
        "connect_four(rows=8,columns=2,x_in_row=2)",
        "connect_four(rows=3,columns=4,x_in_row=5)",
    ],
)
def test_scores_equal_backward_induction_in_every_position(name: str) -> None:
    game = make_game(name)
    solution, solver = solve(game), ConnectFourSolver(game, BITS)
    exact = distances(solution.plies, game.spec.max_length)[::-1]
    for ply, values, scores in zip(solution.plies, solution.values, exact, strict=True):
        going = np.flatnonzero(ply.seat != TERMINAL)
        positions = ply.positions[going]
        assert np.array_equal(solver.scores(positions, weak=True), values[going, ply.seat[going]])
        assert np.array_equal(solver.scores(positions), scores[going])
        moves = solver.move_scores(positions)
        assert np.array_equal(moves != ILLEGAL, game.legal(positions))
        assert np.array_equal(moves.max(1, initial=ILLEGAL), scores[going])
        weak = solver.move_scores(positions, weak=True)
        assert np.array_equal(weak, np.where(moves == ILLEGAL, ILLEGAL, np.sign(moves)))


def random_positions(name: str, n: int, plies: range, seed: int) -> Positions:
    game, rng = make_game(name), np.random.default_rng(seed)
    positions = game.initial(n)
    stop = rng.integers(plies.start, plies.stop, n)
    for ply in range(plies.stop - 1):
        going = np.flatnonzero((game.seat(positions) != TERMINAL) & (ply < stop))
        legal = game.legal(positions[going])
        positions[going] = game.step(positions[going], (legal * rng.random(legal.shape)).argmax(1))
    return positions[game.seat(positions) != TERMINAL]


@pytest.mark.parametrize("name", ["connect_four(rows=5,columns=4)", "connect_four(rows=4,columns=5)"])
def test_signs_equal_alpha_beta_in_random_positions(name: str) -> None:
    game, positions = make_game(name), random_positions(name, 3000, range(2, 14), 1)
    assert len(positions) > 1500
    scores = ConnectFourSolver(game, BITS).scores(positions, weak=True)
    assert np.array_equal(scores, AlphaBeta(game).values(positions))
    assert set(scores.tolist()) == {-1, 0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["connect_four(rows=5,columns=4)", "connect_four(rows=4,columns=5)"])
def test_signs_equal_backward_induction_in_every_position_of_larger_boards(name: str) -> None:
    game = make_game(name)
    solution, solver = solve(game, limit=5_000_000), ConnectFourSolver(game)
    for ply, values in zip(solution.plies, solution.values, strict=True):
        going = np.flatnonzero(ply.seat != TERMINAL)
        found = solver.scores(ply.positions[going], weak=True)
        assert np.array_equal(found, values[going, ply.seat[going]])


def test_signs_equal_alpha_beta_on_the_usual_board() -> None:
    positions = random_positions("connect_four", 400, range(26, 36), 2)
    game = make_game("connect_four")
    assert np.array_equal(ConnectFourSolver(game, BITS).scores(positions, True), AlphaBeta(game).values(positions))


def test_a_small_table_and_a_large_one_agree() -> None:
    """Also a used one: what it forgets and what it keeps changes the time, not the score."""
    game, positions = make_game("connect_four"), random_positions("connect_four", 60, range(15, 26), 3)
    large, small = ConnectFourSolver(game, 20), ConnectFourSolver(game, 15)
    scores = large.scores(positions)
    assert np.array_equal(small.scores(positions), scores)
    nodes = large.nodes
    assert np.array_equal(large.scores(positions), scores)
    assert large.nodes < nodes * 1.5, "the second time the table knows"
    large.forget()
    assert large.nodes == 0
    large.scores(positions)
    assert large.nodes == nodes


def test_mirrored_positions_score_the_same() -> None:
    game, rng = make_game("connect_four"), np.random.default_rng(4)
    solver, one, other = ConnectFourSolver(game, 20), game.initial(1), game.initial(1)
    while game.seat(one)[0] != TERMINAL:
        if game.spec.max_length - stones(one) <= 26:
            assert np.array_equal(solver.move_scores(one)[0], solver.move_scores(other)[0, ::-1])
        action = rng.choice(np.flatnonzero(game.legal(one)[0]), 1)
        one, other = game.step(one, action), game.step(other, 6 - action)


def stones(position: Positions) -> int:
    return int(position[0, 1]).bit_count() + int(position[0, 2]).bit_count()


@pytest.mark.parametrize("size", ["rows=7,columns=8", "rows=31,columns=2", "rows=3,columns=16"])
def test_boards_that_fill_all_bits(size: str) -> None:
    """The highest bits too: a line that ran around the edge would be found here."""
    game = make_game(f"connect_four({size})")
    cells = game.spec.max_length
    late = random_positions(f"connect_four({size})", 20_000, range(cells - 14, cells - 6), 5)[:60]
    assert len(late) > 10
    found = ConnectFourSolver(game, BITS).scores(late, weak=True)
    assert np.array_equal(found, AlphaBeta(game).values(late))


def test_what_can_not_be_solved_is_refused() -> None:
    solver = ConnectFourSolver(make_game("connect_four"), BITS)
    position = solver.game.initial(2)
    for column in (0, 1, 0, 1, 0, 1, 0):
        position[1:] = solver.game.step(position[1:], np.array([column]))
    with pytest.raises(ValueError, match="row 1: the game is over"):
        solver.scores(position)
    with pytest.raises(ValueError, match="not tic_tac_toe"):
        ConnectFourSolver(make_game("tic_tac_toe"))
    with pytest.raises(ValueError, match="bits is 8"):
        ConnectFourSolver(make_game("connect_four"), 8)


def test_a_perfect_player_wins_won_positions_as_either_seat() -> None:
    """Against itself a game ends as its first position says, and after as many moves."""
    game = make_game("connect_four(rows=5,columns=5)")
    player, rng = Perfect(game, bits=20), np.random.default_rng(0)
    positions = random_positions("connect_four(rows=5,columns=5)", 60, range(6, 14), 6)
    seat = game.seat(positions)
    scores = player.solver.scores(positions)
    assert (scores > 0).any() and (scores < 0).any()
    lengths = 25 - np.array([stones(position[None]) for position in positions])
    while len(going := np.flatnonzero(game.seat(positions) != TERMINAL)):
        positions[going] = game.step(positions[going], fresh(player, positions[going], rng))
        lengths[going] -= 1
    assert np.array_equal(game.returns(positions)[np.arange(len(seat)), seat], np.sign(scores))
    assert np.array_equal((lengths[scores != 0] + 2) // 2, np.abs(scores[scores != 0]))


def test_a_perfect_player_keeps_what_it_has_without_exact_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(perfect, "EXACT", 0)
    game = make_game("connect_four(rows=4,columns=4)")
    player, rng = Perfect(game, bits=18), np.random.default_rng(0)
    for seat in (0, 1):
        assert play_every_line(game, player, seat, rng).worst == 0
    positions = random_positions("connect_four(rows=4,columns=4)", 300, range(4, 13), 7)
    scores = player.solver.move_scores(positions, weak=True)
    actions = fresh(player, positions, rng)
    assert np.array_equal(scores[np.arange(len(actions)), actions], scores.max(1))


@pytest.mark.slow
def test_the_first_player_wins_only_in_the_middle() -> None:
    """Allis 1988, Allen 1988: a draw next to the middle, lost further out. Takes minutes."""
    solver = ConnectFourSolver(make_game("connect_four"), 23)
    assert solver.move_scores(solver.game.initial(1), weak=True)[0].tolist() == [-1, -1, 0, 1, 0, -1, -1]

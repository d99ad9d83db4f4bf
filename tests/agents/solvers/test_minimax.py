"""Alpha-beta against backward induction, position by position, and the player that plays by it."""

from __future__ import annotations

import numpy as np
import pytest

from agents.api import fresh
from agents.solvers.alpha_beta import AlphaBeta
from agents.solvers.backward_induction import PositionValues, solve
from agents.solvers.exhaustive import play_every_line
from agents.solvers.minimax import Minimax
from envs.api import TERMINAL, Array, Positions
from envs.games.make import make_game

SMALL = [
    "tic_tac_toe",
    "connect_four(rows=4,columns=3,x_in_row=3)",
    "hex(board_size=3)",
    "othello(board_size=4)",
    "breakthrough(rows=4,columns=3)",
    "breakthrough(rows=5,columns=3)",
]


def unfinished(solution: PositionValues) -> tuple[Positions, Array]:
    """All positions in which somebody moves, and what the mover gets."""
    positions, expected = [], []
    for ply, values in zip(solution.plies, solution.values, strict=True):
        going = np.flatnonzero(ply.seat != TERMINAL)
        positions.append(ply.positions[going])
        expected.append(values[going, ply.seat[going]])
    return np.concatenate(positions), np.concatenate(expected)


@pytest.mark.parametrize("name", SMALL)
def test_values_equal_backward_induction_in_every_position(name: str) -> None:
    game = make_game(name)
    positions, expected = unfinished(solve(game))
    if name == "tic_tac_toe":
        assert len(positions) == 5478 - 958  # the others are over
    found = AlphaBeta(game).values(positions)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["connect_four(rows=4,columns=4)", "breakthrough(rows=4,columns=4)"])
def test_values_equal_backward_induction_in_positions_of_larger_games(name: str) -> None:
    game, rng = make_game(name), np.random.default_rng(0)
    positions, expected = unfinished(solve(game))
    some = np.append(0, rng.choice(len(positions), 4000, replace=False))
    assert np.array_equal(AlphaBeta(game).values(positions[some]), expected[some])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["connect_four(rows=4,columns=4)", "breakthrough(rows=4,columns=4)"])
def test_values_equal_backward_induction_in_all_positions_of_larger_games(name: str) -> None:
    game = make_game(name)
    positions, expected = unfinished(solve(game))
    assert np.array_equal(AlphaBeta(game).values(positions), expected)


def test_a_table_of_few_entries_gives_the_same_values() -> None:
    game = make_game("othello(board_size=4)")
    positions, expected = unfinished(solve(game))
    search = AlphaBeta(game, megabytes=1)
    search._work = search._work._replace(known=search._work.known[:4].copy(), notes=search._work.notes[:4].copy())
    assert np.array_equal(search.values(positions[:500]), expected[:500])


def test_the_first_proof_of_a_win_is_the_fastest_and_a_loss_is_put_off() -> None:
    """X to move wins at once with 2, though 4 and others win later as well; O to move has lost, but may block."""
    game = make_game("tic_tac_toe")
    search = AlphaBeta(game)
    winning = played("tic_tac_toe", [0, 3, 1, 7])
    verdict = search.search(winning[0])
    assert (verdict.action, verdict.value, verdict.proven, verdict.depth) == (2, 1.0, True, 1)
    lost = played("tic_tac_toe", [0, 1, 4, 8, 6])  # X threatens 2, 3 (and has 2-4-6)
    verdict = search.search(lost[0])
    assert verdict.value == -1 and verdict.proven and verdict.depth == 2
    assert verdict.action in (2, 3), "a block does not save it, but is better than none"


def played(name: str, actions: list[int]) -> Positions:
    game = make_game(name)
    position = game.initial(1)
    for action in actions:
        position = game.step(position, np.array([action]))
    return position


def test_limits_are_kept_and_nothing_is_called_proven_that_is_not() -> None:
    game = make_game("connect_four")
    search, start = AlphaBeta(game), game.initial(1)[0]
    shallow = search.search(start, depth=3)
    assert (shallow.depth, shallow.proven) == (3, False)
    assert abs(shallow.value) < 1
    few = search.search(start, nodes=5000)
    assert few.nodes <= 5001 and not few.proven and few.depth > 3
    timed = search.search(start, seconds=0.02)
    assert timed.depth >= 1 and not timed.proven
    with pytest.raises(ValueError, match="the game is over"):
        search.search(played("tic_tac_toe", [0, 3, 1, 4, 2])[0])


@pytest.mark.parametrize("name", ["othello", "breakthrough", "hex(board_size=5)", "connect_four", "go(board_size=4)"])
def test_rules_of_thumb_never_claim_a_win(name: str) -> None:
    game, rng = make_game(name), np.random.default_rng(0)
    player, positions = Minimax(game, depth=2), game.initial(8)
    for _ in range(60):
        seat = game.seat(positions)
        positions = positions[seat != TERMINAL]
        if len(positions) == 0:
            break
        verdict = player.search.search(positions[0], depth=2)
        assert verdict.proven or abs(verdict.value) < 1
        legal = game.legal(positions)
        actions = fresh(player, positions, rng)
        assert legal[np.arange(len(actions)), actions].all()
        positions = game.step(positions, (legal * rng.random(legal.shape)).argmax(1))


def test_the_answer_depends_on_the_position_and_the_draws_alone() -> None:
    game = make_game("connect_four")
    start = game.initial(1)
    unused, used = Minimax(game, nodes=20_000), Minimax(game, nodes=20_000)
    fresh(used, played("connect_four", [3, 3, 2]), np.random.default_rng(5))
    for seed in range(5):
        one, two = (fresh(player, start, np.random.default_rng(seed)) for player in (unused, used))
        assert one == two
    corners = Minimax(make_game("tic_tac_toe"))
    chosen = {int(fresh(corners, make_game("tic_tac_toe").initial(1), np.random.default_rng(s))[0]) for s in range(30)}
    assert len(chosen) > 3, "among equal moves any is played"


@pytest.mark.parametrize("seat", [0, 1])
def test_it_never_loses_at_tic_tac_toe_in_any_line(seat: int) -> None:
    game = make_game("tic_tac_toe")
    result = play_every_line(game, Minimax(game), seat, np.random.default_rng(0))
    assert result.worst == 0 and result.lines > 50
    short_sighted = play_every_line(game, Minimax(game, depth=1), seat, np.random.default_rng(0))
    assert short_sighted.losses > 0


def test_what_it_can_not_play_is_refused() -> None:
    with pytest.raises(ValueError, match="native board games, not kuhn_poker"):
        Minimax(make_game("kuhn_poker"))
    with pytest.raises(ValueError, match="minimax:0: depth is 0"):
        Minimax(make_game("tic_tac_toe"), 0, "minimax:0")

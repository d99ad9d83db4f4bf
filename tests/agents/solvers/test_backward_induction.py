"""Backward induction against what is known of small games, and players against every line of play."""

from __future__ import annotations

import numpy as np
import pytest

from agents.api import Player, fresh
from agents.records import Carry, forgets
from agents.solvers.backward_induction import PositionValues, TooLarge, distinct, moves, solve
from agents.solvers.exhaustive import play_every_line
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from envs.games.make import make_game

FIRST_WINS, SECOND_WINS, DRAWN = (1.0, -1.0), (-1.0, 1.0), (0.0, 0.0)


def test_tic_tac_toe_is_a_draw_and_its_positions_nodes_and_games_are_counted() -> None:
    solution = solve(make_game("tic_tac_toe"))
    assert solution.value.tolist() == [0, 0]
    assert solution.positions == 5478
    assert solution.tree_nodes == 549_946
    assert solution.games == {FIRST_WINS: 131_184, SECOND_WINS: 77_904, DRAWN: 46_080}
    assert sum(solution.games.values()) == 255_168


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hex(board_size=3)", FIRST_WINS),  # Nash's strategy stealing
        ("othello(board_size=4)", SECOND_WINS),
        ("connect_four(rows=4,columns=4)", DRAWN),
        ("breakthrough(rows=4,columns=3)", FIRST_WINS),
    ],
)
def test_values_of_small_games(name: str, value: tuple[float, float]) -> None:
    assert tuple(solve(make_game(name)).value) == value


def test_distinct_positions_of_connect_four_by_ply() -> None:
    with pytest.raises(TooLarge, match="more than 30000"):
        solve(make_game("connect_four"), limit=30_000)
    game = make_game("connect_four")
    positions, counts = game.initial(1), []
    for _ in range(7):
        counts.append(len(positions))
        parent, action, _ = moves(game, positions, game.seat(positions))
        positions, _ = distinct(game.step(positions[parent], action))
    assert counts == [1, 7, 49, 238, 1120, 4263, 16422]
    assert solve(make_game("connect_four(rows=4,columns=4)")).positions == 161_029  # Tromp's table of small boards


def recursive(game: Game, position: Positions) -> Array:
    """The value of a position, [P], by the definition."""
    seat = int(game.seat(position)[0])
    if seat == TERMINAL:
        return game.returns(position)[0]
    actions = np.flatnonzero(game.legal(position)[0])
    values = [recursive(game, game.step(position, np.array([action]))) for action in actions]
    if seat == CHANCE:
        return np.average(values, axis=0, weights=game.chance(position)[0, actions])
    return max(values, key=lambda value: value[seat])


def test_chance_is_averaged() -> None:
    pytest.importorskip("pyspiel")
    game = make_game("pig(players=2,winscore=3,diceoutcomes=2,horizon=9)")
    solution = solve(game, limit=50_000)
    assert solution.value == pytest.approx(recursive(game, game.initial(1)), abs=1e-12)
    assert 0 < solution.value[0] < 1
    with pytest.raises(ValueError, match="not native"):
        solution.lookup(game.initial(1))


def test_more_than_two_seats() -> None:
    """Nim-like: each seat sees what it gets itself, not what the others lose."""
    pytest.importorskip("pyspiel")
    game = make_game("pig(players=3,winscore=2,diceoutcomes=2,horizon=7)")
    assert solve(game).value == pytest.approx(recursive(game, game.initial(1)), abs=1e-12)


def test_hidden_cards_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden information"):
        solve(make_game("kuhn_poker"))


class Table:
    """Plays by a solution: the `rank`-th best action, 0 the best, -1 the worst."""

    def __init__(self, solution: PositionValues, rank: int) -> None:
        self.name, self.solution, self.rank, self.calls = "table", solution, rank, 0

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        self.calls += 1
        return carry, np.array([self._one(position) for position in positions[:, None]])

    def _one(self, position: Positions) -> int:
        game = self.solution.game
        actions = np.flatnonzero(game.legal(position)[0])
        following = game.step(np.repeat(position, len(actions), 0), actions)
        own = self.solution.lookup(following)[:, game.seat(position)[0]]
        return int(actions[np.argsort(-own, kind="stable")[self.rank]])


def lines_of(game: Game, player: Player, seat: int, position: Positions) -> list[float]:
    """What `seat` gets in each line against `player`, one after another."""
    mover = int(game.seat(position)[0])
    if mover == TERMINAL:
        return [float(game.returns(position)[0, seat])]
    actions = np.flatnonzero(game.legal(position)[0])
    if mover == seat:
        actions = fresh(player, position, np.random.default_rng(0))
    return [
        result for action in actions for result in lines_of(game, player, seat, game.step(position, np.array([action])))
    ]


@pytest.mark.parametrize("seat", [0, 1])
def test_a_perfect_player_never_loses_in_any_line_and_a_bad_one_is_refuted(seat: int) -> None:
    game, rng = make_game("tic_tac_toe"), np.random.default_rng(0)
    solution = solve(game)
    good, bad = Table(solution, 0), Table(solution, -1)
    best = play_every_line(game, good, seat, rng)
    assert best.losses == 0 and best.worst == 0 and best.refutation is None
    assert good.calls <= 5, "one call for all positions of a ply"
    expected = lines_of(game, good, seat, game.initial(1))
    assert best.lines == len(expected) and best.draws == expected.count(0.0)

    worst = play_every_line(game, bad, seat, rng)
    expected = lines_of(game, bad, seat, game.initial(1))
    assert (worst.lines, worst.losses, worst.worst) == (len(expected), expected.count(-1.0), -1)
    assert worst.refutation is not None
    position = game.initial(1)
    for action in worst.refutation:
        if game.seat(position)[0] == seat:
            assert fresh(bad, position, rng)[0] == action, "the refutation has moves that the player doesn't make"
        position = game.step(position, np.array([action]))
    assert game.returns(position)[0, seat] == -1


def test_every_line_holds_the_draw_on_the_small_board() -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    player, rng = Table(solve(game), 0), np.random.default_rng(0)
    for seat in (0, 1):
        assert play_every_line(game, player, seat, rng).worst == 0
    with pytest.raises(TooLarge):
        play_every_line(game, player, 0, rng, limit=100)

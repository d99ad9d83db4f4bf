"""A run's ladder in games for one: both play alone, with the same luck."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.arena.ladder import Climber
from agents.arena.match import play, streams, usual_plies
from agents.records import forgets
from envs.api import Array, Game, Positions
from envs.games.make import make_game
from experiment.seeding import Seeds

SEEDS = Seeds(3)


class Catcher:
    """In OpenSpiel's catch, a ball falls through ten rows of five columns: moves below it, or stays in the middle."""

    begin = staticmethod(forgets)

    def __init__(self, game: Game, name: str, moves: bool) -> None:
        self.game, self.name, self.moves = game, name, moves

    def choose(self, carry: Any, positions: Positions, rng: np.random.Generator) -> tuple[Any, Array]:
        board = self.game.observe(positions, np.zeros(len(positions), np.int64)).reshape(-1, 10, 5)
        paddle = board[:, 9].argmax(1)
        board[:, 9] = 0
        ball = board.any(1).argmax(1)
        return carry, 1 + np.sign(ball - paddle) * (board.any((1, 2)) & self.moves)


@pytest.fixture(scope="module")
def game() -> Game:
    pytest.importorskip("pyspiel")
    return make_game("catch")


def climber(game: Game, opponent: Catcher, climbs: bool, games: int = 60) -> Climber:
    return Climber(game, [opponent], games, True, SEEDS, lambda name, weights: Catcher(game, name, climbs))


def test_alone_two_of_the_same_are_worth_the_same(game: Game) -> None:
    """The luck is the same: else the one would catch the ball where the other misses it."""
    for moves in (True, False):
        found = climber(game, Catcher(game, "other", moves), moves)(np.zeros(1), 0)
        assert found["arena/score/other"] == 0.5
        assert found["arena/rating"] == pytest.approx(0.0, abs=1e-6)


def test_alone_points_are_for_the_higher_return_in_the_same_game(game: Game) -> None:
    other = Catcher(game, "other", False)
    luck = streams(SEEDS, ("other",))
    missed = play(game, [other], 60, luck, usual_plies(game.spec)).returns[:, 0] < 0
    assert 30 < missed.sum() < 60, "4 of 5 balls do not fall in the middle"
    evaluate = climber(game, other, True)
    found = evaluate(np.zeros(1), 0)
    assert found["arena/score/other"] == pytest.approx(0.5 + missed.mean() / 2)
    assert found["arena/rating"] > 100
    assert "arena/score/past" not in found
    assert evaluate(np.zeros(1), 1)["arena/score/past"] == 0.5
    assert climber(game, Catcher(game, "other", True), False)(np.zeros(1), 0)["arena/score/other"] == pytest.approx(
        0.5 - missed.mean() / 2
    )

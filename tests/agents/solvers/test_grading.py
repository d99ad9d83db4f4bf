"""The graded sets that come with the package, and the error rates that are measured on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.records import Carry, forgets
from agents.solvers.connect_four_solver import ILLEGAL, ConnectFourSolver
from agents.solvers.grading import (
    HOME,
    Graded,
    Line,
    compose,
    error_rate,
    load,
    mirrored,
    read,
    replay,
    write,
)
from agents.solvers.perfect import Perfect
from envs.api import Array, Positions
from envs.games.make import make_game
from scripts.positions import COUNTS, PLIES, main

GAME = make_game("connect_four")
SMALL = make_game("connect_four(rows=4,columns=4)")


class Rule:
    """Plays the action of the largest or smallest value, of known positions."""

    def __init__(self, graded: Graded, sign: int) -> None:
        self.name, self.graded, self.sign = "rule", graded, sign

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        assert positions is self.graded.positions
        values = np.where(self.graded.values == ILLEGAL, -self.sign * 9, self.graded.values)
        actions: Array = (self.sign * values).argmax(1)
        return carry, actions


@pytest.mark.parametrize("part", PLIES)
def test_the_sets_are_what_the_documentation_says(part: str) -> None:
    graded = load(f"connect_four_{part}", GAME)
    lines = read((HOME / f"connect_four_{part}.txt").read_text())
    assert len(graded.positions) == 500
    assert {outcome: int((graded.outcome == outcome).sum()) for outcome in COUNTS} == COUNTS
    assert (graded.contested == (graded.outcome >= 0)).all()
    made = np.array([len(line.moves) for line in lines])
    assert set(made.tolist()) == set(PLIES[part])
    assert np.ptp(np.bincount(made)[PLIES[part].start :]) <= 3, "as many of each ply as of the others"
    known = {position.tobytes() for position in replay(GAME, [*lines, *map(mirrored, lines)]).positions}
    symmetric = sum(line.values == mirrored(line).values for line in lines)
    assert 1000 - symmetric <= len(known) <= 1000, "a position or its mirror image comes twice"


def test_no_set_is_met_with_a_win_in_one_move() -> None:
    for part in PLIES:
        graded = load(f"connect_four_{part}", GAME)
        for column in range(7):
            legal = graded.values[:, column] != ILLEGAL
            after = GAME.step(graded.positions[legal], np.full(legal.sum(), column))
            assert not GAME.returns(after).any()


def assert_values_are_the_solvers(part: str, some: int) -> None:
    graded = load(f"connect_four_{part}", GAME)
    rows = np.random.default_rng(0).choice(500, some, replace=False)
    found = ConnectFourSolver(GAME, 22).move_scores(graded.positions[rows], weak=True)
    assert np.array_equal(found, graded.values[rows])


@pytest.mark.parametrize(("part", "some"), [("late", 500), ("middle", 60)])
def test_the_values_are_the_solvers(part: str, some: int) -> None:
    assert_values_are_the_solvers(part, some)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "some"), [("early", 40), ("middle", 500)])
def test_more_values_are_the_solvers(part: str, some: int) -> None:
    assert_values_are_the_solvers(part, some)


def test_error_rates() -> None:
    graded, rng = load("connect_four_late", GAME), np.random.default_rng(0)
    assert error_rate(Perfect(GAME, bits=18), graded, rng).mistakes == 0
    best, worst = (error_rate(Rule(graded, sign), graded, rng) for sign in (1, -1))
    assert best.rate == 0 and best.interval.low < 1e-9 and 0 < best.interval.high < 0.01
    assert (worst.mistakes, worst.rate, worst.contested, worst.wins_lost) == (400, 0.8, 400, 250)
    assert worst.interval.low < 0.8 < worst.interval.high


def test_a_mistake_is_a_worse_outcome_and_nothing_else() -> None:
    """Of four positions one is lost anyway, one is played well, a win goes for a draw, and a draw for a loss."""
    values = np.array([[-1, -1, -1, ILLEGAL], [1, 0, 1, -1], [1, 0, -1, -1], [-1, 0, 0, -1]])
    graded = Graded(SMALL.initial(4), values)

    class Fixed:
        name = "fixed"

        def __init__(self, actions: list[int]) -> None:
            self.actions = np.array(actions)

        begin = staticmethod(forgets)

        def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
            return carry, self.actions

    rate = error_rate(Fixed([0, 2, 1, 0]), graded, np.random.default_rng(0))
    assert (rate.mistakes, rate.positions, rate.contested, rate.wins_lost, rate.rate) == (2, 4, 3, 1, 0.5)
    with pytest.raises(ValueError, match="fixed chose the illegal action 3 in position 0"):
        error_rate(Fixed([3, 0, 0, 1]), graded, np.random.default_rng(0))


def test_sets_are_drawn_alike_from_one_seed_and_have_what_was_asked_for() -> None:
    game, counts = make_game("connect_four(rows=5,columns=5)"), {1: 4, 0: 5, -1: 3}
    solver = ConnectFourSolver(game, 16)
    one, two = (compose(solver, range(6, 10), counts, np.random.default_rng(1)) for _ in range(2))
    assert one == two
    assert one != compose(solver, range(6, 10), counts, np.random.default_rng(2))
    graded = replay(game, one)
    assert {outcome: int((graded.outcome == outcome).sum()) for outcome in counts} == counts
    assert np.bincount([len(line.moves) for line in one])[6:].tolist() == [2, 3, 3, 4]
    with pytest.raises(ValueError, match=r"too few positions after 3 moves: no more of \{-1: 1\}"):
        compose(ConnectFourSolver(SMALL, 16), range(3, 4), {-1: 1}, np.random.default_rng(0))
    assert read(write(one, ["about", "it"])) == one


def test_texts_of_another_game_are_refused() -> None:
    line = Line([0, 1], [0, 0, 0, 0])
    with pytest.raises(ValueError, match="not positions of connect_four"):
        replay(GAME, [line])
    with pytest.raises(ValueError, match="other moves are legal"):
        replay(SMALL, [Line([0, 1], [0, 0, ILLEGAL, 0])])
    with pytest.raises(ValueError, match=r"no set of positions 'connect_four_easy', known are .*connect_four_late"):
        load("connect_four_easy", GAME)


def test_the_script_refuses_what_it_can_not_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["late", "--to", str(tmp_path / "nowhere")]) == 2
    assert "is no directory" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["noon"])

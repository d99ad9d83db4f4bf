from __future__ import annotations

import numpy as np
import pytest

from envs.tabular.grids import cells, cliff_walking, gridworld, jumping_gridworld, windy_gridworld
from envs.tabular.mdp import MDP


def follow(mdp: MDP, state: object, *moves: str) -> tuple[object, float]:
    """Where a deterministic world is after some moves, and what they paid."""
    place, total = mdp.state(state), 0.0
    for move in moves:
        action = mdp.action(move)
        assert mdp.transition[place, action].max() == 1.0
        total += mdp.reward[place, action]
        place = int(mdp.transition[place, action].argmax())
    return mdp.states[place], total


def test_the_grid_of_four_by_four() -> None:
    """Numbers as in example 4.1: p(6 | 5, right) = 1, p(10 | 5, right) = 0, p(7 | 7, right) = 1."""
    grid = gridworld()
    right = grid.action("right")
    assert (grid.transition[5, right, 6], grid.transition[5, right, 10], grid.transition[7, right, 7]) == (1, 0, 1)
    assert np.flatnonzero(grid.terminal).tolist() == [0, 15]
    assert set(grid.outcomes.reward.tolist()) == {-1.0}
    assert grid.start[1:-1] == pytest.approx(1 / 14)


def test_the_grid_in_which_one_jumps() -> None:
    grid = jumping_gridworld()
    assert follow(grid, (0, 1), "up") == ((4, 1), 10.0)
    assert follow(grid, (0, 3), "left") == ((2, 3), 5.0)
    assert follow(grid, (0, 0), "up", "left", "down") == ((1, 0), -2.0)
    assert not grid.terminal.any()


def test_the_wind_blows_upwards() -> None:
    grid = windy_gridworld()
    assert follow(grid, (3, 0), *["right"] * 9) == ((0, 9), -9.0)
    assert follow(grid, (5, 6), "up") == ((2, 6), -1.0)
    assert windy_gridworld(moves=9).actions[4:] == ("up-right", "down-right", "down-left", "up-left", "stay")
    gusts = windy_gridworld(moves=9, stochastic=True)
    found = gusts.transition[gusts.state((5, 6)), gusts.action("stay")]
    assert {gusts.states[s]: found[s] for s in np.flatnonzero(found)} == pytest.approx(
        dict.fromkeys([(2, 6), (3, 6), (4, 6)], 1 / 3)
    )


def test_who_falls_off_the_cliff_is_back_at_the_start() -> None:
    grid = cliff_walking()
    assert follow(grid, (3, 0), "right") == ((3, 0), -100.0)
    assert follow(grid, (2, 5), "down") == ((3, 0), -100.0)
    assert follow(grid, (3, 0), "up", *["right"] * 11, "down") == ((3, 11), -13.0)
    assert np.flatnonzero(grid.terminal).tolist() == [47]


def test_a_grid_has_cells() -> None:
    assert cells(1, 2) == [(0, 0), (0, 1)]
    with pytest.raises(ValueError, match="at least one row"):
        gridworld(0, 3)

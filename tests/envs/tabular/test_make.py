from __future__ import annotations

import numpy as np
import pytest

from envs.tabular.make import WORLDS, make_mdp


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_is_made_by_its_name(name: str) -> None:
    mdp = make_mdp(name)
    assert mdp.name == name
    np.testing.assert_allclose(mdp.transition.sum(2), mdp.legal)


def test_parameters_reach_the_world() -> None:
    assert len(make_mdp("gridworld(rows=3,columns=5)").states) == 15
    assert make_mdp(" cliff_walking(columns=6) ").name == "cliff_walking(columns=6)"
    robot = make_mdp("recycling_robot(alpha=0.5,search=2)")
    assert robot.transition[0, 0].tolist() == [0.5, 0.5] and robot.reward[0, 0] == 2.0
    with pytest.raises(ValueError, match="unknown parameter 'size', known are rows, columns"):
        make_mdp("gridworld(size=3)")
    with pytest.raises(ValueError, match=r"rows is 2.5, expected int"):
        make_mdp("gridworld(rows=2.5)")
    with pytest.raises(ValueError, match="moves is 5, expected 4, 8 or 9"):
        make_mdp("windy_gridworld(moves=5)")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="no MDP 'gridwrld': did you mean gridworld"):
        make_mdp("gridwrld")
    with pytest.raises(ValueError, match="no MDP 'zzzzzzz': known are recycling_robot"):
        make_mdp("zzzzzzz")
    with pytest.raises(ValueError, match="'grid world' is not the name of an MDP"):
        make_mdp("grid world")


def test_gymnasiums_tables() -> None:
    lake = make_mdp("FrozenLake-v1(is_slippery=false)")
    assert (len(lake.states), lake.terminal.sum()) == (16, 5)  # four holes and the goal
    taxi = make_mdp("Taxi-v4")
    assert (len(taxi.states), (taxi.start > 0).sum()) == (500, 300)
    cliff, ours = make_mdp("CliffWalking-v1"), make_mdp("cliff_walking")
    reached = ~ours.terminal  # Gymnasium lets one step off the goal, too
    np.testing.assert_array_equal(cliff.transition[reached], ours.transition[reached])
    np.testing.assert_array_equal(cliff.reward[reached], ours.reward[reached])
    with pytest.raises(ValueError, match="CartPole-v1 is no MDP: it has no table P"):
        make_mdp("CartPole-v1")
    with pytest.raises(ValueError, match="cannot be made"):
        make_mdp("FrozenLake-v1(slippery=true)")

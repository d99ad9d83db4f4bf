from __future__ import annotations

import pytest

from envs.tabular.robots import recycling_robot, walking_robot


@pytest.mark.parametrize("beta", [0.1, 0.4, 0.8])
def test_a_search_with_a_low_battery_pays_what_the_equation_says(beta: float) -> None:
    """r(low, search) = beta * r_search - 3 (1 - beta)."""
    robot = recycling_robot(beta=beta, search=2.0)
    low, search = robot.state("low"), robot.action("search")
    assert robot.reward[low, search] == pytest.approx(2 * beta - 3 * (1 - beta))
    assert robot.transition[low, search].tolist() == pytest.approx([1 - beta, beta])


def test_a_high_battery_cannot_be_recharged() -> None:
    robot = recycling_robot()
    assert robot.legal.tolist() == [[True, True, False], [True, True, True]]
    assert robot.reward[0].tolist() == [3.0, 1.0, 0.0]


def test_who_has_fallen_gets_up_slowly() -> None:
    robot = walking_robot()
    fallen, slow = robot.state("fallen"), robot.action("slow")
    assert robot.transition[fallen, slow].tolist() == [0.6, 0.4, 0.0]
    assert robot.transition[fallen, robot.action("fast"), fallen] == 1.0

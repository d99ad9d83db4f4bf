"""How far along a direction."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.optimize.line_search import backtracking, exact, wolfe
from supervised.optimize.objectives import Objective, quadratic, rosenbrock


def test_exact_steps_down_a_bowl_zigzag() -> None:
    """From (10, 1) on diag(1, 10): x_k = (10, (-1)^k) (9 / 11)^k, each gradient orthogonal to the one before."""
    bowl, x = quadratic(np.diag([1.0, 10.0])), np.array([10.0, 1.0])
    for k in range(1, 8):
        gradient = bowl.gradient(x)
        x = x - exact(bowl, x, -gradient) * gradient
        np.testing.assert_allclose(x, np.array([10, (-1) ** k]) * (9 / 11) ** k, atol=1e-12)
        assert abs(bowl.gradient(x) @ gradient) < 1e-12


def test_backtracking_takes_the_first_step_that_gains_enough() -> None:
    valley, x = rosenbrock(), np.array([-1.2, 1.0])
    direction = -valley.gradient(x)

    def enough(step: float) -> bool:
        promise = 1e-4 * step * float(valley.gradient(x) @ direction)
        return valley.value(x + step * direction) <= valley.value(x) + promise

    step = backtracking(valley, x, direction)
    assert enough(step) and not enough(2 * step) and np.log2(step) % 1 == 0


@pytest.mark.parametrize("seed", range(5))
def test_both_of_wolfes_conditions_hold(seed: int) -> None:
    valley, x = rosenbrock(), np.random.default_rng(seed).standard_normal(4)
    direction = -valley.gradient(x)
    step = wolfe(valley, x, direction)
    promise = float(valley.gradient(x) @ direction)
    assert valley.value(x + step * direction) <= valley.value(x) + 1e-4 * step * promise
    assert valley.gradient(x + step * direction) @ direction >= 0.9 * promise


@pytest.mark.parametrize("search", [backtracking, exact, wolfe])
def test_uphill_is_refused(search: object) -> None:
    """The notes print x + a g of the gradient g: that goes up."""
    bowl = quadratic(np.eye(2))
    with pytest.raises(ValueError, match="does not lead down"):
        search(bowl, np.ones(2), bowl.gradient(np.ones(2)))  # type: ignore[operator]


def test_a_slope_without_end_is_refused() -> None:
    slope = Objective(lambda x: -float(x[0]), lambda x: np.array([-1.0]), lambda x: np.zeros((1, 1)))
    with pytest.raises(ValueError, match="without end"):
        exact(slope, np.zeros(1), np.ones(1))

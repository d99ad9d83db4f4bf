"""Functions that optimizers are tried on: their derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.optimize.objectives import Objective, ellipsoid, quadratic, rastrigin, rosenbrock, sphere


@pytest.mark.parametrize(
    "objective", [sphere(4), ellipsoid(4, 1e3), rosenbrock(), rastrigin(4), quadratic(np.ones((4, 4)) + np.eye(4))]
)
def test_derivatives(objective: Objective) -> None:
    x, h = np.random.default_rng(0).standard_normal(4), 1e-6
    steps = h * np.eye(4)
    slope = [(objective.value(x + step) - objective.value(x - step)) / (2 * h) for step in steps]
    np.testing.assert_allclose(objective.gradient(x), slope, rtol=1e-6, atol=1e-6)
    bend = [(objective.gradient(x + step) - objective.gradient(x - step)) / (2 * h) for step in steps]
    np.testing.assert_allclose(objective.hessian(x), bend, rtol=1e-6, atol=1e-5)


def test_known_values() -> None:
    assert rosenbrock().value(np.array([-1.2, 1.0])) == pytest.approx(24.2)
    assert ellipsoid(3, 1e6).value(np.ones(3)) == pytest.approx(1 + 1e3 + 1e6)
    assert rastrigin(2).value(np.zeros(2)) == 0

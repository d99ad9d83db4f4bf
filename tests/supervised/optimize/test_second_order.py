"""Newton's method and the quasi-Newton updates."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from supervised.optimize.line_search import exact
from supervised.optimize.objectives import Array, quadratic, rosenbrock
from supervised.optimize.second_order import Update, bfgs, dfp, l_bfgs, newton, quasi_newton, sr1, two_loops

UPDATES = [bfgs, dfp, sr1]
VALLEY, HARD = rosenbrock(), np.array([-1.2, 1.0])


def curved(n: int, seed: int) -> Array:
    root = np.random.default_rng(seed).standard_normal((n, n))
    return root @ root.T + np.eye(n)


def test_newton_ends_on_a_quadratic_in_one_step_and_goes_up_on_the_way_through_the_valley() -> None:
    (end,) = newton(quadratic(curved(5, 0)), np.ones(5), 1)
    np.testing.assert_allclose(end, 0, atol=1e-12)
    values = [VALLEY.value(x) for x in newton(VALLEY, HARD, 6)]
    np.testing.assert_allclose(values[:4], [4.731884325, 1411.845179, 0.055965517, 0.313189076], rtol=1e-8)
    assert values[4] == pytest.approx(1.8527e-11, rel=1e-4) and values[5] < 1e-19


@pytest.mark.parametrize("update", UPDATES)
def test_the_secant_equation_holds(update: Update) -> None:
    rng = np.random.default_rng(1)
    inverse, s = curved(4, 2), rng.standard_normal(4)
    y = curved(4, 3) @ s
    after = update(inverse, s, y)
    np.testing.assert_allclose(after @ y, s, atol=1e-10)
    np.testing.assert_allclose(after, after.T, atol=1e-10)


def test_bfgs_as_the_notes_print_it_is_neither_symmetric_nor_a_secant() -> None:
    inverse, s = curved(3, 0), np.array([1.0, 2.0, 3.0])
    y = curved(3, 1) @ s
    moved, scale = inverse @ y, y @ inverse @ y
    printed = inverse + np.outer(moved, s) / scale - np.outer(moved, moved) / scale  # H y (y's) / (y'H y) for s
    np.testing.assert_allclose(printed @ y, moved * (y @ s) / scale)
    assert not np.allclose(printed @ y, s) and not np.allclose(printed, printed.T)


@pytest.mark.parametrize("update", UPDATES)
def test_a_quadratic_ends_in_n_steps_and_its_inverse_is_known(update: Update) -> None:
    n, curvature = 6, curved(6, 4)
    path = list(quasi_newton(quadratic(curvature), np.ones(n), update, exact, n))
    np.testing.assert_allclose(path[-1], 0, atol=1e-8)
    inverse, x = np.eye(n), np.ones(n)
    for after in path:
        inverse = update(inverse, after - x, curvature @ (after - x))
        x = after
    np.testing.assert_allclose(inverse, np.linalg.inv(curvature), atol=1e-7)


def test_with_exact_steps_bfgs_dfp_and_conjugate_gradients_are_one() -> None:
    curvature, x = curved(6, 5), np.ones(6)
    ways = [list(quasi_newton(quadratic(curvature), x, update, exact, 5)) for update in (bfgs, dfp)]
    np.testing.assert_allclose(ways[0], ways[1], atol=1e-8)
    np.testing.assert_allclose(list(l_bfgs(quadratic(curvature), x, 6, exact, 5)), ways[0], atol=1e-8)
    residual = direction = -curvature @ x
    for step in ways[0]:
        moved = curvature @ direction
        x = x + residual @ residual / (direction @ moved) * direction
        after = residual - residual @ residual / (direction @ moved) * moved
        direction = after + after @ after / (residual @ residual) * direction
        residual = after
        np.testing.assert_allclose(step, x, atol=1e-8)


def test_two_loops_are_the_matrix() -> None:
    rng, inverse = np.random.default_rng(6), np.eye(5)
    steps = rng.standard_normal((3, 5))
    pairs = deque((s, curved(5, 7) @ s) for s in steps)
    s, y = pairs[-1]
    inverse *= s @ y / (y @ y)
    for s, y in pairs:
        inverse = bfgs(inverse, s, y)
    gradient = rng.standard_normal(5)
    np.testing.assert_allclose(two_loops(pairs, gradient), inverse @ gradient, atol=1e-10)


@pytest.mark.parametrize("update", UPDATES)
def test_through_the_valley(update: Update) -> None:
    """scipy's BFGS takes 32 iterations from there."""
    path = list(quasi_newton(VALLEY, HARD, update, steps=200, enough=1e-5))
    np.testing.assert_allclose(path[-1], 1, atol=1e-5)
    assert len(path) <= 45
    assert len(list(l_bfgs(VALLEY, HARD, steps=200, enough=1e-5))) <= 45


def test_sr1_is_left_out_where_it_is_not_defined() -> None:
    """y - B s orthogonal to s."""
    inverse, s = np.eye(2), np.array([1.0, 0.0])
    assert sr1(inverse, s, np.array([1.0, 0.0])) is inverse
    y = np.array([0.5, 0.5])
    assert (s - y) @ y == 0 and sr1(inverse, s, y) is inverse

"""Functions to minimize, with the derivatives that are known of them, and those that optimizers are tried on.

rosenbrock().value(np.array([-1.2, 1.0]))  # 24.2
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Objective(NamedTuple):
    """x: [n] float64."""

    value: Callable[[Array], float]
    gradient: Callable[[Array], Array]  # -> [n]
    hessian: Callable[[Array], Array]  # -> [n, n]


def quadratic(curvature: Array) -> Objective:
    """x' A x / 2, with a symmetric A [n, n]; its minimum, where A is positive definite, is 0 at 0."""
    return Objective(lambda x: float(x @ curvature @ x / 2), lambda x: curvature @ x, lambda x: curvature)


def ellipsoid(n: int, condition: float) -> Objective:
    """A quadratic whose axes are curved from 2 to 2 * condition, in equal ratios."""
    return quadratic(2 * np.diag(condition ** (np.arange(n) / max(n - 1, 1))))


def sphere(n: int) -> Objective:
    """x' x."""
    return ellipsoid(n, 1.0)


def rosenbrock() -> Objective:
    """The sum over i of 100 (x[i + 1] - x[i]^2)^2 + (1 - x[i])^2: a bent valley to the minimum at ones (1960,
    https://doi.org/10.1093/comjnl/3.3.175)."""

    def value(x: Array) -> float:
        return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())

    def gradient(x: Array) -> Array:
        off = x[1:] - x[:-1] ** 2
        found = np.zeros_like(x)
        found[:-1] = -400 * x[:-1] * off - 2 * (1 - x[:-1])
        found[1:] += 200 * off
        return found

    def hessian(x: Array) -> Array:
        diagonal = np.zeros_like(x)
        diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
        diagonal[1:] += 200
        beside = np.diag(-400 * x[:-1], 1)
        return np.diag(diagonal) + beside + beside.T

    return Objective(value, gradient, hessian)


def rastrigin(n: int) -> Objective:
    """10 n + the sum of x^2 - 10 cos(2 pi x): a minimum near every point of whole numbers, the lowest, 0, at 0."""
    turn = 2 * np.pi
    return Objective(
        lambda x: float(10 * n + (x**2 - 10 * np.cos(turn * x)).sum()),
        lambda x: 2 * x + 10 * turn * np.sin(turn * x),
        lambda x: np.diag(2 + 10 * turn**2 * np.cos(turn * x)),
    )

"""How far to go along a direction d, from x: the least of phi(a) = f(x + a d), or enough of it.

The direction leads down, d . gradient < 0, as minus the gradient does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from scipy.optimize import brentq

from supervised.optimize.objectives import Array, Objective

Search = Callable[[Objective, Array, Array], float]


def backtracking(
    objective: Objective, x: Array, direction: Array, first: float = 1.0, slope: float = 1e-4, shrink: float = 0.5
) -> float:
    """The first of first, first * shrink, ... that gains at least `slope` of what the gradient promises (Armijo 1966,
    https://doi.org/10.2140/pjm.1966.16.1)."""
    value, promise = objective.value(x), _downhill(objective, x, direction)
    for halvings in itertools.count():
        step = first * shrink**halvings
        if not step or objective.value(x + step * direction) <= value + slope * step * promise:
            return step
    raise AssertionError


def exact(objective: Objective, x: Array, direction: Array) -> float:
    """Where the slope along the direction becomes 0: of a quadratic the minimum, and otherwise the first one that
    doubling the step encloses. There the next gradient is orthogonal to the direction."""
    _downhill(objective, x, direction)

    def along(step: float) -> float:
        return float(objective.gradient(x + step * direction) @ direction)

    end = 1.0
    while along(end) < 0:
        end *= 2
        if end > 1e30:
            raise ValueError("the function falls without end along the direction")
    return float(brentq(along, 0.0, end, xtol=1e-300, rtol=1e-15))


def wolfe(objective: Objective, x: Array, direction: Array, slope: float = 1e-4, flatter: float = 0.9) -> float:
    """A step that gains enough and behind which the slope is at most `flatter` of what it was: then y . s > 0 for
    quasi-Newton methods. By bisection, trying 1 first (Lewis and Overton 2013,
    https://doi.org/10.1007/s10107-012-0514-2)."""
    value, promise = objective.value(x), _downhill(objective, x, direction)
    low, high, step = 0.0, float("inf"), 1.0
    for _ in range(100):
        there = x + step * direction
        if not objective.value(there) <= value + slope * step * promise:
            high = step
        elif objective.gradient(there) @ direction < flatter * promise:
            low = step
        else:
            break
        step = (low + high) / 2 if high < float("inf") else 2 * low
    return step


def _downhill(objective: Objective, x: Array, direction: Array) -> float:
    promise = float(objective.gradient(x) @ direction)
    if promise >= 0:
        raise ValueError(f"the direction does not lead down: its product with the gradient is {promise}")
    return promise

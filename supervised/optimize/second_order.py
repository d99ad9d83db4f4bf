"""Second-order optimizers: Newton's method, and those that learn the curvature from gradients.

    for x in newton(objective, x, steps=10): ...
    for x in quasi_newton(objective, x, bfgs, wolfe, steps=100): ...

Quasi-Newton methods keep H, which stands for the inverse of the Hessian, and begin at the identity. An update makes
H y = s hold for the last step s and the change y of the gradient: the secant equation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from supervised.optimize.line_search import Search, wolfe
from supervised.optimize.objectives import Array, Objective

Update = Callable[[Array, Array, Array], Array]  # (H [n, n], s [n], y [n]) -> H
LEAST = 1e-8  # of SR1's denominator against the lengths of its factors


def newton(objective: Objective, x: Array, steps: int) -> Iterator[Array]:
    """x - Hessian^-1 gradient: of a quadratic the end in one step. Elsewhere it may go up, and to any stationary
    point."""
    for _ in range(steps):
        x = x - np.linalg.solve(objective.hessian(x), objective.gradient(x))
        yield x


def sr1(inverse: Array, s: Array, y: Array) -> Array:
    """The symmetric update of rank one. Left out where it would be nearly undefined (Nocedal and Wright 2006, eq.
    6.26). It need not stay positive definite."""
    rest = s - inverse @ y
    scale = rest @ y
    if abs(scale) <= LEAST * np.linalg.norm(rest) * np.linalg.norm(y):
        return inverse
    return inverse + np.outer(rest, rest) / scale


def dfp(inverse: Array, s: Array, y: Array) -> Array:
    """Davidon, Fletcher and Powell (Nocedal and Wright 2006, eq. 6.15). Positive definite if s . y > 0."""
    moved = inverse @ y
    return inverse + np.outer(s, s) / (s @ y) - np.outer(moved, moved) / (y @ moved)


def bfgs(inverse: Array, s: Array, y: Array) -> Array:
    """Broyden, Fletcher, Goldfarb and Shanno (Nocedal and Wright 2006, eq. 6.17). Positive definite if s . y > 0."""
    moved, gain = inverse @ y, s @ y
    both = np.outer(moved, s)
    return inverse - (both + both.T) / gain + (1 + y @ moved / gain) * np.outer(s, s) / gain


def quasi_newton(
    objective: Objective, x: Array, update: Update = bfgs, search: Search = wolfe, steps: int = 100, enough: float = 0.0
) -> Iterator[Array]:
    """x after each step along -H gradient, until no entry of the gradient is larger than `enough`."""
    inverse, gradient = np.eye(len(x)), objective.gradient(x)
    for _ in range(steps):
        if np.abs(gradient).max() <= enough:
            break
        direction = -inverse @ gradient
        if direction @ gradient >= 0:  # of SR1 only: begin anew
            inverse, direction = np.eye(len(x)), -gradient
        s = search(objective, x, direction) * direction
        before, x = gradient, x + s
        gradient = objective.gradient(x)
        if s @ (gradient - before) > 0 or update is sr1:
            inverse = update(inverse, s, gradient - before)
        yield x


def l_bfgs(
    objective: Objective, x: Array, memory: int = 10, search: Search = wolfe, steps: int = 100, enough: float = 0.0
) -> Iterator[Array]:
    """BFGS from the last `memory` pairs (s, y) alone, beginning each time at the identity times s . y / y . y (Liu and
    Nocedal 1989, https://doi.org/10.1007/BF01589116)."""
    pairs: deque[tuple[Array, Array]] = deque(maxlen=memory)
    gradient = objective.gradient(x)
    for _ in range(steps):
        if np.abs(gradient).max() <= enough:
            break
        direction = -two_loops(pairs, gradient)
        s = search(objective, x, direction) * direction
        before, x = gradient, x + s
        gradient = objective.gradient(x)
        if s @ (gradient - before) > 0:
            pairs.append((s, gradient - before))
        yield x


def two_loops(pairs: deque[tuple[Array, Array]], gradient: Array) -> Array:
    """H gradient, of the H that these pairs make, without the matrix (Nocedal and Wright 2006, algorithm 7.4)."""
    taken = []
    for s, y in reversed(pairs):
        taken.append(s @ gradient / (s @ y))
        gradient = gradient - taken[-1] * y
    if pairs:
        s, y = pairs[-1]
        gradient = s @ y / (y @ y) * gradient
    for (s, y), share in zip(pairs, reversed(taken)):
        gradient = gradient + (share - y @ gradient / (s @ y)) * s
    return gradient

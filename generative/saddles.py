"""Two players who descend and ascend one function: what the dynamics of a GAN do where its answer is known.

    play = alternating(lambda x, y: (y, x), rate=0.1)       # min over x, max over y of x y, by its gradient
    points = follow(play, (1.0, 1.0), steps=1000)           # [1001, 2]

`gradient(x, y)` is (df/dx, df/dy). The saddle of x y is the origin: simultaneous steps spiral away from it, alternating
ones circle, optimistic and extragradient ones arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradient = Callable[[float, float], tuple[float, float]]
Play = Callable[[float, float], tuple[float, float]]


def simultaneous(gradient: Gradient, rate: float) -> Play:
    """Gradient descent-ascent (GDA)."""

    def step(x: float, y: float) -> tuple[float, float]:
        dx, dy = gradient(x, y)
        return x - rate * dx, y + rate * dy

    return step


def alternating(gradient: Gradient, rate: float) -> Play:
    """x first; y answers where x went."""

    def step(x: float, y: float) -> tuple[float, float]:
        x = x - rate * gradient(x, y)[0]
        return x, y + rate * gradient(x, y)[1]

    return step


class Optimistic:
    """OGDA: twice the gradient, less the one before (Daskalakis et al. 2018, https://arxiv.org/abs/1711.00141). Before
    the first there is none, and the first step is a plain one."""

    def __init__(self, gradient: Gradient, rate: float) -> None:
        self.gradient, self.rate = gradient, rate
        self.before: tuple[float, float] | None = None

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        dx, dy = self.gradient(x, y)
        old_x, old_y = self.before or (dx, dy)
        self.before = dx, dy
        return x - self.rate * (2 * dx - old_x), y + self.rate * (2 * dy - old_y)


def extragradient(gradient: Gradient, rate: float) -> Play:
    """The step is by the gradient of where a plain step would lead (Korpelevich 1976)."""
    plain = simultaneous(gradient, rate)

    def step(x: float, y: float) -> tuple[float, float]:
        dx, dy = gradient(*plain(x, y))
        return x - rate * dx, y + rate * dy

    return step


def follow_the_ridge(gradient: Gradient, yy: float, yx: float, rate: float) -> Play:
    """y also makes up for how x moves the ridge on which f is largest over y: + rate f_yy^-1 f_yx f_x, of a function
    whose second derivatives are the same everywhere. Wang, Zhang and Ba 2020, https://arxiv.org/abs/1910.07512."""

    def step(x: float, y: float) -> tuple[float, float]:
        dx, dy = gradient(x, y)
        return x - rate * dx, y + rate * dy + rate * yx / yy * dx

    return step


def follow(play: Play, start: Sequence[float], steps: int) -> Array:
    """The points [steps + 1, 2] on the way."""
    points = [(float(start[0]), float(start[1]))]
    for _ in range(steps):
        points.append(play(*points[-1]))
    return np.array(points)

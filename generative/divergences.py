"""How different two distributions are: f-divergences, Bregman divergences, Wasserstein distance.

    kl(p, q), reverse_kl(p, q), jensen_shannon(p, q), chi_squared(p, q)     # p, q [K], each sums to 1
    bregman(p, q, squared_norm)                                             # of any two vectors
    wasserstein(a, b)                                                       # of two samples [n] of numbers

All in nats. A GAN's discriminator estimates an f-divergence (Nowozin et al. 2016, https://arxiv.org/abs/1606.00709);
its best answer is `optimal_discriminator`, and the value of its game then 2 JS - 2 ln 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LN2 = float(np.log(2))


def f_divergence(p: Array, q: Array, f: Callable[[Array], Array]) -> float:
    """sum q f(p / q), of a convex f that grows faster than a line: where q is 0 and p is not, inf."""
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if (p[q == 0] > 0).any():
        return float("inf")
    some = q > 0
    return float((q[some] * f(p[some] / q[some])).sum())


def kl(p: Array, q: Array) -> float:
    """sum p log(p / q)."""
    return f_divergence(p, q, _x_log_x)


def reverse_kl(p: Array, q: Array) -> float:
    return kl(q, p)


def chi_squared(p: Array, q: Array) -> float:
    """Pearson's: sum (p - q)^2 / q."""
    return f_divergence(p, q, lambda ratio: (ratio - 1) ** 2)


def jensen_shannon(p: Array, q: Array) -> float:
    """Half of KL(p || m) + KL(q || m), m between them: at most ln 2, where they have nothing in common."""
    middle = (np.asarray(p, np.float64) + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def optimal_discriminator(p: Array, q: Array) -> Array:
    """p / (p + q): what tells p (real) from q (made) best. Goodfellow et al. 2014, proposition 1."""
    return np.asarray(p / (p + q))


def game_value(p: Array, q: Array, discriminator: Array) -> float:
    """E_p log D + E_q log(1 - D), which D maximizes and whoever makes q minimizes."""
    return float((p * np.log(discriminator) + q * np.log(1 - discriminator)).sum())


class Potential(NamedTuple):
    """A convex function and its gradient."""

    value: Callable[[Array], float]
    gradient: Callable[[Array], Array]


squared_norm = Potential(lambda x: float((x * x).sum()), lambda x: 2 * x)  # gives the squared distance
negative_entropy = Potential(lambda x: float(_x_log_x(x).sum()), lambda x: np.log(x) + 1)  # gives KL
burg_entropy = Potential(lambda x: float(-np.log(x).sum()), lambda x: -1 / x)  # gives Itakura and Saito's distance


def bregman(p: Array, q: Array, potential: Potential) -> float:
    """F(p) - F(q) - <grad F(q), p - q>: Bregman 1967."""
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    return potential.value(p) - potential.value(q) - float((potential.gradient(q) * (p - q)).sum())


def wasserstein(a: Array, b: Array) -> float:
    """The earth mover's distance W1 of two samples [n] of numbers: the mean distance of the sorted ones."""
    return float(np.abs(np.sort(a) - np.sort(b)).mean())


def _x_log_x(x: Array) -> Array:
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0.0)

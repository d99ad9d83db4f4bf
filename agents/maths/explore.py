"""Exploration of B rows at once: pure functions of what is drawn from the generator that is passed in.

How much is drawn depends on shapes only, not on values: runs that differ in epsilon alone draw the same numbers.
"""

from __future__ import annotations

import math

import numpy as np

from envs.api import Array


def epsilon_greedy(q: Array, epsilon: float | Array, mask: Array | None, rng: np.random.Generator) -> Array:
    """Actions [B] int64: the best of `q` [B, A], or with probability `epsilon` (a number, or [B]) any legal one.

    `mask` [B, A] bool, True = legal. The random choice may hit the best action too. The first of equals is the best.
    """
    count, actions = q.shape
    explore, which = rng.random(count) < epsilon, rng.random(count)
    if mask is None:
        return np.where(explore, (which * actions).astype(np.int64), q.argmax(1))
    best = np.where(mask, q, -np.inf).argmax(1)
    nth = (which * mask.sum(1)).astype(np.int64)  # of the legal ones, from 0
    return np.where(explore, (mask.cumsum(1) > nth[:, None]).argmax(1), best)


def gaussian_noise(shape: tuple[int, ...], sigma: float | Array, rng: np.random.Generator) -> Array:
    """Independent normal noise of standard deviation `sigma`, float32."""
    return (sigma * rng.standard_normal(shape, np.float32)).astype(np.float32, copy=False)


def ornstein_uhlenbeck(
    level: Array, theta: float, sigma: float | Array, rng: np.random.Generator, dt: float = 1.0
) -> Array:
    """The next level [B, D] float32 of noise that drifts back to 0: x - theta * x * dt + sigma * sqrt(dt) * N(0, 1).

    Uhlenbeck & Ornstein (1930), in Euler's discretization, as in https://arxiv.org/abs/1509.02971. `level` is all its
    state: 0 at the start of an episode. In the long run its variance is sigma^2 dt / (1 - a^2) and its
    autocorrelation a^lag, a = 1 - theta * dt.
    """
    return (1.0 - theta * dt) * level + gaussian_noise(level.shape, sigma * math.sqrt(dt), rng)


def draw(weight: Array, uniform: Array) -> Array:
    """One action of each row in proportion to `weight` [n, A], never one of weight 0, from numbers in [0, 1) [n]."""
    bound = weight.cumsum(1)
    return np.asarray((bound > (uniform * bound[:, -1])[:, None]).argmax(1))

"""Worlds that show where things are and not how fast they move: who acts well in them remembers.

`sparring/CartPoleNoVelocity-v0` and `sparring/PendulumNoVelocity-v0` are Gymnasium's CartPole-v1 and Pendulum-v1
without velocities (Wierstra et al. 2007, https://doi.org/10.1007/978-3-540-74690-4_71). What was shown one step earlier
is enough to balance the pole; the best rule that sees the angle alone keeps it up for about 40 of 500 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv, PendulumEnv

from envs.api import Array


class Partial(gymnasium.ObservationWrapper[Array, Any, Array]):
    """Of a world's observation some numbers."""

    def __init__(self, env: gymnasium.Env[Array, Any], shown: Sequence[int]) -> None:
        super().__init__(env)
        whole = env.observation_space
        assert isinstance(whole, spaces.Box)
        self.shown = list(shown)
        self.observation_space = spaces.Box(whole.low[self.shown], whole.high[self.shown], dtype=np.float32)

    def observation(self, observation: Array) -> Array:
        return observation[self.shown]


def cart_pole(**options: Any) -> Partial:
    """Position and angle."""
    return Partial(CartPoleEnv(**options), [0, 2])


def pendulum(**options: Any) -> Partial:
    """Cosine and sine of the angle."""
    return Partial(PendulumEnv(**options), [0, 1])

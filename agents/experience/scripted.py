"""Experts that nobody trained: rules that solve an environment, each in a line or two.

    expert = Scripted(spec)  # agents.api.Policy; ValueError where no rule is known for this world
    RULES["Bridge-v0"] = lambda obs: np.ones(len(obs), np.int64)  # one of your own

Over episode seeds 0 to 199 they get 500.0 in CartPole-v1, -119.9 in MountainCar-v0, -85.6 in Acrobot-v1 and -156.9 in
Pendulum-v1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.records import Acted, Carry, forgets
from envs.api import Array, Spec, Step


def balance(obs: Array) -> Array:
    """Push to where the pole falls, and a little to where the cart is going."""
    return (obs @ np.array([0.1, 0.3, 3.0, 1.0]) > 0).astype(np.int64)


def climb(obs: Array) -> Array:
    """Push along the velocity."""
    return np.where(obs[:, 1] < 0, 0, 2)


def swing(obs: Array) -> Array:
    """Turn the elbow on in its direction."""
    return np.where(obs[:, 5] > 0, 2, 0)


def upright(obs: Array) -> Array:
    """Below give or take what the pendulum lacks of the energy of standing, near the top hold it by angle and velocity.
    One passes into the other smoothly, so that it can be learned."""
    cosine, sine, velocity = obs.astype(np.float64).T
    lacking = 5 * (1 - cosine) - velocity**2 / 6
    near = 1 / (1 + np.exp((0.6 - cosine) / 0.1))
    torque = near * -(6 * sine + 1.5 * velocity) + (1 - near) * 0.3 * velocity * lacking
    return torque.clip(-2, 2).astype(np.float32)[:, None]


RULES: dict[str, Callable[[Array], Array]] = {  # by the world's id: observations [B, *obs] -> actions
    "CartPole-v1": balance,
    "MountainCar-v0": climb,
    "Acrobot-v1": swing,
    "Pendulum-v1": upright,
}


class Scripted:
    """Follows the rule of its world, explore or not. A policy (`agents.api.Policy`) without weights."""

    initial = staticmethod(forgets)

    def __init__(self, spec: Spec) -> None:
        if spec.name not in RULES:
            raise ValueError(f"scripted: no rule is known for {spec.name}, only for {', '.join(RULES)}")
        self.rule = RULES[spec.name]

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        return Acted(carry, self.rule(step.obs), {})

    def load(self, weights: Array) -> None:
        raise ValueError("a scripted policy has no weights to load")

"""Robots: one that collects cans until its battery is low, one that learns to walk without falling."""

from __future__ import annotations

from envs.tabular.mdp import MDP


def recycling_robot(
    alpha: float = 0.9, beta: float = 0.4, search: float = 3.0, wait: float = 1.0, rescue: float = -3.0
) -> MDP:
    """Sutton & Barto, 2nd edition, example 3.3, without end.

    A search pays `search`, and leaves a high battery high with probability alpha, a low one low with probability beta.
    Else a low battery is empty: somebody carries the robot back, which costs `rescue`. To wait pays `wait`. Only a low
    battery can be recharged.
    """
    return MDP.of(
        "recycling_robot",
        {
            ("high", "search"): [(alpha, "high", search), (1 - alpha, "low", search)],
            ("high", "wait"): [(1.0, "high", wait)],
            ("low", "search"): [(beta, "low", search), (1 - beta, "high", rescue)],
            ("low", "wait"): [(1.0, "low", wait)],
            ("low", "recharge"): [(1.0, "high", 0.0)],
        },
    )


def walking_robot() -> MDP:
    """Fallen, standing or moving, without end: a slow step is safe, a fast one goes further and may end in a fall.

    Who has fallen gets up by a slow movement with probability 2/5, and never by a fast one, which hurts.
    """
    return MDP.of(
        "walking_robot",
        {
            ("fallen", "slow"): [(0.6, "fallen", -1.0), (0.4, "standing", 0.0)],
            ("fallen", "fast"): [(1.0, "fallen", -1.0)],
            ("standing", "slow"): [(1.0, "moving", 1.0)],
            ("standing", "fast"): [(0.6, "moving", 2.0), (0.4, "fallen", -1.0)],
            ("moving", "slow"): [(1.0, "moving", 1.0)],
            ("moving", "fast"): [(0.8, "moving", 2.0), (0.2, "fallen", -1.0)],
        },
    )

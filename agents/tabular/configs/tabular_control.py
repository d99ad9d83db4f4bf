"""Config of control from samples. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import OfMDP
from agents.maths.schedules import Schedule
from experiment.config import Fixed, Fraction, Natural, Positive, PositiveFloat

Rate = Annotated[float, Field(gt=0)]


class TabularControl(OfMDP):
    algorithm: Literal["tabular_control"] = "tabular_control"
    """action values of a finite MDP, and the policy that they lead to, from episodes"""
    steps: Positive = 1_000
    """episodes of each run"""
    runs: Fixed[Positive] = 10
    """independent learners, side by side; the policy that acts in the end is the first one's"""
    method: Fixed[
        Literal[
            "sarsa",
            "expected_sarsa",
            "q_learning",
            "double_q_learning",
            "dyna_q",
            "monte_carlo",
            "exploring_starts",
            "off_policy_monte_carlo",
        ]
    ] = "q_learning"
    """what action values are moved towards: see docs/samples.md"""
    step_size: PositiveFloat | Schedule | None = 0.5
    """value += step_size * (target - value); a number or a schedule over the run; null is 1 / n for the n-th time"""
    epsilon: Fraction | Schedule = 0.1
    """probability of any legal action, all alike, instead of a best one; 1 is the uniform policy"""
    episode_limit: Fixed[Positive] = 1_000
    """steps after which an episode is cut off"""
    initial: Fixed[float] = 0.0
    """of all action values; far too high, it makes greedy explore"""
    planning: Natural = 10
    """method=dyna_q: steps that are remembered and learned from again after each step"""

    @model_validator(mode="after")
    def _returns_of_another_policy_are_averaged(self) -> Self:
        if self.method == "off_policy_monte_carlo" and self.step_size is not None:
            raise ValueError(
                "step_size is a number, but off_policy_monte_carlo averages returns with their importance as weights: "
                "set step_size=null"
            )
        return self

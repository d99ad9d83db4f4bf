"""Config of prediction from samples. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import Environment, OfMDP
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Fraction, Positive, PositiveFloat


class MonteCarloReturns(Config):
    name: Literal["monte_carlo"] = "monte_carlo"
    """towards the return that followed, at the end of an episode"""
    visits: Literal["first", "every"] = "first"
    """learn from the first visit to a state in an episode, or from each"""
    importance: Literal["ordinary", "weighted"] = "weighted"
    """where another policy acts: weigh returns by their importance, or average with it as weights"""


class NStepReturns(Config):
    name: Literal["td"] = "td"
    """towards n rewards and the value of where they led"""
    n: Positive = 1
    """1 is TD(0)"""


class Traces(Config):
    name: Literal["td_lambda"] = "td_lambda"
    """towards a mixture of returns over all numbers of steps, those over n with weight (1 - lambda) lambda^(n - 1)"""
    decay: Fraction = 0.9
    """lambda: 0 is TD(0), 1 is Monte-Carlo"""
    view: Literal["accumulating", "replacing", "dutch", "offline", "forward"] = "accumulating"
    """traces that are added to, set, or those of true online TD(lambda), all while the episode goes on; offline:
    added to, the values change at its end; forward: the same from the definition, without traces"""


Target = MonteCarloReturns | NStepReturns | Traces


class TabularPrediction(OfMDP):
    algorithm: Literal["tabular_prediction"] = "tabular_prediction"
    """values of the uniform policy of a finite MDP, from episodes"""
    steps: Positive = 1_000
    """episodes of each run"""
    runs: Fixed[Positive] = 100
    """independent learners, side by side"""
    method: Fixed[Annotated[Target, Field(discriminator="name")]] = NStepReturns()
    """what a value is moved towards"""
    step_size: PositiveFloat | Schedule | None = 0.1
    """value += step_size * (target - value), divided by `tilings`; null is 1 / n for the n-th time"""
    episode_limit: Fixed[Positive] = 1_000
    """steps after which an episode is cut off; what would have come is estimated by its last state's value"""
    initial: Fixed[float] = 0.0
    """of all weights of the values"""
    width: Fixed[Positive] = 1
    """states with neighbouring numbers that share a weight (state aggregation); 1 is a table"""
    tilings: Fixed[Positive] = 1
    """partitions into groups of `width`, shifted against each other; a value is a sum of one weight of each"""

    @property
    def environment(self) -> Environment | None:
        """Values alone act nowhere."""
        return None

    @model_validator(mode="after")
    def _counts_are_of_one_weight(self) -> Self:
        if self.step_size is None and self.tilings > 1:
            raise ValueError(
                f"step_size is null, 1 / n, which needs one weight for each state, but tilings is {self.tilings}"
            )
        return self

    @model_validator(mode="after")
    def _dutch_traces_know_their_step(self) -> Self:
        if self.step_size is None and isinstance(self.method, Traces) and self.method.view == "dutch":
            raise ValueError("step_size is null, 1 / n, but true online TD(lambda) (view=dutch) needs a number")
        return self

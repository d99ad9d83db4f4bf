"""Config of NFQ. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import Collection, NetworkOptions, NormalizeOptions
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Fraction, Positive, PositiveFloat


class EverythingOptions(Config):
    capacity: Fixed[Positive] = 1_000_000
    """transitions kept; the oldest are overwritten"""


class NFQLearner(Config):
    refits: Positive = 10
    """times that the targets are made anew, and fitted, after each collection"""
    updates: Positive = 50
    """steps of Adam towards the targets of one refit"""
    batch_size: Positive = 256
    """rows of one step of Adam; all of them where there are fewer"""
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam; a number or a schedule"""
    restart: bool = False
    """begin every refit with new random weights (Riedmiller 2005); else go on from those of the last one"""
    discount: Fraction = 0.99  # stored steps don't hold it: rows are made when they are sampled
    """gamma"""
    n_step: Fixed[Positive] = 1
    """rewards summed before bootstrapping"""
    lowest: float | None = None
    """targets below this are raised to it: nothing pays less; null: no bound"""
    highest: float | None = None
    """targets above this are lowered to it: nothing pays more; null: no bound"""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise ValueError(f"learner.lowest ({self.lowest}) is not below learner.highest ({self.highest})")
        return self


class NFQ(Rewarded):
    algorithm: Literal["nfq"] = "nfq"
    """neural fitted Q-iteration"""
    rollout: Collection = Collection(steps=500)
    """how much is collected between fits"""
    network: Fixed[NetworkOptions] = NetworkOptions()
    """action-value network"""
    epsilon: Fraction | Schedule = 0.1
    """probability of a random action; a number or a schedule"""
    learner: NFQLearner = NFQLearner()
    """the fits"""
    memory: EverythingOptions = EverythingOptions()
    """what is fitted"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""

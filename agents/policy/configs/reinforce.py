"""Config of REINFORCE. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import Collection
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from agents.parts.config import BaselineOptions, PolicyLearning
from experiment.config import Config, Fixed, Fraction, NonNegative, Positive, PositiveFloat


class WholeEpisodes(Collection):
    episodes: Positive = 1
    """episodes that each actor plays for one update; 1 is an update for every episode"""
    steps: Positive = 512
    """steps that room is made for at a time; they don't end an episode"""


class REINFORCELearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the policy; a number or a schedule over the run"""
    discount: Fraction = 0.99
    """gamma"""
    credit: Literal["whole", "to_go", "discounted"] = "to_go"
    """what an action is credited with: the return of its whole episode, or that from it on, or the latter times gamma^t
    for an action t steps after the start"""
    normalize_advantage: bool = False
    """give the advantages of each update mean 0 and deviation 1; no longer the gradient of the return, then"""
    entropy_coefficient: NonNegative = 0.0
    """weight of the entropy bonus"""
    max_gradient_norm: PositiveFloat | None = None
    """longer gradients are scaled down to this Euclidean norm; null: none are"""
    adam_epsilon: PositiveFloat = 1e-8
    """added to Adam's denominator"""


class REINFORCEBaseline(BaselineOptions):
    kind: Fixed[Literal["none", "mean", "learned"]] = "none"
    """nothing, the mean of earlier returns, or the value of the state by a network"""
    fraction: Fraction = 0.1
    """mean: it moves this fraction of the way to the mean of the latest returns at each update"""


class REINFORCE(PolicyLearning, Rewarded):
    algorithm: Literal["reinforce"] = "reinforce"
    """REINFORCE, with or without a baseline"""
    rollout: WholeEpisodes = WholeEpisodes()
    """how much is collected for one update"""
    learner: REINFORCELearner = REINFORCELearner()
    """the update of the policy"""
    baseline: REINFORCEBaseline = REINFORCEBaseline()
    """what is subtracted from returns"""

    @model_validator(mode="after")
    def _whole_episodes_don_t_wait_for_each_other(self) -> Self:
        if self.env.count != self.runtime.actors:
            raise ValueError(
                f"env.count is {self.env.count}, but runtime.actors is {self.runtime.actors}: reinforce learns from "
                f"whole episodes, and an actor plays one at a time; set env.count={self.runtime.actors}"
            )
        return self

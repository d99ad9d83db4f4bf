"""Which reward models a run learns by, and their options. Torch-free: see `agents/config.py`.

rewards:
- kind: count
  scale: 0.1

A model more is a section more in `Reward`, told by its `kind`, and a line in `agents/experience/rewards/make.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import Control
from experiment.config import Config, Fixed, NonNegative, PositiveFloat, Several


class CountOptions(Config):
    """A bonus for what was seldom seen: `agents.experience.rewards.count`."""

    kind: Literal["count"] = "count"
    """count: the world's reward and a bonus for what was seldom seen (Strehl & Littman 2008)"""
    scale: NonNegative = 0.1
    """the bonus of what is seen for the first time; for the n-th time it is this / sqrt(n)"""
    resolution: PositiveFloat = 1.0
    """observations are the same if they are so when rounded to multiples of this"""


Reward = Annotated[CountOptions, Field(discriminator="kind")]


class Rewarded(Control):
    """Learning to act in an environment by rewards that may be judged anew."""

    rewards: Fixed[Several[Reward]] = ()
    """reward models, each given what those before it made of the world's reward; none: it is learned from as it is"""

    @model_validator(mode="after")
    def _no_model_twice(self) -> Self:
        kinds = [reward.kind for reward in self.rewards]
        if twice := {kind for kind in kinds if kinds.count(kind) > 1}:
            raise ValueError(f"rewards: {', '.join(sorted(twice))} stands here twice")
        return self

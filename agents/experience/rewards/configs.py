"""Which reward models a run learns by, and their options. Torch-free: see `agents/config.py`.

rewards:
- kind: count
  scale: 0.1

A model more is a section more in `Reward`, told by its `kind`, and a line in `agents/experience/rewards/make.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import Control, Demonstrations
from experiment.config import Config, Count, Fixed, Natural, NonNegative, PositiveFloat, Several


class CountOptions(Config):
    """A bonus for what was seldom seen: `agents.experience.rewards.count`."""

    kind: Literal["count"] = "count"
    """count: the world's reward and a bonus for what was seldom seen (Strehl & Littman 2008)"""
    scale: NonNegative = 0.1
    """the bonus of what is seen for the first time; for the n-th time it is this / sqrt(n)"""
    resolution: PositiveFloat = 1.0
    """observations are the same if they are so when rounded to multiples of this"""


class AdversarialOptions(Demonstrations):
    """What tells an expert's steps from the learner's own: `agents.experience.rewards.adversarial`."""

    kind: str
    hidden: Several[Count] = (64, 64)
    """widths of the hidden layers of the discriminator"""
    updates: Natural = 20
    """steps of Adam after each collection of an actor; 0 leaves the discriminator as it was drawn"""
    batch_size: Count = 256
    """steps of either side in one of them"""
    learning_rate: PositiveFloat = 1e-3
    """step size of Adam"""
    penalty: NonNegative = 1.0
    """weight of the square by which slopes of the discriminator, between the steps of both sides, differ from 1"""
    reward: Literal["positive", "negative", "logit"] = "positive"
    """what is paid in place of the world's reward: -log(1 - D), log D, or their difference, logit D"""
    absorbing: bool = True
    """take the end of an episode for a state in which one stays; otherwise the sign of the reward speaks, too"""

    @model_validator(mode="after")
    def _a_width_at_least(self) -> Self:
        if not self.hidden:
            raise ValueError(f"rewards: {self.kind} wants a hidden layer, but hidden is []")
        return self


class GAILOptions(AdversarialOptions):
    kind: Literal["gail"] = "gail"
    """gail: what a discriminator of expert and learner says (Ho & Ermon 2016)"""


class AIRLOptions(AdversarialOptions):
    kind: Literal["airl"] = "airl"
    """airl: the same as a reward, a potential and the policy's probabilities (Fu et al. 2018)"""
    state_only: bool = False
    """let the reward depend on the state alone"""


Reward = Annotated[CountOptions | GAILOptions | AIRLOptions, Field(discriminator="kind")]


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

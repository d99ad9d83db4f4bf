"""Config of R2D2. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agents.config import Collection, NetworkOptions, NormalizeOptions
from agents.experience.memory.config import ReplayOptions, starts_in_time
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from agents.torsos import RecurrentOptions, Torso
from agents.value.configs.dqn import DQNLearner
from experiment.config import Count, Fixed, Fraction, Natural, Rows


class RecallingOptions(NetworkOptions):
    torso: Torso = RecurrentOptions()
    """what turns observations into features and remembers: a kind, or a section of a kind and its options"""


class SequenceLearner(DQNLearner):
    batch_size: Rows = 32
    """sequences of one update"""
    length: Fixed[Count] = 20
    """steps of a sequence"""
    burn_in: Fixed[Natural] = 8  # sequences begin that much before the end of others, so what is stored depends on it
    """steps at its beginning that aren't learned from: they bring what was remembered up to date"""


class R2D2(Rewarded):
    algorithm: Literal["r2d2"] = "r2d2"
    """Q-learning from sequences by networks that remember (R2D2)"""
    rollout: Collection = Collection(steps=4)
    """how much is collected between updates"""
    network: Fixed[RecallingOptions] = RecallingOptions()
    """action-value network"""
    epsilon: Fraction | Schedule = Field(default=Schedule(kind="linear", start=1.0, end=0.05, until=0.1))
    """probability of a random action; a number or a schedule"""
    learner: SequenceLearner = SequenceLearner()
    """the update"""
    memory: ReplayOptions = ReplayOptions()
    """experience replay"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""

    _starts_in_time = model_validator(mode="after")(starts_in_time)

    @model_validator(mode="after")
    def _sequences_fit(self) -> Self:
        learner, steps = self.learner, self.rollout.steps
        fresh = learner.length - learner.burn_in
        if fresh <= 0 or fresh % steps:
            raise ValueError(
                f"learner.length ({learner.length}) less learner.burn_in ({learner.burn_in}) is {fresh}: a sequence "
                f"begins every so many steps, which must be a multiple of rollout.steps ({steps})"
            )
        if self.memory.start < learner.length * self.env.count:
            raise ValueError(
                f"memory.start ({self.memory.start}) is below learner.length x env.count "
                f"({learner.length * self.env.count}): no sequence would be complete at the first update"
            )
        return self

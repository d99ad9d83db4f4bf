"""Config of PPO. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import Collection
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from agents.parts.config import ActorCriticLearning, Descent
from agents.torsos import Recalling
from experiment.config import Fraction, Positive, PositiveFloat, Rows


class PPOLearner(Descent):
    learning_rate: PositiveFloat | Schedule = 3e-4
    """step size of Adam; a number or a schedule over the run"""
    batch_size: Rows = 64
    """rows of one minibatch"""
    epochs: Positive = 10
    """passes over what was collected"""
    gae_lambda: Fraction = 0.95
    """lambda of generalized advantage estimation: 0 = one-step, 1 = Monte-Carlo"""
    clip: PositiveFloat | Schedule = 0.2
    """the probability ratio earns nothing outside [1 - clip, 1 + clip]; a number or a schedule"""
    value_clip: PositiveFloat | None = None
    """clip the change of the value prediction to this; null doesn't"""
    normalize_advantage: bool = True
    """give the advantages of each minibatch mean 0 and deviation 1"""
    target_kl: PositiveFloat | None = None
    """skip the rest of an update once the approximate KL divergence exceeds 1.5 times this; null never does"""

    @model_validator(mode="after")
    def _one_row_has_no_deviation(self) -> Self:
        if self.normalize_advantage and self.batch_size == 1:
            raise ValueError("learner.batch_size is 1, and one row has no deviation: set normalize_advantage=false")
        return self


class PPO(ActorCriticLearning, Rewarded):
    algorithm: Literal["ppo"] = "ppo"
    """proximal policy optimization"""
    rollout: Collection = Collection(steps=2048)
    """how much is collected for one update"""
    learner: PPOLearner = PPOLearner()
    """the update"""

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        collected = self.rollout.steps * self.env.count
        if self.runtime.mode == "asynchronous":
            collected //= self.runtime.actors
        if collected % self.learner.batch_size:
            raise ValueError(
                f"learner.batch_size ({self.learner.batch_size}) does not divide what one update sees: rollout.steps "
                f"({self.rollout.steps}) x environments ({collected // self.rollout.steps}) = {collected} rows"
            )
        torso = self.network.torso
        if isinstance(torso, Recalling) and self.learner.batch_size % self.rollout.steps:
            raise ValueError(
                f"learner.batch_size ({self.learner.batch_size}) is not a multiple of rollout.steps "
                f"({self.rollout.steps}): where network.torso={torso.kind} remembers, minibatches are of whole unrolls"
            )
        return self

"""Config of PPO. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import Collection, NetworkOptions, NormalizeOptions
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Fraction, NonNegative, Positive, PositiveFloat


class PPOLearner(Config):
    learning_rate: PositiveFloat | Schedule = 3e-4
    """step size of Adam; a number or a schedule over the run"""
    batch_size: Positive = 64
    """rows of one minibatch"""
    epochs: Positive = 10
    """passes over what was collected"""
    discount: Fraction = 0.99
    """gamma"""
    gae_lambda: Fraction = 0.95
    """lambda of generalized advantage estimation: 0 = one-step, 1 = Monte-Carlo"""
    clip: PositiveFloat | Schedule = 0.2
    """the probability ratio earns nothing outside [1 - clip, 1 + clip]; a number or a schedule"""
    value_clip: PositiveFloat | None = None
    """clip the change of the value prediction to this; null doesn't"""
    value_coefficient: NonNegative = 1.0
    """weight of the value loss, (target - value)^2 / 2; 1 is 0.5 where others don't halve it"""
    entropy_coefficient: NonNegative = 0.0
    """weight of the entropy bonus"""
    max_gradient_norm: PositiveFloat = 0.5
    """longer gradients are scaled down to this Euclidean norm"""
    normalize_advantage: bool = True
    """give the advantages of each minibatch mean 0 and deviation 1"""
    target_kl: PositiveFloat | None = None
    """skip the rest of an update once the approximate KL divergence exceeds 1.5 times this; null never does"""
    adam_epsilon: PositiveFloat = 1e-5
    """added to Adam's denominator"""

    @model_validator(mode="after")
    def _one_row_has_no_deviation(self) -> Self:
        if self.normalize_advantage and self.batch_size == 1:
            raise ValueError("learner.batch_size is 1, and one row has no deviation: set normalize_advantage=false")
        return self


class PPONetwork(NetworkOptions):
    shared: bool = False
    """policy and value share one torso"""
    log_std: float = 0.0
    """initial log standard deviation of continuous actions"""


class PPONormalize(NormalizeOptions):
    rewards: bool = False
    """divide rewards by the running deviation of the discounted return"""


class PPO(Rewarded):
    algorithm: Literal["ppo"] = "ppo"
    """proximal policy optimization"""
    rollout: Collection = Collection(steps=2048)
    """how much is collected for one update"""
    network: Fixed[PPONetwork] = PPONetwork()
    """policy and value networks"""
    learner: PPOLearner = PPOLearner()
    """the update"""
    normalize: Fixed[PPONormalize] = PPONormalize()
    """running normalization"""

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
        return self

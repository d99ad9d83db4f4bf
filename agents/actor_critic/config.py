"""Configs of PPO and DDPG (TD3). Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import (
    Activation,
    Collection,
    Control,
    Fraction,
    Natural,
    Network,
    NonNegative,
    Normalize,
    Positive,
    PositiveFloat,
    Replay,
)
from agents.schedules import Schedule
from experiment.config import Config, Fixed


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


class PPONetwork(Network):
    shared: bool = False
    """policy and value share one torso"""
    log_std: float = 0.0
    """initial log standard deviation of continuous actions"""


class PPONormalize(Normalize):
    rewards: bool = False
    """divide rewards by the running deviation of the discounted return"""


class PPO(Control):
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


class Noise(Config):
    kind: Fixed[Literal["gaussian", "ornstein_uhlenbeck"]] = "gaussian"  # the level that is saved is of it
    """independent noise at each step, or noise that drifts back to 0 (Lillicrap et al. 2016)"""
    sigma: NonNegative = 0.1
    """standard deviation (of each change, for ornstein_uhlenbeck), as a fraction of half the action range"""
    theta: PositiveFloat = 0.15
    """pull towards 0 of ornstein_uhlenbeck"""


class DDPGLearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the critics; a number or a schedule"""
    policy_learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the policy; a number or a schedule"""
    batch_size: Positive = 256
    """rows of one update"""
    updates_per_step: Fixed[PositiveFloat] = 1.0  # updates are counted from the beginning of the run
    """gradient updates per environment step"""
    discount: Fixed[Fraction] = 0.99  # in the rows that are stored
    """gamma"""
    n_step: Fixed[Positive] = 1
    """rewards summed before bootstrapping"""
    tau: Fraction = 0.005
    """the target networks move this fraction of the way at each policy update"""
    critics: Fixed[Literal[1, 2]] = 1
    """2 = twin critics, whose minimum is the target (TD3)"""
    policy_delay: Positive = 1
    """critic updates per policy update (TD3: 2)"""
    smoothing: NonNegative = 0.0
    """deviation of the noise on the target action (TD3: 0.2)"""
    smoothing_clip: PositiveFloat = 0.5
    """bound on that noise"""


class DDPGNetwork(Network):
    hidden: tuple[Positive, ...] = (400, 300)
    """widths of the hidden layers"""
    activation: Activation = "relu"
    """nonlinearity between layers"""


class DDPG(Control):
    algorithm: Literal["ddpg"] = "ddpg"
    """deep deterministic policy gradient; TD3 with learner.critics=2, policy_delay=2 and smoothing=0.2"""
    rollout: Collection = Collection(steps=1)
    """how much is collected between updates"""
    network: Fixed[DDPGNetwork] = DDPGNetwork()
    """policy and critic networks, of the same shape"""
    noise: Noise = Noise()
    """exploration"""
    learner: DDPGLearner = DDPGLearner()
    """the update"""
    memory: Replay = Replay()
    """experience replay"""
    normalize: Fixed[Normalize] = Normalize()
    """running normalization"""
    random_steps: Natural = 100
    """environment steps with uniformly random actions at the start"""

    @model_validator(mode="after")
    def _starts_in_time(self) -> Self:
        if self.memory.start >= self.steps:
            raise ValueError(
                f"memory.start ({self.memory.start}) is not below steps ({self.steps}): nothing would be learned"
            )
        return self

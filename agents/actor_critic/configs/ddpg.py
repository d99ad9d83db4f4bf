"""Config of DDPG (TD3). Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import Activation, Collection, NetworkOptions, NormalizeOptions
from agents.experience.memory.config import OffPolicy, ReplayOptions, starts_in_time
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from experiment.config import Config, Count, Fixed, Fraction, Natural, NonNegative, Positive, PositiveFloat, Several


class NoiseOptions(Config):
    kind: Fixed[Literal["gaussian", "ornstein_uhlenbeck"]] = "gaussian"  # the level that is saved is of it
    """independent noise at each step, or noise that drifts back to 0 (Lillicrap et al. 2016)"""
    sigma: NonNegative = 0.1
    """standard deviation (of each change, for ornstein_uhlenbeck), as a fraction of half the action range"""
    theta: PositiveFloat = 0.15
    """pull towards 0 of ornstein_uhlenbeck"""


class Rates(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the critics; a number or a schedule"""
    policy_learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the policy; a number or a schedule"""


class DDPGLearner(OffPolicy, Rates):
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


class DDPGNetwork(NetworkOptions):
    hidden: Several[Count] = (400, 300)
    """widths of the hidden layers"""
    activation: Activation = "relu"
    """nonlinearity between layers"""


class DDPG(Rewarded):
    algorithm: Literal["ddpg"] = "ddpg"
    """deep deterministic policy gradient; TD3 with learner.critics=2, policy_delay=2 and smoothing=0.2"""
    rollout: Collection = Collection(steps=1)
    """how much is collected between updates"""
    network: Fixed[DDPGNetwork] = DDPGNetwork()
    """policy and critic networks, of the same shape"""
    noise: NoiseOptions = NoiseOptions()
    """exploration"""
    learner: DDPGLearner = DDPGLearner()
    """the update"""
    memory: ReplayOptions = ReplayOptions()
    """experience replay"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""
    random_steps: Natural = 100
    """environment steps with uniformly random actions at the start"""

    _starts_in_time = model_validator(mode="after")(starts_in_time)

    @model_validator(mode="after")
    def _the_policy_acts(self) -> Self:
        if self.random_steps >= self.steps:
            raise ValueError(
                f"random_steps ({self.random_steps}) is not below steps ({self.steps}): only chance would act"
            )
        return self

"""Config of SAC. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from agents.config import Activation, Collection, NetworkOptions, NormalizeOptions
from agents.experience.memory.config import OffPolicy, ReplayOptions, starts_in_time
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from experiment.config import Fixed, Fraction, Natural, NonNegative, Positive, PositiveFloat, Several


class SACLearner(OffPolicy):
    learning_rate: PositiveFloat | Schedule = 3e-4
    """step size of Adam for the critics; a number or a schedule"""
    policy_learning_rate: PositiveFloat | Schedule = 3e-4
    """step size of Adam for the policy; a number or a schedule"""
    temperature_learning_rate: NonNegative | Schedule = 3e-4
    """step size of Adam for the logarithm of the temperature; 0 leaves it as it is"""
    temperature: Fixed[PositiveFloat] = 1.0  # what became of it is saved
    """weight of the entropy against the reward at the start"""
    target_entropy: float | None = None
    """nats that the temperature aims at; null: -1 for each dimension of an action, 0.98 log n for n legal actions"""
    tau: Fraction = 0.005
    """the target critics move this fraction of the way at each update"""


class SACNetwork(NetworkOptions):
    hidden: Several[Positive] = (256, 256)
    """widths of the hidden layers"""
    activation: Activation = "relu"
    """nonlinearity between layers"""


class SAC(Rewarded):
    algorithm: Literal["sac"] = "sac"
    """soft actor-critic"""
    rollout: Collection = Collection(steps=1)
    """how much is collected between updates"""
    network: Fixed[SACNetwork] = SACNetwork()
    """policy and critic networks, of the same shape"""
    learner: SACLearner = SACLearner()
    """the update"""
    memory: ReplayOptions = ReplayOptions()
    """experience replay"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""
    random_steps: Natural = 100
    """environment steps with uniformly random actions at the start"""

    _starts_in_time = model_validator(mode="after")(starts_in_time)

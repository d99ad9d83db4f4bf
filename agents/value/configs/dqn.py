"""Config of DQN. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import Activation, Collection, NetworkOptions, NormalizeOptions
from agents.experience.memory.config import OffPolicy, PrioritizedOptions, ReplayOptions, starts_in_time
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Fraction, Natural, PositiveFloat, Ratio, Rows


class DQNReplay(ReplayOptions):
    prioritized: PrioritizedOptions | None = None
    """prioritized replay; null samples uniformly"""


class DQNNetwork(NetworkOptions):
    activation: Activation = "relu"
    """nonlinearity between layers"""
    dueling: bool = False
    """estimate state value and advantages separately (Wang et al. 2016)"""
    quantiles: Annotated[int, Field(ge=0, le=1024)] = 0
    """learn so many quantiles of the return, whose mean is the value (Dabney et al. 2018); 0 learns the mean itself"""


class Rate(Config):
    learning_rate: PositiveFloat | Schedule = 1e-4
    """step size of Adam; a number or a schedule"""


class DQNLearner(OffPolicy, Rate):
    batch_size: Rows = 32
    """rows of one update"""
    updates_per_step: Fixed[Ratio] = 0.25
    """gradient updates per environment step"""
    double: bool = False
    """the online network chooses the action that the target network values (van Hasselt et al. 2016)"""
    target_interval: Natural = 10_000
    """environment steps between copies to the target network; 0 uses tau instead"""
    tau: Fraction | None = None
    """move the target network this fraction of the way at each update, in place of copies"""
    huber: PositiveFloat = 1.0
    """errors beyond this count linearly"""
    max_gradient_norm: PositiveFloat = 10.0
    """longer gradients are scaled down to this Euclidean norm"""
    adam_epsilon: PositiveFloat = 1e-8
    """added to Adam's denominator"""

    @model_validator(mode="after")
    def _one_way_to_move_the_target(self) -> Self:
        if (self.target_interval == 0) == (self.tau is None):
            raise ValueError(
                "learner.target_interval and learner.tau exclude each other: set tau with target_interval=0, or neither"
            )
        return self


class DQN(Rewarded):
    algorithm: Literal["dqn"] = "dqn"
    """deep Q-network"""
    rollout: Collection = Collection(steps=4)
    """how much is collected between updates"""
    network: Fixed[DQNNetwork] = DQNNetwork()
    """action-value network"""
    epsilon: Fraction | Schedule = Field(default=Schedule(kind="linear", start=1.0, end=0.05, until=0.1))
    """probability of a random action; a number or a schedule"""
    learner: DQNLearner = DQNLearner()
    """the update"""
    memory: DQNReplay = DQNReplay()
    """experience replay"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""

    _starts_in_time = model_validator(mode="after")(starts_in_time)

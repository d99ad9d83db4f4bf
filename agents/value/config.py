"""Config of DQN. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agents.config import (
    Activation,
    Collection,
    Control,
    Fraction,
    Natural,
    Network,
    Normalize,
    Positive,
    PositiveFloat,
    Replay,
)
from agents.schedules import Schedule
from experiment.config import Config, Fixed


class Prioritized(Config):
    """Prioritized experience replay (Schaul et al. 2016)."""

    alpha: Fixed[Fraction] = 0.6  # priorities are stored to the power of it
    """0 = uniform; 1 = in proportion to the temporal-difference error"""
    beta: Fraction = 0.4
    """correction of the bias by importance weights at the start; 1 = full"""
    beta_end: Fraction = 1.0
    """the same at the end of the run; linear in between"""
    epsilon: PositiveFloat = 1e-6
    """added to every priority"""


class DQNReplay(Replay):
    prioritized: Prioritized | None = None
    """prioritized replay; null samples uniformly"""


class DQNNetwork(Network):
    activation: Activation = "relu"
    """nonlinearity between layers"""
    dueling: bool = False
    """estimate state value and advantages separately (Wang et al. 2016)"""


class DQNLearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-4
    """step size of Adam; a number or a schedule"""
    batch_size: Positive = 32
    """rows of one update"""
    updates_per_step: Fixed[PositiveFloat] = 0.25  # updates are counted from the beginning of the run
    """gradient updates per environment step"""
    discount: Fixed[Fraction] = 0.99  # in the rows that are stored
    """gamma"""
    n_step: Fixed[Positive] = 1
    """rewards summed before bootstrapping"""
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


class DQN(Control):
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
    normalize: Fixed[Normalize] = Normalize()
    """running normalization"""

    @model_validator(mode="after")
    def _starts_in_time(self) -> Self:
        if self.memory.start >= self.steps:
            raise ValueError(
                f"memory.start ({self.memory.start}) is not below steps ({self.steps}): nothing would be learned"
            )
        return self

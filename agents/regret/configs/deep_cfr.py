"""Config of Deep CFR. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from agents.config import Activation, EvaluationOptions, Learning, OfGame
from agents.footprint import Footprint, layer_bytes, shown_bytes
from agents.maths.schedules import Schedule
from envs.api import GameSpec
from experiment.config import Config, Count, Fixed, Natural, Positive, PositiveFloat, Rows, Several


class DeepCFRNetwork(Config):
    hidden: Several[Count] = (64, 64)
    """widths of the hidden layers of every network"""
    activation: Activation = "relu"
    """nonlinearity between layers"""

    def footprint(self, run: Any, world: GameSpec) -> Footprint:
        return {"hidden": (world.seats + 1) * layer_bytes(world, self.hidden)}


class DeepCFRLearner(Config):
    updates: Positive = 750
    """updates of a new advantage network, at each iteration of its seat"""
    batch_size: Rows = 1024
    """rows of one update"""
    learning_rate: PositiveFloat | Schedule = Schedule(kind="linear", start=1e-2, end=0.0)
    """step size of Adam for an advantage network; a schedule goes from its first update to its last"""
    strategy_updates: Positive = 100
    """updates of the strategy network after each collection"""
    strategy_learning_rate: PositiveFloat | Schedule = Schedule(kind="linear", start=3e-3, end=0.0)
    """step size of Adam for the strategy network; a schedule goes over the run"""
    max_gradient_norm: PositiveFloat = 1.0
    """longer gradients are scaled down to this Euclidean norm"""
    adam_epsilon: PositiveFloat = 1e-8
    """added to Adam's denominator"""


class DeepCFRMemory(Config):
    capacity: Fixed[Rows] = 1_000_000
    """rows kept for each seat's advantages, and for the strategy: a uniform sample of all that ever came"""

    def footprint(self, run: Any, world: GameSpec) -> Footprint:
        return {"capacity": self.capacity * (world.seats + 1) * (shown_bytes(world) + 4 * world.actions)}


class DeepCFREvaluation(EvaluationOptions):
    memory_bytes: Natural = 4 << 30
    """a game whose tree would take more is refused; 0: no tree is made, and exploitability not measured"""


class DeepCFR(Learning, OfGame):
    algorithm: Literal["deep_cfr"] = "deep_cfr"
    """deep counterfactual regret minimization"""
    steps: Positive = 300_000
    """traversals, of all seats together: an iteration is `traversals` for each seat"""
    traversals: Rows = 1_500
    """traversals of one seat at one iteration, over all actors together"""
    average: Fixed[Literal["network", "mixture"]] = "network"
    """the average policy: a network trained on how was played, or all past advantage networks, exactly (SD-CFR)"""
    network: Fixed[DeepCFRNetwork] = DeepCFRNetwork()
    """of advantages and of the strategy"""
    learner: DeepCFRLearner = DeepCFRLearner()
    """the updates"""
    memory: DeepCFRMemory = DeepCFRMemory()
    """the reservoirs"""
    evaluation: DeepCFREvaluation = DeepCFREvaluation()
    """when to measure how far the average policy is from equilibrium"""

    @model_validator(mode="after")
    def _a_batch_fits(self) -> Self:
        if self.learner.batch_size > self.memory.capacity:
            raise ValueError(
                f"learner.batch_size ({self.learner.batch_size}) is above memory.capacity ({self.memory.capacity}): "
                "there are never so many rows"
            )
        return self

    @model_validator(mode="after")
    def _iterations_are_whole(self) -> Self:
        if self.traversals % self.runtime.actors:
            raise ValueError(
                f"traversals ({self.traversals}) is not divisible by runtime.actors ({self.runtime.actors}): "
                "each actor makes as many"
            )
        if self.runtime.mode == "asynchronous":
            raise ValueError(
                "runtime.mode is asynchronous, but an iteration of deep_cfr needs all its traversals: use synchronous"
            )
        return self

"""What the configs of algorithms that learn from a memory share. Torch-free: see `agents/config.py`.

class SACLearner(OffPolicy):
    temperature: PositiveFloat = 0.2

class SAC(Rewarded):
    learner: SACLearner = SACLearner()
    memory: ReplayOptions = ReplayOptions()

    _starts_in_time = model_validator(mode="after")(starts_in_time)
"""

from __future__ import annotations

from math import ceil
from typing import Any, Protocol, TypeVar

from agents.config import Collection, Environment
from agents.footprint import Footprint, step_bytes
from envs.api import Spec
from experiment.config import Config, Count, Fixed, Fraction, Natural, PositiveFloat, Ratio, Rows


class ReplayOptions(Config):
    capacity: Fixed[Rows] = 1_000_000
    """transitions kept; the oldest are overwritten"""
    start: Fixed[Natural] = 256  # updates are counted from the beginning of the run
    """environment steps collected before the first update"""

    def footprint(self, run: Any, world: Spec) -> Footprint:
        return {"capacity": self.capacity * step_bytes(world)}


class PrioritizedOptions(Config):
    """Prioritized experience replay (Schaul et al. 2016)."""

    alpha: Fixed[Fraction] = 0.6  # priorities are stored to the power of it
    """0 = uniform; 1 = in proportion to the temporal-difference error"""
    beta: Fraction = 0.4
    """correction of the bias by importance weights at the start; 1 = full"""
    beta_end: Fraction = 1.0
    """the same at the end of the run; linear in between"""
    epsilon: PositiveFloat = 1e-6
    """added to every priority"""


class OffPolicy(Config):
    """How transitions are learned from; the defaults are those of one environment step, one update."""

    batch_size: Rows = 256
    """rows of one update"""
    updates_per_step: Fixed[Ratio] = 1.0  # updates are counted from the beginning of the run
    """gradient updates per environment step"""
    discount: Fraction = 0.99  # stored steps don't hold it: rows are made when they are sampled
    """gamma"""
    n_step: Fixed[Count] = 1
    """rewards summed before bootstrapping"""


class Replayed(Protocol):
    @property
    def steps(self) -> int: ...
    @property
    def env(self) -> Environment: ...
    @property
    def rollout(self) -> Collection: ...
    @property
    def learner(self) -> OffPolicy: ...
    @property
    def memory(self) -> ReplayOptions: ...


R = TypeVar("R", bound=Replayed)


def starts_in_time(config: R) -> R:
    """Raises ValueError where the run would be over before its first update, or that would find too few rows."""
    memory, learner, count = config.memory, config.learner, config.env.count
    collected = config.rollout.steps * count
    at_once = f"rollout.steps ({config.rollout.steps}) x env.count ({count}) = {collected}"
    if memory.start >= config.steps:
        raise ValueError(f"memory.start ({memory.start}) is not below steps ({config.steps}): nothing would be learned")
    if collected > memory.capacity:
        raise ValueError(f"memory.capacity ({memory.capacity}) is below what is collected at once: {at_once}")
    holds_a_start(memory.start, memory.capacity, learner.batch_size)
    rounds = ceil((memory.start + 1 / learner.updates_per_step) / collected)  # that are over at the first update
    if rounds * config.rollout.steps < learner.n_step:
        raise ValueError(
            f"no row of n_step ({learner.n_step}) is complete at the first update: set memory.start to "
            f"{learner.n_step * count} or more"
        )
    return config


def holds_a_start(start: int, capacity: int, batch_size: int) -> None:
    """Raises ValueError where a memory can't hold what is to be there at the first update, or where that is no batch.
    A start of 0 asks for updates from the first rows on, however few they are."""
    if start > capacity:
        raise ValueError(f"memory.start ({start}) is above memory.capacity ({capacity}): so much is never kept")
    if batch_size > (start or capacity):
        least = f"memory.start ({start})" if start else f"memory.capacity ({capacity})"
        raise ValueError(
            f"learner.batch_size ({batch_size}) is above {least}: the first update would find less than a batch"
        )

"""What the configs of algorithms that learn from a memory share. Torch-free: see `agents/config.py`.

class SACLearner(OffPolicy):
    temperature: PositiveFloat = 0.2

class SAC(Rewarded):
    learner: SACLearner = SACLearner()
    memory: ReplayOptions = ReplayOptions()

    _starts_in_time = model_validator(mode="after")(starts_in_time)
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from experiment.config import Config, Fixed, Fraction, Natural, Positive, PositiveFloat


class ReplayOptions(Config):
    capacity: Fixed[Positive] = 1_000_000
    """transitions kept; the oldest are overwritten"""
    start: Fixed[Natural] = 100  # updates are counted from the beginning of the run
    """environment steps collected before the first update"""


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

    batch_size: Positive = 256
    """rows of one update"""
    updates_per_step: Fixed[PositiveFloat] = 1.0  # updates are counted from the beginning of the run
    """gradient updates per environment step"""
    discount: Fraction = 0.99  # stored steps don't hold it: rows are made when they are sampled
    """gamma"""
    n_step: Fixed[Positive] = 1
    """rewards summed before bootstrapping"""


class Replayed(Protocol):
    @property
    def steps(self) -> int: ...
    @property
    def memory(self) -> ReplayOptions: ...


R = TypeVar("R", bound=Replayed)


def starts_in_time(config: R) -> R:
    """Raises ValueError where the run would be over before its first update."""
    if config.memory.start >= config.steps:
        raise ValueError(
            f"memory.start ({config.memory.start}) is not below steps ({config.steps}): nothing would be learned"
        )
    return config

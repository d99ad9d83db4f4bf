"""The replay memory that a config asks for."""

from __future__ import annotations

from typing import Protocol

from agents.config import Environment, Replay
from agents.memory.frames import Frames
from agents.memory.prioritized import Prioritized
from agents.memory.ratio import PerStep
from agents.memory.replay import Replay as Memory
from agents.memory.replay import Rows
from agents.memory.steps import Steps
from agents.memory.uniform import Uniform
from agents.value import config as value
from envs.api import Spec
from experiment.seeding import Seeds


class Learner(Protocol):
    """What replay needs to know of any off-policy learner's config."""

    @property
    def batch_size(self) -> int: ...
    @property
    def discount(self) -> float: ...
    @property
    def n_step(self) -> int: ...
    @property
    def updates_per_step(self) -> float: ...


def replay(
    env: Environment,
    memory: Replay,
    learner: Learner,
    spec: Spec,
    seeds: Seeds,
    steps: int,
    prioritized: value.Prioritized | None = None,
) -> tuple[Memory, PerStep]:
    """Replay memory and update ratio for a run of `steps`. Stacked pictures are kept frame by frame."""
    table: Rows
    if spec.frames > 1:
        table = Frames(memory.capacity, env.count, spec.frames, learner.discount, learner.n_step)
    else:
        table = Steps(memory.capacity, env.count, learner.discount, learner.n_step)
    select = (
        Uniform()
        if prioritized is None
        else Prioritized(
            memory.capacity, prioritized.alpha, prioritized.beta, prioritized.beta_end, steps, prioritized.epsilon
        )
    )
    rng = seeds.generator("memory")
    return Memory(table, select, learner.batch_size, rng), PerStep(learner.updates_per_step, memory.start)

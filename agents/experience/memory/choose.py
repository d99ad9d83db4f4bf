"""The replay memory that a config asks for."""

from __future__ import annotations

from agents.config import Environment
from agents.experience.memory.config import OffPolicy, PrioritizedOptions, ReplayOptions
from agents.experience.memory.frames import Frames
from agents.experience.memory.prioritized import Prioritized
from agents.experience.memory.ratio import PerStep
from agents.experience.memory.replay import Replay, RowStore
from agents.experience.memory.steps import Steps
from agents.experience.memory.uniform import Uniform
from agents.experience.rewards.rewards import Rewards
from envs.api import Spec
from experiment.seeding import Seeds


def replay(
    env: Environment,
    memory: ReplayOptions,
    learner: OffPolicy,
    spec: Spec,
    seeds: Seeds,
    steps: int,
    rewards: Rewards | None = None,
    prioritized: PrioritizedOptions | None = None,
) -> tuple[Replay, PerStep]:
    """Replay memory and update ratio for a run of `steps`."""
    table = row_store(env, memory.capacity, learner.discount, learner.n_step, spec, rewards)
    select = (
        Uniform()
        if prioritized is None
        else Prioritized(
            memory.capacity, prioritized.alpha, prioritized.beta, prioritized.beta_end, steps, prioritized.epsilon
        )
    )
    rng = seeds.generator("memory")
    return Replay(table, select, learner.batch_size, rng), PerStep(learner.updates_per_step, memory.start)


def row_store(
    env: Environment, capacity: int, discount: float, n_step: int, spec: Spec, rewards: Rewards | None = None
) -> RowStore:
    """What holds the rows of this world. Stacked pictures are kept frame by frame."""
    if spec.frames > 1:
        return Frames(capacity, env.count, spec.frames, discount, n_step, rewards)
    return Steps(capacity, env.count, discount, n_step, rewards)

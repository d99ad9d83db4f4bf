from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from agents.api import State
from agents.experience.memory.frames import Frames
from agents.experience.memory.prioritized import Prioritized
from agents.experience.memory.replay import Replay, Selection
from agents.experience.memory.table import Table
from agents.experience.memory.uniform import Uniform
from agents.records import Sample
from tests.agents.experience.memory.rows import assert_equal, experience, rows_of
from tests.agents.experience.memory.test_frames import Stream


def uniform(_: int) -> Uniform:
    return Uniform()


@pytest.mark.parametrize("selection", [uniform, lambda capacity: Prioritized(capacity, beta_rows=100)])
def test_replay_resumes_exactly(selection: Callable[[int], Any]) -> None:
    def make(seed: int) -> Replay:
        return Replay(Table(50), selection(50), 8, np.random.default_rng(seed))

    def go_on(memory: Replay, start: int) -> list[Sample]:
        samples = []
        for number in range(start, start + 60, 6):
            memory.add(experience(rows_of(np.arange(number, number + 6))))
            samples.append(memory.sample())
            memory.update(samples[-1], torch.as_tensor(samples[-1].rows.reward).cos())
        return samples

    memory, other = make(0), make(1)
    go_on(memory, 0)
    state: State = copy.deepcopy(memory.state_dict())
    other.load_state_dict(state)
    for a, b in zip(go_on(memory, 60), go_on(other, 60), strict=True):
        assert_equal(a.rows, b.rows)
        assert_equal(a._replace(rows=None), b._replace(rows=None))


def test_replay_of_frames_never_hands_out_incomplete_rows() -> None:
    """Prioritized or not: all that is sampled is ready, while rows are overwritten and actors lag behind."""
    selections: list[Selection] = [Uniform(), Prioritized(48)]
    for select in selections:
        rng = np.random.default_rng(0)
        streams = [Stream(rng, 2, 4, 1.0) for _ in range(2)]
        table = Frames(48, columns=4, stack=4, gamma=0.9, n_step=3)
        memory = Replay(table, select, 16, rng)
        with pytest.raises(ValueError, match="nothing to sample yet"):
            memory.sample()
        seen: set[int] = set()
        for round_ in range(40):
            actor = int(round_ % 3 == 2)
            memory.add(experience(streams[actor].unroll(4), actor))
            sample = memory.sample()
            assert sample.index is not None
            assert table.ready(sample.index).all()
            seen |= set(sample.index.tolist())
            memory.update(sample, torch.rand(16, generator=torch.Generator().manual_seed(round_)))
        assert len(seen) > 40

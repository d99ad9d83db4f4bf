"""What was just collected, by several actors, is one unroll."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from agents.experience.memory.latest import Latest
from agents.records import Unroll, in_turn, side_by_side
from tests.agents.experience.memory.rows import assert_equal, experience


def random_unroll(rng: np.random.Generator, length: int, count: int) -> Unroll:
    truncated = rng.random((length, count)) < 0.3
    terminated = ~truncated & (rng.random((length, count)) < 0.3)
    final_at = np.flatnonzero(terminated | truncated)
    return Unroll(
        obs=rng.normal(size=(length + 1, count, 3)).astype(np.float32),
        mask=rng.random((length + 1, count, 4)) < 0.5,
        action=rng.integers(0, 4, (length, count)),
        first=rng.random((length + 1, count)) < 0.3,
        reward=rng.normal(size=(length, count)).astype(np.float32),
        terminated=terminated,
        truncated=truncated,
        final_obs=rng.normal(size=(len(final_at), 3)).astype(np.float32),
        final_at=final_at,
        final_mask=rng.random((len(final_at), 4)) < 0.5,
        turn=np.where(rng.random((length, count)) < 0.5, -1, 1).astype(np.float32),
        extras={"log_prob": rng.normal(size=(length, count)).astype(np.float32)},
        carry={"state": rng.normal(size=(count, 2)).astype(np.float32)},
    )


def columns(unroll: Unroll, start: int, stop: int) -> Unroll:
    count, width = unroll.reward.shape[1], stop - start
    kept = (unroll.final_at % count >= start) & (unroll.final_at % count < stop)
    at = unroll.final_at[kept]
    assert unroll.mask is not None and unroll.final_mask is not None and unroll.turn is not None
    return Unroll(
        obs=unroll.obs[:, start:stop],
        mask=unroll.mask[:, start:stop],
        first=unroll.first[:, start:stop],
        action=unroll.action[:, start:stop],
        reward=unroll.reward[:, start:stop],
        terminated=unroll.terminated[:, start:stop],
        truncated=unroll.truncated[:, start:stop],
        final_obs=unroll.final_obs[kept],
        final_at=at // count * width + at % count - start,
        final_mask=unroll.final_mask[kept],
        turn=unroll.turn[:, start:stop],
        extras={"log_prob": unroll.extras["log_prob"][:, start:stop]},
        carry={"state": unroll.carry["state"][start:stop]},
    )


def test_latest_joins_actors_as_if_they_were_one() -> None:
    whole = random_unroll(np.random.default_rng(0), 9, 6)
    assert len(whole.final_at) > 5
    memory = Latest()
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        memory.add(experience(columns(whole, start, stop)))
    sample = memory.sample()
    assert_equal(sample.rows, whole)
    assert sample.index is None
    with pytest.raises(ValueError, match="nothing was collected"):
        memory.sample()


def test_latest_is_saved_with_what_it_holds() -> None:
    rng, memory, other = np.random.default_rng(1), Latest(), Latest()
    memory.add(experience(random_unroll(rng, 3, 2)))
    other.load_state_dict(copy.deepcopy(memory.state_dict()))
    more = random_unroll(rng, 3, 1)
    memory.add(experience(more))
    other.add(experience(more))
    assert_equal(memory.sample().rows, other.sample().rows)
    with pytest.raises(ValueError, match=r"\[3, 4\] steps"):
        side_by_side([random_unroll(rng, 3, 1), random_unroll(rng, 4, 1)])


def test_unrolls_of_different_lengths_can_be_joined_in_turn() -> None:
    rng = np.random.default_rng(0)
    memory, parts = Latest(join=in_turn), [random_unroll(rng, length, 1) for length in (2, 5)]
    for part in parts:
        memory.add(experience(part))
    assert_equal(memory.sample().rows, in_turn(parts))
    for part in parts:
        memory.add(experience(part))
    memory.join = side_by_side
    with pytest.raises(ValueError, match="different lengths"):
        memory.sample()

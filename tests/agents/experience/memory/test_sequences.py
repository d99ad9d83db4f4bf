"""Sequences against the unrolls that they come from."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from agents.experience.memory.sequences import Sequences
from agents.records import Unroll, concatenate, drop
from tests.agents.experience.memory.test_steps import experience, history, part


def remembered(unroll: Unroll, length: int) -> list[Unroll]:
    """The history in pieces of so many steps, each with a carry and extras that tell where they are from."""
    pieces = []
    for start in range(0, len(unroll.reward), length):
        piece = part(unroll, start, start + length)
        said = {"log_prob": -piece.obs[:-1, :, 0], "values": np.stack([piece.obs[:-1, :, 0]] * 2, 2)}
        pieces.append(piece._replace(carry={"state": piece.obs[0] / 2}, extras=said))
    return pieces


def window(pieces: list[Unroll], start: int, length: int, column: int) -> Unroll:
    """Steps start .. start + length - 1 of one column, and the carry at their beginning."""
    size = len(pieces[0].reward)
    whole = pieces[start // size]
    for piece in pieces[start // size + 1 : -(-(start + length) // size)]:
        whole = concatenate(whole, piece)
    count, steps = whole.reward.shape[1], len(whole.reward)
    assert start % size == 0 and steps >= length
    kept = (whole.final_at % count == column) & (whole.final_at // count < length)
    assert whole.mask is not None and whole.final_mask is not None
    one = slice(column, column + 1)
    return Unroll(
        obs=whole.obs[: length + 1, one],
        mask=whole.mask[: length + 1, one],
        first=whole.first[: length + 1, one],
        action=whole.action[:length, one],
        reward=whole.reward[:length, one],
        terminated=whole.terminated[:length, one],
        truncated=whole.truncated[:length, one],
        final_obs=whole.final_obs[kept],
        final_at=whole.final_at[kept] // count,
        final_mask=whole.final_mask[kept],
        extras={name: value[:length, one] for name, value in whole.extras.items()},
        carry={name: value[one] for name, value in whole.carry.items()},
    )


def assert_same(found: Unroll, expected: Unroll) -> None:
    fields: Any = zip(Unroll._fields, found, expected, strict=True)
    for name, a, b in fields:
        if isinstance(a, dict):
            assert a.keys() == b.keys(), name
            assert all(np.array_equal(a[key], b[key]) for key in a), name
        else:
            assert (a is None) == (b is None) and (a is None or np.array_equal(a, b)), name


@pytest.mark.parametrize(("length", "overlap", "size"), [(4, 0, 4), (4, 0, 2), (6, 3, 3), (8, 4, 2), (5, 4, 1)])
def test_what_is_ready_is_what_was_lived(length: int, overlap: int, size: int) -> None:
    """Two actors of two rows, over the end of the ring many times; one is late."""
    stride, capacity = length - overlap, 4 * 21
    histories = [remembered(history(120, 2, seed), size) for seed in (1, 2)]
    memory = Sequences(capacity, 4, length, overlap)
    ready: set[int] = set()
    for number in range(120 // size):
        for actor, pieces in enumerate(histories):
            if actor == 1 and number < 3:
                continue
            change = memory.add(experience(pieces[number - 3 * actor], actor))
            ready -= set(change.stale.tolist())
            ready |= set(change.fresh.tolist())
            index = np.arange(memory.size)
            assert ready == set(index[memory.ready(index)].tolist())
            expected = {}
            for column in range(4):
                made = int(memory.time[column])
                for start in range(0, made - length + 1, stride):
                    if start >= made - 21:
                        expected[start // stride % memory.begun * 4 + column] = (start, column)
            assert ready == set(expected)
            for row, (start, column) in expected.items():
                found = memory.gather(np.array([row]))
                assert_same(found, window(histories[column // 2], start, length, column % 2))


def test_several_rows_stand_side_by_side() -> None:
    pieces = remembered(history(60, 3, 1), 5)
    memory = Sequences(600, 3, 10, 5)
    for piece in pieces:
        memory.add(experience(piece))
    index = np.arange(memory.size)
    index = index[memory.ready(index)][::-1].copy()
    together = memory.gather(index)
    for place, row in enumerate(index):
        alone = memory.gather(np.array([row]))
        np.testing.assert_array_equal(together.obs[:, place], alone.obs[:, 0])
        np.testing.assert_array_equal(together.carry["state"][place], alone.carry["state"][0])
        mine = together.final_at % len(index) == place
        np.testing.assert_array_equal(together.final_at[mine] // len(index), alone.final_at)
        np.testing.assert_array_equal(together.final_obs[mine], alone.final_obs)
    assert (np.diff(together.final_at) > 0).all()


def test_a_carry_of_another_time_is_noticed() -> None:
    """The broken variant: what was remembered at the collection's end in place of its beginning."""
    pieces = remembered(history(20, 1, 1), 5)
    memory = Sequences(100, 1, 5)
    for piece in pieces:
        memory.add(experience(piece._replace(carry={"state": piece.obs[-1] / 2})))
    with pytest.raises(AssertionError, match="carry"):
        assert_same(memory.gather(np.array([1])), window(pieces, 5, 5, 0))


def test_a_replaced_actor_begins_anew() -> None:
    first, second = (remembered(history(4, 2, seed), 4)[0] for seed in (1, 2))
    open_ = ~(first.terminated[-1] | first.truncated[-1])
    assert open_.any(), "there is an episode to cut off"
    second.first[0] = True
    memory = Sequences(40, 2, 8)
    memory.add(experience(first))
    memory.add(experience(second))
    found = memory.gather(np.arange(2))
    assert found.truncated[3].tolist() == (first.truncated[-1] | open_).tolist()
    at = {int(at): shown for at, shown in zip(found.final_at, found.final_obs, strict=True)}
    for row in np.flatnonzero(open_).tolist():
        assert at[3 * 2 + row] == first.obs[-1, row]


@pytest.mark.parametrize("saved_after", [0, 3, 11])
def test_a_memory_goes_on_from_its_state(saved_after: int) -> None:
    pieces = remembered(history(90, 2, 3), 5)
    through, resumed = (Sequences(80, 2, 10, 5) for _ in range(2))
    for piece in pieces[:saved_after]:
        through.add(experience(piece))
    resumed.load_state_dict(copy.deepcopy(through.state_dict()))
    for piece in pieces[saved_after:]:
        changes = [memory.add(experience(piece)) for memory in (through, resumed)]
        np.testing.assert_array_equal(changes[0].fresh, changes[1].fresh)
        index = np.arange(through.size)
        index = index[through.ready(index)]
        assert resumed.ready(index).all()
        if len(index):
            assert_same(resumed.gather(index), through.gather(index))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Sequences(100, 4, 30), "is too small for sequences of 30 steps in 4 columns: set it to 120 or more"),
        (lambda: Sequences(100, 1, 10, 10), "sequences of 10 steps can't overlap by 10"),
        (lambda: Sequences(100, 2, 8).add(experience(history(3, 2, 0))), "must be where collections begin"),
        (lambda: Sequences(100, 2, 8).add(experience(history(4, 2, 0), actor=1)), "don't fit"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


def test_what_was_dropped_has_no_carry() -> None:
    unroll = remembered(history(6, 2, 0), 6)[0]
    assert drop(unroll, 0).carry.keys() == {"state"}
    assert drop(unroll, 2).carry == {}

"""Unrolls are joined, cut and saved as what they tell says: what was shown, done and brought, by step and row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.records import (
    AXES,
    EDGES,
    ENDS,
    ROWS,
    Unroll,
    concatenate,
    drop,
    from_state,
    head,
    in_turn,
    lived,
    side_by_side,
    state_of,
)
from envs.api import Array

Told = dict[tuple[str, int, int], Any]  # by field, step and row


def unroll(seed: int, steps: int, rows: int, kind: int = 0) -> Unroll:
    """Random numbers everywhere; the bits of `kind` say whether there are masks, turns, extras and a carry."""
    rng = np.random.default_rng(seed)
    ends = rng.random((steps, rows))
    masked, turned, said, remembered = (bool(kind >> bit & 1) for bit in range(4))
    final_at = np.flatnonzero(ends < 0.5)
    return Unroll(
        obs=rng.normal(size=(steps + 1, rows, 2)).astype(np.float32),
        mask=rng.random((steps + 1, rows, 3)) < 0.5 if masked else None,
        first=rng.random((steps + 1, rows)) < 0.5,
        action=rng.integers(0, 100, (steps, rows)),
        reward=rng.normal(size=(steps, rows)).astype(np.float32),
        terminated=ends < 0.25,
        truncated=(ends >= 0.25) & (ends < 0.5),
        final_obs=rng.normal(size=(len(final_at), 2)).astype(np.float32),
        final_at=final_at,
        final_mask=rng.random((len(final_at), 3)) < 0.5 if masked else None,
        turn=rng.choice([-1, 1], (steps, rows)).astype(np.float32) if turned else None,
        extras={"log_prob": rng.normal(size=(steps, rows))} if said else {},
        carry={"state": rng.normal(size=(rows, 4))} if remembered else {},
    )


def told(unroll: Unroll) -> Told:
    """What an unroll tells, one array after the other. A carry belongs to the beginning."""
    found: Told = {}
    width = unroll.reward.shape[1]
    for name, field in unroll._asdict().items():
        for key, array in (field if isinstance(field, dict) else {"": field}).items():
            if array is None or name == "final_at":
                continue
            ends = [divmod(at, width) for at in unroll.final_at.tolist()]
            places = {ENDS: ends, ROWS: [(0, b) for b in range(width)]}.get(
                AXES[name], list(np.ndindex(array.shape[:2]))
            )
            flat = array if AXES[name] in (ENDS, ROWS) else array.reshape(-1, *array.shape[2:])
            found |= {(name + key, *place): value.tolist() for place, value in zip(places, flat, strict=True)}
    return found


def moved(facts: Told, steps: int, rows: int) -> Told:
    return {(name, t + steps, b + rows): value for (name, t, b), value in facts.items()}


def without(facts: Told, *names: str) -> Told:
    return {place: value for place, value in facts.items() if not place[0].startswith(names)}


def assert_tells(found: Unroll, expected: Told) -> None:
    assert told(found) == expected
    assert (np.diff(found.final_at) > 0).all()


quickly = settings(max_examples=60, deadline=None)
seeds, sizes, kinds = st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 15)


@quickly
@given(seeds, st.tuples(sizes, sizes), sizes, kinds)
def test_one_after_the_other(seed: int, steps: tuple[int, int], rows: int, kind: int) -> None:
    """Where they meet, what the second shows counts: it may have begun anew."""
    earlier, later = (unroll(seed + i, count, rows, kind) for i, count in enumerate(steps))
    joined = concatenate(earlier, later)
    assert_tells(joined, told(earlier) | without(moved(told(later), steps[0], 0), "carry"))
    assert_tells(drop(joined, steps[0]), without(told(later), "carry"))


@quickly
@given(seeds, sizes, sizes, kinds, st.data())
def test_the_first_steps_are_dropped(seed: int, steps: int, rows: int, kind: int, data: Any) -> None:
    whole, dropped = unroll(seed, steps, rows, kind), data.draw(st.integers(0, steps))
    facts = told(whole) if dropped == 0 else without(told(whole), "carry")
    late = {place: value for place, value in facts.items() if place[1] >= dropped}
    assert_tells(drop(whole, dropped), moved(late, -dropped, 0))


@quickly
@given(seeds, sizes, sizes, kinds, st.data())
def test_the_first_steps_alone(seed: int, steps: int, rows: int, kind: int, data: Any) -> None:
    whole, kept = unroll(seed, steps, rows, kind), data.draw(st.integers(1, steps))
    closing = [name for name, axes in AXES.items() if axes == EDGES]
    early = {place: v for place, v in told(whole).items() if place[1] < kept + (place[0] in closing)}
    assert_tells(head(whole, kept), early)


def test_several_in_turn() -> None:
    one, two, three = parts = [unroll(seed, seed + 1, 1) for seed in range(3)]
    assert told(in_turn(parts)) == told(concatenate(concatenate(one, two), three))
    assert in_turn([one]) is one


@quickly
@given(seeds, sizes, st.lists(sizes, min_size=1, max_size=4), kinds)
def test_rows_side_by_side(seed: int, steps: int, rows: list[int], kind: int) -> None:
    parts = [unroll(seed + i, steps, count, kind) for i, count in enumerate(rows)]
    expected: Told = {}
    for part, offset in zip(parts, np.cumsum([0, *rows]).tolist()):
        expected |= moved(told(part), 0, offset)
    assert_tells(side_by_side(parts), expected)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_what_is_told_depends_on_the_order(order: slice) -> None:
    """The comparison can fail: rows that changed places, and ends that weren't renumbered."""
    parts = [unroll(0, 3, 2), unroll(1, 3, 1)]
    joined = side_by_side(parts)
    assert (told(side_by_side(parts[order])) == told(joined)) is (order.step is None)
    stale = np.concatenate([part.final_at for part in parts])
    with pytest.raises(AssertionError):
        assert_tells(joined._replace(final_at=stale), told(joined))


@quickly
@given(seeds, sizes, sizes, kinds)
def test_a_state_brings_it_back(seed: int, steps: int, rows: int, kind: int) -> None:
    before = unroll(seed, steps, rows, kind)
    state = state_of(before)
    assert all(field is not None for field in state.values())
    after, facts = from_state(state), told(before)
    before.reward[:] = np.nan  # the state is a copy
    assert told(after) == facts
    for field, back in zip(before, after, strict=True):
        assert getattr(field, "dtype", type(field)) == getattr(back, "dtype", type(back))


@quickly
@given(seeds, sizes, sizes, kinds)
def test_each_step_by_itself(seed: int, steps: int, rows: int, kind: int) -> None:
    """Behind a step stands what it led to, which at an end isn't what is shown next."""
    whole = unroll(seed, steps, rows, kind)
    facts, alone = told(whole), lived(whole)
    for at, (t, b) in enumerate(np.ndindex(steps, rows)):
        following = facts.get(("final_obs", t, b), facts["obs", t + 1, b])
        fields: list[Array] = [alone.obs[at], alone.action[at], alone.reward[at], alone.terminated[at]]
        assert [field.tolist() for field in fields] == [
            facts[name, t, b] for name in ("obs", "action", "reward", "terminated")
        ]
        assert alone.next_obs[at].tolist() == following

"""n-step transitions from consecutive unrolls of several rows and actors, against a plain walk along each row."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.experience.memory.steps import Steps
from agents.footprint import NotEnoughMemory
from agents.records import Episodes, Experience, Transition, Unroll
from envs.api import Array
from tests.agents.experience.memory.test_frames import Stream, transition

GAMMA = 0.9


def history(steps: int, count: int, seed: int, masked: bool = True) -> Unroll:
    """Every observation is a number of its own, so that a wrong successor can't look right."""
    rng = np.random.default_rng(seed)
    ends = rng.random((steps, count))
    terminated, truncated = (ends >= 0.15) & (ends < 0.3), ends < 0.15
    final_at = np.flatnonzero(terminated | truncated)
    first = np.ones((steps + 1, count), bool)
    first[1:] = terminated | truncated
    obs = np.arange((steps + 1) * count, dtype=np.float32).reshape(steps + 1, count, 1)
    return Unroll(
        obs=1000 * seed + obs,
        mask=rng.random((steps + 1, count, 3)) < 0.5 if masked else None,
        first=first,
        action=rng.integers(0, 3, (steps, count)),
        reward=rng.standard_normal((steps, count)).astype(np.float32),
        terminated=terminated,
        truncated=truncated,
        final_obs=-1 - 1000 * seed - final_at[:, None].astype(np.float32),
        final_at=final_at,
        final_mask=rng.random((len(final_at), 3)) < 0.5 if masked else None,
    )


def part(unroll: Unroll, start: int, stop: int) -> Unroll:
    """Steps start .. stop - 1."""
    count = unroll.reward.shape[1]
    inside = (unroll.final_at >= start * count) & (unroll.final_at < stop * count)
    return Unroll(
        obs=unroll.obs[start : stop + 1],
        mask=None if unroll.mask is None else unroll.mask[start : stop + 1],
        first=unroll.first[start : stop + 1],
        action=unroll.action[start:stop],
        reward=unroll.reward[start:stop],
        terminated=unroll.terminated[start:stop],
        truncated=unroll.truncated[start:stop],
        final_obs=unroll.final_obs[inside],
        final_at=unroll.final_at[inside] - start * count,
        final_mask=None if unroll.final_mask is None else unroll.final_mask[inside],
    )


def experience(unroll: Unroll, actor: int = 0) -> Experience:
    return Experience(unroll, unroll.reward.size, Episodes([], []), 0, actor)


def walked(unroll: Unroll, n: int, t: int, b: int) -> tuple[float, float, Array, Array]:
    """Reward, discount, next observation and next mask of the transition that starts at (t, b), by definition."""
    assert unroll.mask is not None
    reward, discount = 0.0, 1.0
    for i in range(t, t + n):
        reward += discount * float(unroll.reward[i, b])
        discount *= GAMMA
        if unroll.terminated[i, b] or unroll.truncated[i, b]:
            k = list(unroll.final_at).index(i * unroll.reward.shape[1] + b)
            assert unroll.final_mask is not None
            over = bool(unroll.terminated[i, b])
            legal = unroll.mask[i + 1, b] if over else unroll.final_mask[k]
            return reward, 0.0 if over else discount, unroll.final_obs[k], legal
    return reward, discount, unroll.obs[t + n, b], unroll.mask[t + n, b]


def assert_right(found: Transition, rows: list[tuple[Unroll, int, int]], n: int) -> None:
    """`found` are the transitions that start at these steps (t, b) of these unrolls."""
    expected = [walked(unroll, n, t, b) for unroll, t, b in rows]
    np.testing.assert_array_equal(found.obs, [unroll.obs[t, b] for unroll, t, b in rows])
    np.testing.assert_array_equal(found.action, [unroll.action[t, b] for unroll, t, b in rows])
    np.testing.assert_allclose(found.reward, [e[0] for e in expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.discount, [e[1] for e in expected], rtol=1e-6)
    np.testing.assert_array_equal(found.next_obs, np.array([e[2] for e in expected]))
    alive = found.discount > 0  # nothing is legal behind the end
    assert found.next_mask is not None and found.mask is not None
    np.testing.assert_array_equal(found.mask, [unroll.mask[t, b] for unroll, t, b in rows if unroll.mask is not None])
    np.testing.assert_array_equal(found.next_mask[alive], np.array([e[3] for e in expected])[alive])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_each_step_starts_one_transition(count: int, n: int, length: int) -> None:
    """However long the unrolls are that they come from; the last n - 1 steps are still to come."""
    steps = 42
    unroll = history(steps, count, seed=n)
    memory = Steps(1000, count, GAMMA, n)
    for start in range(0, steps, length):
        memory.add(experience(part(unroll, start, start + length)))
    rows = [(unroll, t, b) for t in range(steps - n + 1) for b in range(count)]
    assert memory.size == len(rows)
    assert_right(memory.gather(np.arange(len(rows))), rows, n)


@pytest.mark.parametrize("n", [1, 3])
def test_the_newest_rows_are_kept_in_the_order_in_which_they_became_complete(n: int) -> None:
    """Two actors of two rows, over the end of the ring many times."""
    capacity, length = 50, 5
    histories = [history(200, 2, seed) for seed in (1, 2)]
    memory, complete = Steps(capacity, 4, GAMMA, n), list[tuple[Unroll, int, int]]()
    for start in range(0, 200, length):
        for actor, unroll in enumerate(histories):
            change = memory.add(experience(part(unroll, start, start + length), actor))
            new = range(max(0, start - (n - 1)), start + length - (n - 1))
            before = len(complete)
            complete += [(unroll, t, b) for t in new for b in range(2)]
            assert change.fresh.tolist() == [number % capacity for number in range(before, len(complete))]
            assert memory.size == min(len(complete), capacity)
            index = np.arange(memory.size)
            assert memory.ready(index).all()
            number = len(complete) - 1 - (len(complete) - 1 - index) % capacity
            assert_right(memory.gather(index), [complete[i] for i in number], n)


def test_steps_that_waited_too_long_are_not_sampled() -> None:
    """One actor brings a whole memory and more while the other is silent."""
    slow, fast = history(20, 1, 1), history(400, 1, 2)
    memory = Steps(30, 2, GAMMA, 3)
    memory.add(experience(part(slow, 0, 10), 0))
    for start in range(0, 60, 10):
        memory.add(experience(part(fast, start, start + 10), 1))
    rows = memory.add(experience(part(slow, 10, 20), 0)).fresh
    assert len(rows) == 8, "the two that waited are gone"
    assert_right(memory.gather(rows), [(slow, t, 0) for t in range(10, 18)], 3)
    for start in range(60, 110, 10):
        memory.add(experience(part(fast, start, start + 10), 1))
    index = np.arange(memory.size)
    index = index[memory.ready(index)]
    kept = memory.gather(index)
    began = kept.obs[:, 0].astype(int).tolist()
    assert_right(kept, [(slow if number < 2000 else fast, number % 1000, 0) for number in began], 3)


class Everything:
    """All that three actors ever made, step by step in the order in which it came."""

    def __init__(self, count: int, n: int, seed: int) -> None:
        self.streams = [Stream(np.random.default_rng(seed + actor), count, 1, 1.0) for actor in range(3)]
        self.count, self.n = count, n
        self.steps: list[tuple[int, int, int]] = []  # actor, t, row of its environments

    def more(self, actor: int, length: int, replaced: bool) -> tuple[Unroll, list[int]]:
        """What the actor, or who replaced it, makes next, and the steps that have n steps from them on by that."""
        stream = self.streams[actor]
        before = len(stream.past[0])
        if replaced and before:
            stream.restart()
        opens = [not past or past[-1]["terminated"] or past[-1]["truncated"] for past in stream.past]
        unroll = stream.unroll(length)
        unroll.first[0] = opens
        after, rows = before + length, range(self.count)
        self.steps += [(actor, t, b) for t in range(before, after) for b in rows]
        complete = range(max(before - self.n + 1, 0), after - self.n + 1)
        return unroll, [self.steps.index((actor, t, b)) for t in complete for b in rows]

    def assert_right(self, found: Transition, numbers: Iterable[int]) -> None:
        for number, obs, action, reward, discount, next_obs in zip(numbers, *found[:5], strict=True):
            actor, t, b = self.steps[number]
            expected = transition(self.streams[actor].past[b], t, self.n, GAMMA)
            assert expected is not None
            assert (obs == expected["obs"]).all() and (next_obs == expected["next_obs"]).all()
            assert action == expected["action"]
            assert (reward, discount) == pytest.approx((expected["reward"], expected["discount"]), rel=1e-5, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(3, 20)),
    adds=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans()), min_size=1, max_size=50),
    seed=st.integers(0, 10**6),
)
@example(sizes=(2, 1, 3), adds=[(0, 1, False), (1, 1, False), (0, 1, True)], seed=0)  # who is cut off is overwritten
def test_a_memory_is_the_newest_part_of_everything(
    sizes: tuple[int, int, int], adds: list[tuple[int, int, bool]], seed: int
) -> None:
    """Actors in any order, at any pace, replaced at any time."""
    count, n, capacity = sizes
    everything, memory, rows = Everything(count, n, seed), Steps(capacity, 3 * count, GAMMA, n), list[int]()
    for actor, length, replaced in adds:
        unroll, complete = everything.more(actor, min(length, capacity // count), replaced)
        memory.add(experience(unroll, actor))
        oldest = len(everything.steps) - memory.slots
        rows += [number for number in complete if number >= oldest]  # the others were overtaken while they waited
        newest = range(max(0, len(rows) - capacity), len(rows))
        expected = {row % capacity: rows[row] for row in newest if rows[row] >= oldest}
        index = np.arange(memory.size)
        assert index[memory.ready(index)].tolist() == sorted(expected)
        if expected:
            everything.assert_right(memory.gather(np.array(list(expected))), expected.values())


def endless(unroll: Unroll) -> Unroll:
    """The same, but no episode ends in it."""
    never, first = np.zeros_like(unroll.terminated), np.zeros_like(unroll.first)
    nowhere = np.zeros(0, np.int64)
    unroll = unroll._replace(terminated=never, truncated=never, first=first, final_at=nowhere)
    return unroll._replace(final_obs=unroll.final_obs[:0], final_mask=np.zeros((0, 3), bool))


@pytest.mark.parametrize("replaced", [True, False])
def test_an_actor_that_was_replaced_cuts_its_episodes_off(replaced: bool) -> None:
    """Unless its new episodes pass for the continuation of the old ones, which the same test notices."""
    before, after = endless(history(10, 2, 1)), endless(history(10, 2, 2))
    after.first[0] = replaced
    memory = Steps(100, 2, GAMMA, 3)
    for unroll in (before, after):
        memory.add(experience(unroll))
    found = memory.gather(np.arange(memory.size))
    last = dict(zip(found.obs[:, 0], found.next_obs[:, 0], strict=True))
    shown = [last[1000 + 2 * t] for t in (7, 8, 9)]
    assert shown == ([1020, 1020, 1020] if replaced else [2000, 2002, 2004])


@pytest.mark.parametrize("saved_after", [0, 10, 60])
def test_a_memory_goes_on_from_its_state(saved_after: int) -> None:
    unroll = history(100, 2, seed=0)
    through = Steps(45, 2, GAMMA, 3)
    for start in range(0, saved_after, 5):
        through.add(experience(part(unroll, start, start + 5)))
    resumed = Steps(45, 2, GAMMA, 3)
    resumed.load_state_dict(copy.deepcopy(through.state_dict()))
    for start in range(saved_after, 100, 5):
        for memory in (through, resumed):
            memory.add(experience(part(unroll, start, start + 5)))
        index = np.arange(through.size)
        for expected, found in zip(through.gather(index), resumed.gather(index), strict=True):
            np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="the saved memory has n_step 3, but this one 2"):
        Steps(45, 2, GAMMA, 2).load_state_dict(through.state_dict())


def test_a_memory_that_goes_on_discounts_as_its_run_does_now() -> None:
    """Steps are stored, not rows: nothing in the state holds a power of the discount it was made with."""
    unroll, before, now = history(60, 2, seed=0), Steps(45, 2, GAMMA, 3), Steps(45, 2, 0.5, 3)
    before.add(experience(part(unroll, 0, 20)))
    now.load_state_dict(copy.deepcopy(before.state_dict()))
    anew = Steps(45, 2, 0.5, 3)
    anew.add(experience(part(unroll, 0, 20)))
    index = np.arange(before.size)
    for expected, found in zip(anew.gather(index), now.gather(index), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (now.gather(index).discount != before.gather(index).discount).any()


def test_what_does_not_fit_is_refused() -> None:
    unroll = history(10, 2, 0)
    with pytest.raises(ValueError, match="20 steps at once don't fit: set memory.capacity, now 19, to more"):
        Steps(19, 2, GAMMA).add(experience(unroll))
    with pytest.raises(ValueError, match="rows 2 to 3 don't fit into 2 columns"):
        Steps(100, 2, GAMMA).add(experience(unroll, actor=1))
    with pytest.raises(NotEnoughMemory, match="set memory.capacity to"):
        Steps(10**9, 2, GAMMA, available=lambda: 10**6).add(experience(unroll))

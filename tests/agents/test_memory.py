"""Memories against the plainest thing that could be right: lists of everything that ever happened."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from agents.api import State
from agents.memory.few import NOWHERE
from agents.memory.frames import Frames
from agents.memory.latest import Latest
from agents.memory.prioritized import Prioritized, _offsets
from agents.memory.ratio import EveryCollection, PerStep
from agents.memory.replay import Replay, Selection
from agents.memory.table import Change, NotEnoughMemory, Table, available_memory
from agents.memory.uniform import Uniform
from agents.records import Episodes, Experience, Sample, Transition, Unroll, side_by_side
from envs.api import Array


def experience(rows: Any, actor: int = 0) -> Experience:
    return Experience(rows, steps=0, episodes=Episodes([], []), version=0, actor=actor)


def rows_of(numbers: Array, masked: bool = False) -> Transition:
    """CartPole-sized rows that tell their number in every field."""
    numbers = np.asarray(numbers)
    obs = np.repeat(numbers[:, None], 4, 1).astype(np.float32)
    mask = np.stack([numbers % 2 == 0, numbers % 3 == 0], 1) if masked else None
    return Transition(obs, numbers.astype(np.int64), obs[:, 0] / 2, obs[:, 0] / 4, obs + 1, mask)


def assert_equal(a: Any, b: Any) -> None:
    """Two NamedTuples of arrays, bit for bit, dtypes included."""
    assert type(a) is type(b)
    for name, x, y in zip(a._fields, a, b, strict=True):
        assert (x is None) == (y is None), name
        if isinstance(x, dict):
            assert x.keys() == y.keys() and all((x[key] == y[key]).all() for key in x), name
        elif x is not None:
            assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x, y, err_msg=name)


# Table


@pytest.mark.parametrize("masked", [False, True])
def test_table_holds_the_newest_rows(masked: bool) -> None:
    table, rng, seen = Table(17), np.random.default_rng(0), 0
    for _ in range(60):
        count = int(rng.integers(1, 18))
        index = table.append(rows_of(np.arange(seen, seen + count), masked))
        assert_equal(table.gather(index), rows_of(np.arange(seen, seen + count), masked))
        seen += count
        assert table.added == seen
        assert table.size == min(seen, 17)
        held = np.sort(table.gather(np.arange(table.size)).action)
        np.testing.assert_array_equal(held, np.arange(seen - table.size, seen))


def test_table_is_generic_and_gathers_copies() -> None:
    class Position(NamedTuple):
        words: Array
        value: Array | None

    table = Table(4, Position)
    table.append(Position(np.arange(3, dtype=np.uint64)[:, None], None))
    rows = table.gather(np.array([2, 0]))
    assert_equal(rows, Position(np.array([[2], [0]], np.uint64), None))
    rows.words[:] = 99
    assert table.gather(np.array([2])).words[0, 0] == 2


def test_table_refuses_before_it_allocates() -> None:
    table = Table(10**15, available=lambda: 10**6)
    with pytest.raises(
        NotEnoughMemory, match=r"needs 48\d{15} bytes, but 1000000 are available.*memory.capacity to 20833"
    ):
        table.append(rows_of(np.arange(2)))
    assert not table.fields
    with pytest.raises(ValueError, match=r"set memory.capacity, now 3, to more"):
        Table(3).append(rows_of(np.arange(4)))
    assert 2**20 < available_memory() < 2**50


def test_table_resumes_exactly_and_stores_what_is_filled() -> None:
    table = Table(10)
    table.append(rows_of(np.arange(4)))
    state = copy.deepcopy(table.state_dict())
    assert state["fields"]["obs"].shape == (4, 4)
    other = Table(10)
    other.load_state_dict(state)
    for number in range(4, 40, 4):  # past the end of the ring
        here, there = (t.append(rows_of(np.arange(number, number + 4))) for t in (table, other))
        np.testing.assert_array_equal(here, there)
        everything = np.arange(table.size)
        assert_equal(table.gather(everything), other.gather(everything))
    with pytest.raises(ValueError, match=r"memory.capacity is 11, but the saved memory has 10"):
        Table(11).load_state_dict(state)
    empty = Table(10)
    empty.load_state_dict(Table(10).state_dict())
    assert empty.size == 0


# Latest


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


# Frames


class Stream:
    """One actor's columns: stacked random pictures, episodes of random length; keeps everything that ever happened."""

    def __init__(self, rng: np.random.Generator, count: int, stack: int, copies: float) -> None:
        self.rng, self.count, self.stack, self.copies = rng, count, stack, copies
        self.past: list[list[dict[str, Any]]] = [[] for _ in range(count)]
        self.obs = [self.opening() for _ in range(count)]

    def opening(self) -> Array:
        alike = self.rng.random() < self.copies
        pictures = self.rng.integers(0, 256, (1 if alike else self.stack, 3, 2), np.uint8)
        return np.broadcast_to(pictures, (self.stack, 3, 2))

    def restart(self) -> None:
        """The actor died and was replaced: its last steps were cut off where they stood."""
        for b in range(self.count):
            step = self.past[b][-1]
            step["truncated"] = not step["terminated"]
            self.obs[b] = self.opening()

    def unroll(self, length: int) -> Unroll:
        shape, rng = (length, self.count), self.rng
        terminated = rng.random(shape) < 0.15
        truncated = ~terminated & (rng.random(shape) < 0.15)
        action, reward = rng.integers(0, 6, shape), rng.normal(size=shape).astype(np.float32)
        obs, final_obs = [np.stack(self.obs)], []
        for t in range(length):
            for b in range(self.count):
                after = np.concatenate([self.obs[b][1:], rng.integers(0, 256, (1, 3, 2), np.uint8)])
                step = {"obs": self.obs[b], "action": action[t, b], "reward": reward[t, b], "after": after}
                self.past[b].append(step | {"terminated": terminated[t, b], "truncated": truncated[t, b]})
                if truncated[t, b] or terminated[t, b]:
                    final_obs.append(after)
                self.obs[b] = self.opening() if terminated[t, b] or truncated[t, b] else after
            obs.append(np.stack(self.obs))
        finals = np.stack(final_obs) if final_obs else np.empty((0, self.stack, 3, 2), np.uint8)
        final_at = np.flatnonzero(terminated | truncated)
        first = np.ones((length + 1, self.count), bool)
        first[1:] = terminated | truncated
        return Unroll(np.stack(obs), None, first, action, reward, terminated, truncated, finals, final_at)


def transition(past: list[dict[str, Any]], t: int, n: int, gamma: float) -> dict[str, Any] | None:
    """The n-step row that starts at step t, or None if it isn't complete."""
    total = 0.0
    for k, step in enumerate(past[t : t + n]):
        total += gamma**k * float(step["reward"])
        if step["terminated"] or step["truncated"] or k == n - 1:
            discount = 0.0 if step["terminated"] else gamma ** (k + 1)
            start = {"obs": past[t]["obs"], "action": past[t]["action"]}
            return start | {"reward": total, "discount": discount, "next_obs": step["after"]}
    return None


def assert_frames_are_right(memory: Frames, streams: list[Stream]) -> None:
    """Ready is what is complete and not yet overwritten; each such row is what a table of whole stacks would hold."""
    expected: dict[int, dict[str, Any]] = {}
    for c in range(memory.columns):
        count = streams[0].count
        past = streams[c // count].past[c % count]
        for t in range(max(0, len(past) - memory.steps), len(past)):
            row = transition(past, t, memory.n_step, memory.gamma)
            if row is not None:
                expected[t % memory.steps * memory.columns + c] = row
    index = np.arange(memory.size)
    found = index[memory.ready(index)]
    assert found.tolist() == sorted(expected)
    whole = Table(memory.size)
    order = list(expected)
    whole.append(
        Transition(
            obs=np.stack([expected[i]["obs"] for i in order]),
            action=np.array([expected[i]["action"] for i in order]),
            reward=np.array([expected[i]["reward"] for i in order], np.float32),
            discount=np.array([expected[i]["discount"] for i in order], np.float32),
            next_obs=np.stack([expected[i]["next_obs"] for i in order]),
            next_mask=None,
        )
    )
    assert_equal(memory.gather(np.array(order)), whole.gather(np.arange(len(order))))
    for few, ring in ((memory.openings, "opening"), (memory.closings, "closing")):  # what is overwritten is forgotten
        kept = memory.rings[ring][memory.rings[ring] != NOWHERE].tolist()
        assert sorted(kept + few.free) == list(range(len(few.arrays[0]) if few.arrays else 0))


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("copies", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("stack", [1, 4])
def test_frames_equal_a_table_of_whole_stacks(n_step: int, copies: float, stack: int) -> None:
    """Random episodes, three actors that come and go at their own pace and are replaced, and wrap-around."""
    rng = np.random.default_rng(7)
    streams = [Stream(rng, 2, stack, copies) for _ in range(3)]
    memory = Frames(6 * 13 + 2, columns=6, stack=stack, gamma=0.9, n_step=n_step)
    ready: set[int] = set()
    for round_ in range(60):
        actor = int(rng.integers(0, 3))
        if round_ % 5 == 4 and streams[actor].past[0]:
            streams[actor].restart()
        change = memory.add(experience(streams[actor].unroll(int(rng.integers(1, 14 if round_ % 2 else 4))), actor))
        ready = (ready - set(change.stale.tolist())) | set(change.fresh.tolist())
        index = np.arange(memory.size)
        assert ready == set(index[memory.ready(index)].tolist())
        if ready:
            assert_frames_are_right(memory, streams)
    assert min(len(stream.past[0]) for stream in streams) > 40  # the rings went round


def test_frames_resume_exactly() -> None:
    rng = np.random.default_rng(3)
    streams = [Stream(rng, 2, 3, 0.5) for _ in range(2)]
    make = lambda: Frames(60, columns=4, stack=3, gamma=0.9, n_step=2)  # noqa: E731
    memory = make()
    for round_ in range(12):
        if round_ in (1, 6):  # half full, and after the rings went round
            other = make()
            other.load_state_dict(copy.deepcopy(memory.state_dict()))
            memory = other
        memory.add(experience(streams[round_ % 2].unroll(5), round_ % 2))
        assert_frames_are_right(memory, streams)
    with pytest.raises(ValueError, match="the saved memory has columns 4, but this one 2"):
        Frames(60, columns=2, stack=3, gamma=0.9).load_state_dict(memory.state_dict())


def test_frames_take_one_picture_per_step() -> None:
    side, capacity, size = 84, 2048, 64
    memory = Frames(capacity, columns=4, stack=4, gamma=0.99)
    rng = np.random.default_rng(0)
    for _ in range(capacity // size + 2):
        never = np.zeros((size // 4, 4), bool)
        never_cut = np.empty((0, 4, side, side), np.uint8)
        black = np.zeros((size // 4 + 1, 4, 4, side, side), np.uint8)
        action, reward = rng.integers(0, 6, never.shape), np.zeros(never.shape, np.float32)
        first = np.zeros((len(never) + 1, 4), bool)
        memory.add(
            experience(Unroll(black, None, first, action, reward, never, never, never_cut, np.empty(0, np.int64)))
        )
    rings = sum(ring.nbytes for ring in memory.rings.values())
    assert rings < 1.02 * capacity * side * side
    assert not memory.openings.arrays


def test_frames_refuse_what_they_cannot_keep() -> None:
    rng = np.random.default_rng(0)
    stream = Stream(rng, 2, 4, 1.0)
    good = stream.unroll(5)
    memory = Frames(100, columns=2, stack=4, gamma=0.9)
    shuffled = good._replace(obs=good.obs[:, :, ::-1])
    with pytest.raises(ValueError, match="moved on by one picture"):
        memory.add(experience(shuffled))
    with pytest.raises(ValueError, match=r"expected obs \[T \+ 1, B, 3, H, W\]"):
        Frames(100, columns=2, stack=3, gamma=0.9).add(experience(good))
    with pytest.raises(ValueError, match="rows 2 to 3 don't fit into 2 columns"):
        memory.add(experience(good, actor=1))
    with pytest.raises(ValueError, match=r"set memory.capacity to 10 or more"):
        Frames(8, columns=2, stack=4, gamma=0.9).add(experience(good))
    with pytest.raises(ValueError, match="keeps no masks"):
        memory.add(experience(good._replace(mask=np.ones((6, 2, 3), bool))))
    with pytest.raises(NotEnoughMemory):
        Frames(100, columns=2, stack=4, gamma=0.9, available=lambda: 1).add(experience(good))
    with pytest.raises(ValueError, match="too small for 2 environments and 3-step rows"):
        Frames(5, columns=2, stack=4, gamma=0.9, n_step=3)
    assert memory.size == 0


# Selections


def filled(capacity: int, count: int) -> Table:
    table = Table(capacity)
    table.append(rows_of(np.arange(count)))
    return table


def chi_square(found: Array, expected: Array) -> float:
    return float(((found - expected) ** 2 / expected).sum())


def test_uniform_draws_ready_rows_evenly() -> None:
    class Half(Table):
        def ready(self, index: Array) -> Array:
            return index % 2 == 1

    rng, table = np.random.default_rng(0), Half(50)
    table.append(rows_of(np.arange(40)))
    index = np.concatenate([Uniform().select(100, table, rng)[0] for _ in range(400)])
    found = np.bincount(index, minlength=40)
    assert (found[::2] == 0).all()
    assert chi_square(found[1::2], np.full(20, 2000.0)) < 43.8  # 99.9 %, 19 degrees of freedom


@pytest.mark.parametrize("capacity", [1, 15, 16, 17, 255, 256, 257, 4097, 70_000])
def test_tree_of_any_size(capacity: int) -> None:
    offsets, rng = _offsets(capacity), np.random.default_rng(0)
    assert offsets[-1] < 1.1 * capacity + 80
    tree = Prioritized(capacity, alpha=1.0)
    tree.change(Change(np.arange(capacity), np.empty(0, np.int64)))
    assert tree.tree[0] == pytest.approx(capacity)
    priority = rng.random(capacity)
    tree.update(np.arange(capacity), torch.from_numpy(priority))
    assert tree.tree[0] == pytest.approx(priority.sum(), abs=1e-1)
    index, _ = tree.select(64, Table(capacity), rng)
    edges = np.cumsum(tree.leaves)  # share i of the total belongs to draw i
    assert (edges[index] >= np.arange(64) * edges[-1] / 64 - 1e-9).all()
    assert (edges[index] - tree.leaves[index] <= np.arange(1, 65) * edges[-1] / 64 + 1e-9).all()


def test_prioritized_draws_in_proportion() -> None:
    """P(i) ~ p^alpha, chi-square with a fixed seed; the rule without alpha fails the same test."""
    rng, select = np.random.default_rng(0), Prioritized(20, alpha=0.6)
    select.change(Change(np.arange(20), np.empty(0, np.int64)))
    priority = rng.random(20) * 3 + 0.1
    select.update(np.arange(20), torch.from_numpy(priority))
    index = np.concatenate([select.select(1, Table(20), rng)[0] for _ in range(40_000)])  # batch 1: not stratified
    found = np.bincount(index, minlength=20)
    share = (priority + 1e-6) ** 0.6
    assert chi_square(found, 40_000 * share / share.sum()) < 43.8  # 99.9 %, 19 degrees of freedom
    assert chi_square(found, 40_000 * priority / priority.sum()) > 1000
    stratified = np.bincount(select.select(40_000, Table(20), rng)[0], minlength=20)
    assert (abs(stratified - 40_000 * share / share.sum()) <= 2).all()


def test_importance_weights() -> None:
    select, rng = Prioritized(8, alpha=0.7, beta=0.5, beta_end=0.5), np.random.default_rng(0)
    select.change(Change(np.arange(5), np.empty(0, np.int64)))
    select.update(np.arange(5), torch.tensor([0.1, -1.0, 2.0, 3.0, 8.0]))
    index, weight = select.select(200, Table(8), rng)
    share = select.leaves[:5] / select.leaves.sum()
    expected = (5 * share[index]) ** -0.5
    np.testing.assert_allclose(weight, expected / expected.max(), rtol=1e-6)
    assert weight.dtype == np.float32
    assert weight.max() == 1


def test_beta_goes_up_with_the_rows() -> None:
    select = Prioritized(100, beta=0.4, beta_end=1.0, beta_rows=200)
    betas = [select.beta]
    for _ in range(3):
        select.change(Change(np.arange(100), np.empty(0, np.int64)))
        betas.append(select.beta)
    assert betas == pytest.approx([0.4, 0.7, 1.0, 1.0])


def test_root_is_the_sum_after_many_updates() -> None:
    rng, select = np.random.default_rng(0), Prioritized(3000, alpha=1.0)
    select.change(Change(np.arange(3000), np.empty(0, np.int64)))
    leaves = np.ones(3000)
    for _ in range(1000):
        index, priority = rng.integers(0, 3000, 100), rng.normal(size=100) * 10.0 ** rng.integers(-6, 6)
        select.update(index, torch.from_numpy(priority))
        for i, value in zip(index, priority, strict=True):  # of duplicates the last one counts
            leaves[i] = abs(value) + 1e-6
    np.testing.assert_array_equal(select.leaves, leaves)
    assert select.tree[0] == pytest.approx(leaves.sum(), rel=1e-12)


def test_new_rows_come_first_and_old_priorities_go() -> None:
    select, rng = Prioritized(6, alpha=0.5), np.random.default_rng(0)
    select.change(Change(np.arange(4), np.empty(0, np.int64)))
    np.testing.assert_array_equal(select.leaves, [1, 1, 1, 1, 0, 0])
    select.update(np.arange(4), torch.tensor([9.0, 0.25, 0.25, 0.25]) - 1e-6)
    select.change(
        Change(np.array([4, 0]), np.array([0, 1]))
    )  # 0 overwritten and ready, 1 overwritten and not yet ready
    np.testing.assert_allclose(select.leaves, [3, 0, 0.5, 0.5, 3, 0])
    select.update(np.array([1, 5]), torch.tensor([100.0, 100.0]))
    np.testing.assert_allclose(select.leaves, [3, 0, 0.5, 0.5, 3, 0])  # late news of a row that is gone
    assert set(select.select(1000, Table(6), rng)[0].tolist()) == {0, 2, 3, 4}
    with pytest.raises(ValueError, match="1 of 2 priorities are not finite"):
        select.update(np.array([0, 2]), torch.tensor([1.0, torch.nan]))


# Replay


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


# Ratio


def test_per_step_makes_up_for_fractions() -> None:
    ratio = PerStep(0.29, start=10)
    made = [ratio.due(steps) for steps in range(0, 111)]
    assert sum(made[:11]) == 0
    assert sum(made) == 29  # 0.29 * 100 is 28.999999999999996 in floats
    assert int(0.29 * 100) == 28
    assert set(made) == {0, 1}


def test_per_step_does_not_depend_on_the_pace_and_resumes() -> None:
    fast, slow = PerStep(2.5, start=7), PerStep(2.5, start=7)
    total = sum(fast.due(steps) for steps in range(0, 101))
    first = slow.due(50)
    other = PerStep(2.5, start=7)
    other.load_state_dict(slow.state_dict())
    assert first + other.due(100) == total == 232
    assert other.due(100) == 0
    assert EveryCollection().due(5) == EveryCollection().due(500) == 1

"""Pictures that are kept once, against a table of whole stacks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from agents.experience.memory.few import NOWHERE
from agents.experience.memory.frames import Frames
from agents.experience.memory.table import Table
from agents.footprint import NotEnoughMemory
from agents.records import Transition, Unroll
from envs.api import Array
from tests.agents.experience.memory.rows import assert_equal, experience


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

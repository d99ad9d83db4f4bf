"""Replay of stacked pictures that stores each picture once: a stack of 4 and its successor share memory with their
neighbours, so a million 84 x 84 transitions take 7 GB instead of 56.

Steps come as Unrolls, column by column: a column is one row of one environment of one actor. Time in a column counts
its steps from 0; obs[t] is what step t acted on. For each time the newest picture of obs[t] goes into a ring, and

- `age[t]` is how many steps before t its episode began (no further than a stack reaches): older pictures of the stack
  belong to the opening observation, which is copies of one picture, or else kept whole in `openings`;
- `closing[t]` points to the picture in `closings` that an episode which ended with step t showed last.

What is returned is, bit for bit, what a `Table` of complete n-step transitions would hold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.api import State
from agents.experience.memory.few import NOWHERE, Few
from agents.experience.memory.table import Change, allocate
from agents.experience.rewards.rewards import Rewards
from agents.footprint import available_memory
from agents.maths.returns import transitions
from agents.records import Experience, Lived, Transition, Unroll
from envs.api import Array


class Frames:
    """`capacity` steps in all, shared by `columns` rows: those of actor i are a block, i * B .. i * B + B - 1.

    obs are [stack, H, W], newest picture last. A step can be sampled once the n steps from it, or its episode's
    end, are here.
    """

    gaps = True

    def __init__(
        self,
        capacity: int,
        columns: int,
        stack: int,
        gamma: float,
        n_step: int = 1,
        rewards: Rewards | None = None,
        available: Callable[[], int] = available_memory,
    ) -> None:
        self.capacity, self.columns, self.stack = capacity, columns, stack
        self.gamma, self.n_step, self.rewards, self.available = gamma, n_step, rewards or Rewards(), available
        self.steps = capacity // columns  # per column
        if self.steps < n_step:
            raise ValueError(
                f"memory.capacity {capacity} is too small for {columns} environments and {n_step}-step rows"
            )
        # Pictures per column: those of the last steps, the older ones that they show, and that of the next step.
        self.slots = self.steps + stack
        self.time = np.zeros(columns, np.int64)  # steps ever made; obs[time] is here, its step is not
        self.until = np.zeros(columns, np.int64)  # steps before this one are complete
        self.rings: dict[str, Array] = {}
        self.openings, self.closings = Few(), Few()

    @property
    def size(self) -> int:
        """Rows lie at indices below this: step t of column c at t % steps * columns + c."""
        return int(min(self.time.max(), self.steps)) * self.columns

    # Writing

    def add(self, experience: Experience) -> Change:
        """Append an Unroll to the block of columns of its actor. Raises ValueError if obs aren't stacks of pictures.

        An Unroll that doesn't go on where the one before it ended, as when an actor was replaced, counts as cut off.
        """
        unroll: Unroll = experience.rows
        length, count = unroll.reward.shape
        block = np.arange(experience.actor * count, (experience.actor + 1) * count)
        ended = unroll.terminated | unroll.truncated
        self._check(unroll, ended, block)
        if not self.rings:
            self._allocate(unroll)
        start, before = int(self.time[block[0]]), self.until[block]

        begins = np.ones((length + 1, count), bool)
        begins[1:] = ended
        if start > 0:
            begins[0] = self._broken(unroll.obs[0], block, start)
        times = start + np.arange(length + 1)
        rows = self._row(times[:-1, None], block)
        for name in ("action", "reward", "terminated", "truncated"):
            self.rings[name][rows] = getattr(unroll, name)
        self._write_observations(unroll.obs, begins, self._slot(times[:, None], block))
        self.closings.drop(self.rings["closing"], rows)
        self.rings["closing"][rows.reshape(-1)[unroll.final_at]] = self.closings.put(unroll.final_obs[:, -1])

        self.time[block] = start + length
        self.until[block] = until = self._complete(ended, start, self.until[block])
        oldest = max(0, start + length - self.steps)
        fresh = [self._row(np.arange(max(a, oldest), b), c) for a, b, c in zip(before, until, block, strict=True)]
        return Change(np.concatenate(fresh), rows.reshape(-1))

    def _row(self, time: Array, column: Array) -> Array:
        return time % self.steps * self.columns + column

    def _slot(self, time: Array, column: Array) -> Array:
        return time % self.slots * self.columns + column

    def _check(self, unroll: Unroll, ended: Array, block: Array) -> None:
        (length, count), obs, final_at = unroll.reward.shape, unroll.obs, unroll.final_at
        if obs.ndim != 5 or obs.shape[2] != self.stack:
            raise ValueError(f"expected obs [T + 1, B, {self.stack}, H, W], but found {list(obs.shape)}")
        if unroll.mask is not None:
            raise ValueError("this memory keeps no masks: use a Table")
        if self.columns % count or block[-1] >= self.columns:
            raise ValueError(f"rows {block[0]} to {block[-1]} don't fit into {self.columns} columns")
        if length > self.steps:
            raise ValueError(
                f"{length} steps at once don't fit: set memory.capacity to {length * self.columns} or more"
            )
        if len(final_at) != np.count_nonzero(ended):
            raise ValueError(f"{len(final_at)} final observations for {ended.sum()} episodes that ended")
        moved = (obs[1:, :, :-1] == obs[:-1, :, 1:]).all((2, 3, 4)) | ended
        final_moved = unroll.final_obs[:, :-1] == obs[final_at // count, final_at % count, 1:]
        if not (moved.all() and final_moved.all()):
            raise ValueError(
                "obs[t + 1] isn't obs[t] moved on by one picture: this memory is for stacked pictures only"
            )

    def _allocate(self, unroll: Unroll) -> None:
        pictures, rows = self.slots * self.columns, self.steps * self.columns
        shapes = {
            "picture": ((pictures, *unroll.obs.shape[3:]), unroll.obs.dtype),
            "age": ((pictures,), np.uint8),
            "opening": ((pictures,), np.int32),
            "closing": ((rows,), np.int32),
            **{
                name: ((rows, *field.shape[2:]), field.dtype)
                for name in ("action", "reward", "terminated", "truncated")
                for field in [getattr(unroll, name)]
            },
        }
        self.rings = allocate(shapes, self.capacity, self.available)
        self.rings["opening"][:] = NOWHERE
        self.rings["closing"][:] = NOWHERE

    def _broken(self, obs: Array, block: Array, start: int) -> Array:
        """Which columns don't go on from the observation where they stopped, bool [B]: their episodes end there."""
        expected = self._stacks(np.full(len(block), start), block)
        broken: Array = (obs != expected).any((1, 2, 3))
        rows = self._row(np.array(start - 1), block)
        cut = broken & ~(self.rings["terminated"][rows] | self.rings["truncated"][rows])
        self.rings["truncated"][rows[cut]] = True
        self.rings["closing"][rows[cut]] = self.closings.put(expected[cut, -1])
        self.until[block[cut]] = start
        return broken

    def _write_observations(self, obs: Array, begins: Array, slots: Array) -> None:
        """obs [T + 1, B, ...] into `slots` [T + 1, B]. obs[0] is there already, unless an episode `begins` with it."""
        self.openings.drop(self.rings["opening"], np.concatenate([slots[0][begins[0]], slots[1:].reshape(-1)]))
        age = np.empty(begins.shape, np.uint8)
        age[0] = np.where(begins[0], 0, self.rings["age"][slots[0]])
        for t in range(1, len(obs)):
            age[t] = np.where(begins[t], 0, np.minimum(age[t - 1] + 1, self.stack))
        self.rings["picture"][slots] = obs[:, :, -1]
        self.rings["age"][slots] = age
        first = obs[begins]  # [k, stack, H, W]
        mixed = (first[:, :-1] != first[:, -1:]).any((1, 2, 3))
        self.rings["opening"][slots[begins][mixed]] = self.openings.put(first[mixed, :-1])

    def _complete(self, ended: Array, start: int, before: Array) -> Array:
        """For each column the first step that can't be sampled yet: fewer than n steps behind it, and no end."""
        length = len(ended)
        behind_end = np.where(ended.any(0), start + length - ended[::-1].argmax(0), 0)
        return np.maximum.reduce([before, behind_end, np.full(len(before), start + length - self.n_step + 1)])

    # Reading

    def _locate(self, index: Array) -> tuple[Array, Array]:
        """Time and column of rows; times below 0 were never written."""
        slot, column = np.divmod(index, self.columns)
        newest = self.time[column] - 1
        return newest - (newest - slot) % self.steps, column

    def ready(self, index: Array) -> Array:
        """Whether the rows at `index` can be sampled, bool."""
        time, column = self._locate(index)
        return (time >= 0) & (time < self.until[column])

    def gather(self, index: Array) -> Transition:
        """The n-step transitions that start at `index` [m], all of them ready. obs [m, stack, H, W]."""
        time, column = self._locate(index)
        times = time + np.arange(self.n_step)[:, None]
        rows = self._row(times, column)
        reward, terminated, truncated = (self.rings[name][rows] for name in ("reward", "terminated", "truncated"))
        if self.rewards:
            # Behind its end a window may run into steps that are still to come: they count for nothing.
            here = np.minimum(times, self.time[column] - 1)
            lived = self._lived(here.reshape(-1), np.tile(column, self.n_step))
            reward = self.rewards.judged(lived).reshape(reward.shape)
        steps = transitions(reward, terminated, truncated, self.gamma, self.n_step, starts=1)
        next_obs = self._after(time + steps.last[0], column)
        return Transition(
            obs=self._stacks(time, column),
            action=self.rings["action"][rows[0]],
            reward=steps.reward[0],
            discount=steps.discount[0],
            next_obs=next_obs,
            next_mask=None,
        )

    def _after(self, time: Array, column: Array) -> Array:
        """What was shown after the steps at `time` [m] of `column` [m]: [m, stack, H, W]."""
        row = self._row(time, column)
        over = self.rings["terminated"][row] | self.rings["truncated"][row]
        shown = self._stacks(time + ~over, column)
        closing = self.rings["closing"][row]
        ended = np.flatnonzero(closing != NOWHERE)
        if len(ended):
            shown[ended, :-1] = shown[ended, 1:]
            shown[ended, -1] = self.closings.get(closing[ended])[0]
        return shown

    def _lived(self, time: Array, column: Array) -> Lived:
        """The steps at `time` [m] of `column` [m], each by itself."""
        row = self._row(time, column)
        action, reward, terminated = (self.rings[name][row] for name in ("action", "reward", "terminated"))
        return Lived(self._stacks(time, column), action, reward, self._after(time, column), terminated)

    def _stacks(self, time: Array, column: Array) -> Array:
        """obs [m, stack, H, W] at `time` [m] of `column` [m]."""
        age = self.rings["age"][self._slot(time, column)].astype(np.int64)
        back = np.arange(self.stack - 1, -1, -1)
        stacks = self.rings["picture"].take(
            self._slot(time[:, None] - np.minimum(back, age[:, None]), column[:, None]), 0
        )
        opening = self.rings["opening"][self._slot(time - np.minimum(age, self.stack - 1), column)]
        row, place = np.nonzero((back > age[:, None]) & (opening != NOWHERE)[:, None])
        if len(row):
            stacks[row, place] = self.openings.get(opening[row])[0][np.arange(len(row)), place + age[row]]
        return stacks

    # Resuming

    def state_dict(self) -> State:
        """The filled part only. The arrays of steps and pictures are views: write them out before adding more."""
        pictures = int(min(self.time.max() + 1, self.slots)) * self.columns
        per_picture = ("picture", "age", "opening")
        return {
            "capacity": self.capacity,
            "columns": self.columns,
            "stack": self.stack,
            "n_step": self.n_step,
            "time": self.time.copy(),
            "until": self.until.copy(),
            "rings": {n: ring[: pictures if n in per_picture else self.size] for n, ring in self.rings.items()},
            "openings": self.openings.state_dict(),
            "closings": self.closings.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        for name in ("capacity", "columns", "stack", "n_step"):
            if state[name] != getattr(self, name):
                raise ValueError(f"the saved memory has {name} {state[name]}, but this one {getattr(self, name)}")
        per_picture, stored = ("picture", "age", "opening"), state["rings"]
        lengths = {n: (self.slots if n in per_picture else self.steps) * self.columns for n in stored}
        shapes = {n: ((lengths[n], *ring.shape[1:]), ring.dtype) for n, ring in stored.items()}
        self.rings = allocate(shapes, self.capacity, self.available)
        for name, ring in stored.items():
            if name in ("opening", "closing"):
                self.rings[name][:] = NOWHERE
            self.rings[name][: len(ring)] = ring
        self.time, self.until = state["time"].copy(), state["until"].copy()
        self.openings.load_state_dict(state["openings"])
        self.closings.load_state_dict(state["closings"])

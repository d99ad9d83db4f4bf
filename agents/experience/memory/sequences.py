"""Sequences of steps, each with what the policy remembered at its beginning, for learners with a memory of their own.

    table = Sequences(100_000, columns=8, length=80, overlap=40)
    table.add(experience)                                   # Experience of an Unroll of T steps, 40 a multiple of T
    table.gather(index)                                     # Unroll, 80 steps of m rows

Stored carries and overlapping sequences, whose first part warms the carry up, are those of R2D2 (Kapturowski et al.
2019, https://openreview.net/forum?id=r1lyTjAqYX). A sequence may run over the end of an episode: `first` says where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import DTypeLike

from agents.api import State
from agents.experience.memory.few import NOWHERE, Few
from agents.experience.memory.table import Change, allocate
from agents.experience.rewards.rewards import Rewards
from agents.footprint import available_memory
from agents.records import Experience, Unroll
from envs.api import Array

SHOWN = ("obs", "mask", "first")  # fields that have one row more than there are steps
LIVED = ("action", "reward", "terminated", "truncated", "turn")


class Sequences:
    """`capacity` steps in all, shared by `columns` columns: those of actor i are a block, i * B .. i * B + B - 1.

    A sequence of `length` steps begins every length - overlap steps of a column.
    """

    gaps = True

    def __init__(
        self,
        capacity: int,
        columns: int,
        length: int,
        overlap: int = 0,
        rewards: Rewards | None = None,
        available: Callable[[], int] = available_memory,
    ) -> None:
        if not 0 <= overlap < length:
            raise ValueError(f"sequences of {length} steps can't overlap by {overlap}")
        self.capacity, self.columns, self.length, self.stride = capacity, columns, length, length - overlap
        self.rewards, self.available = rewards or Rewards(), available
        self.slots = capacity // columns  # of each column
        if self.slots < length:
            raise ValueError(
                f"memory.capacity {capacity} is too small for sequences of {length} steps in {columns} columns: "
                f"set it to {length * columns} or more"
            )
        self.begun = self.slots // self.stride + 1  # sequences of a column that can be here at once, or in part
        self.time = np.zeros(columns, np.int64)  # steps ever
        self.rings: dict[str, Array] = {}  # [slots, columns, ...]
        self.carries: dict[str, Array] = {}  # [begun, columns, ...]
        self.front: dict[str, Array] = {}  # [columns, ...] what each column shows now
        self.finals = Few()

    @property
    def size(self) -> int:
        """Rows lie at indices below this: sequence k of column c at k % begun * columns + c."""
        return min(int(self.time.max()) // self.stride + 1, self.begun) * self.columns

    def ready(self, index: Array) -> Array:
        """Whether the rows at `index` can be sampled, bool."""
        start, column = self._locate(index)
        return (start >= np.maximum(0, self.time[column] - self.slots)) & (start + self.length <= self.time[column])

    # Writing

    def add(self, experience: Experience) -> Change:
        """Append an Unroll to the block of columns of its actor. An episode that neither ended nor goes on, as when an
        actor was replaced, counts as cut off."""
        unroll: Unroll = experience.rows
        length, count = unroll.reward.shape
        block = np.arange(experience.actor * count, (experience.actor + 1) * count)
        if self.columns % count or block[-1] >= self.columns:
            raise ValueError(f"rows {block[0]} to {block[-1]} don't fit into {self.columns} columns")
        if self.stride % length:
            raise ValueError(
                f"sequences begin every {self.stride} steps, which must be where collections begin, and these have "
                f"rollout.steps {length}"
            )
        if not self.rings:
            self._begin(unroll)
        start = int(self.time[block[0]])
        slots = (start + np.arange(length)) % self.slots
        where = (slots[:, None], block)
        self._join(unroll, block, start)
        self.finals.drop(self.rings["final"], where)
        self._write(unroll, block, where)
        if start % self.stride == 0:
            for name, carry in self.carries.items():
                carry[start // self.stride % self.begun, block] = unroll.carry[name]
        self.time[block] = start + length
        return Change(*self._changed(start, start + length, block))

    def _begin(self, unroll: Unroll) -> None:
        fields = {name: getattr(unroll, name) for name in (*SHOWN, *LIVED)} | _named(unroll.extras)
        rows = {name: (field.shape[2:], field.dtype) for name, field in fields.items() if field is not None}
        carries = {name: (carry.shape[1:], carry.dtype) for name, carry in unroll.carry.items()}
        self._allocate(rows | {"final": ((), np.dtype(np.int32))}, carries)

    def _allocate(
        self,
        rows: Mapping[str, tuple[tuple[int, ...], DTypeLike]],
        carries: Mapping[str, tuple[tuple[int, ...], DTypeLike]],
    ) -> None:
        shapes: dict[str, tuple[tuple[int, ...], DTypeLike]] = {
            name: ((self.slots, self.columns, *shape), dtype) for name, (shape, dtype) in rows.items()
        }
        kept = {
            f"carry/{name}": ((self.begun, self.columns, *shape), dtype) for name, (shape, dtype) in carries.items()
        }
        self.rings = allocate(shapes | kept, self.capacity, self.available)
        self.carries = {name: self.rings.pop(f"carry/{name}") for name in carries}
        self.rings["final"][:] = NOWHERE
        shown = [name for name in SHOWN if name in rows]
        self.front = {name: np.zeros((self.columns, *rows[name][0]), rows[name][1]) for name in shown}

    def _join(self, unroll: Unroll, block: Array, start: int) -> None:
        """Cut off the episodes of a block that neither ended nor go on."""
        if start == 0:
            return
        last = (np.array((start - 1) % self.slots), block)
        ended = self.rings["terminated"][last] | self.rings["truncated"][last]
        broken = block[unroll.first[0] & ~ended]
        if len(broken):
            where = (last[0], broken)
            self.rings["truncated"][where] = True
            self.rings["final"][where] = self.finals.put(*(self.front[n][broken] for n in self.front if n != "first"))

    def _write(self, unroll: Unroll, block: Array, where: tuple[Array, Array]) -> None:
        rings = self.rings
        for name in self.front:
            shown = getattr(unroll, name)
            rings[name][where] = shown[:-1]
            self.front[name][block] = shown[-1]
        for name, field in ({name: getattr(unroll, name) for name in LIVED} | _named(unroll.extras)).items():
            if name in rings:
                rings[name][where] = field
        shown = [array for array in (unroll.final_obs, unroll.final_mask) if array is not None]
        step, row = np.divmod(unroll.final_at, len(block))
        rings["final"][where[0][step, 0], block[row]] = self.finals.put(*shown)

    def _changed(self, before: int, now: int, block: Array) -> tuple[Array, Array]:
        """Rows of a block that became ready between two times, and rows that no longer are."""

        def rows(first: int, last: int) -> Array:
            sequences = np.arange(max(0, first), max(0, last)) % self.begun
            return (sequences[:, None] * self.columns + block).reshape(-1)

        def complete(time: int) -> int:
            return (time - self.length) // self.stride + 1

        def gone(time: int) -> int:
            return -((self.slots - time) // self.stride)

        return rows(max(complete(before), gone(now)), complete(now)), rows(gone(before), gone(now))

    # Reading

    def _locate(self, index: Array) -> tuple[Array, Array]:
        """First step and column of rows; steps below 0 were never made."""
        place, column = np.divmod(index, self.columns)
        newest = self.time[column] // self.stride
        return (newest - (newest - place) % self.begun) * self.stride, column

    def gather(self, index: Array) -> Unroll:
        """The sequences at `index` [m], all of them ready, as an Unroll of `length` steps of m rows."""
        start, column = self._locate(index)
        time = start + np.arange(self.length + 1)[:, None]
        slots = (time[:-1] % self.slots, column)
        fields = {name: self.rings[name][slots] for name in (*LIVED, *self.rings) if name in self.rings}
        number = fields.pop("final")
        final_at = np.flatnonzero(number.reshape(-1) != NOWHERE)
        obs, mask = self._finals(number.reshape(-1)[final_at])
        shown = {name: self._edge(name, fields.pop(name), time[-1], column) for name in self.front}
        extras = {name.partition("/")[2]: fields.pop(name) for name in list(fields) if "/" in name}
        carry = {name: kept[start // self.stride % self.begun, column] for name, kept in self.carries.items()}
        sequences = Unroll(
            obs=shown["obs"],
            mask=shown.get("mask"),
            first=shown["first"],
            action=fields["action"],
            reward=fields["reward"],
            terminated=fields["terminated"],
            truncated=fields["truncated"],
            final_obs=obs,
            final_at=final_at,
            final_mask=mask,
            turn=fields.get("turn"),
            extras=extras,
            carry=carry,
        )
        return self.rewards.relabelled(sequences)

    def _finals(self, numbers: Array) -> tuple[Array, Array | None]:
        if not len(numbers):
            obs, mask = self.front["obs"][:0], self.front.get("mask")
            return obs.copy(), None if mask is None else mask[:0].copy()
        found = self.finals.get(numbers)
        return found[0], found[1] if len(found) > 1 else None

    def _edge(self, name: str, shown: Array, time: Array, column: Array) -> Array:
        """With what is shown behind the last step: the next one's, or what the column shows now."""
        behind = self.rings[name][time % self.slots, column]
        open_ = time == self.time[column]
        behind[open_] = self.front[name][column[open_]]
        return np.concatenate([shown, behind[None]])

    # Resuming

    def state_dict(self) -> State:
        """The filled part only. The arrays are views: write them out before adding more."""
        filled = int(self.time.max())
        return {
            "capacity": self.capacity,
            "columns": self.columns,
            "length": self.length,
            "stride": self.stride,
            "time": self.time.copy(),
            "rings": {name: ring[:filled] for name, ring in self.rings.items()},
            "carries": {name: carry.copy() for name, carry in self.carries.items()},
            "front": {name: shown.copy() for name, shown in self.front.items()},
            "finals": self.finals.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        for name in ("capacity", "columns", "length", "stride"):
            if state[name] != getattr(self, name):
                raise ValueError(f"the saved memory has {name} {state[name]}, but this one {getattr(self, name)}")
        if state["rings"]:
            rows = {name: (ring.shape[2:], ring.dtype) for name, ring in state["rings"].items()}
            self._allocate(rows, {name: (carry.shape[2:], carry.dtype) for name, carry in state["carries"].items()})
        for name, ring in state["rings"].items():
            self.rings[name][: len(ring)] = ring
        for name, carry in state["carries"].items():
            self.carries[name][:] = carry
        self.time = state["time"].copy()
        self.front = {name: shown.copy() for name, shown in state["front"].items()}
        self.finals.load_state_dict(state["finals"])


def _named(extras: Mapping[str, Array]) -> dict[str, Array]:
    return {f"extras/{name}": value for name, value in extras.items()}

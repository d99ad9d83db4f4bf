"""Rows in a ring: the newest `capacity` rows of any NamedTuple of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from agents.api import State
from agents.footprint import NotEnoughMemory, available_memory
from agents.records import Experience, Transition
from envs.api import Array


class Change(NamedTuple):
    """What an `add` did to the indices of a table. `stale` is meant first: an index may be in both."""

    fresh: Array  # [m] int64, where rows can now be sampled that could not before
    stale: Array  # [k] int64, where rows can no longer be sampled


def allocate(
    fields: dict[str, tuple[tuple[int, ...], DTypeLike]], capacity: int, available: Callable[[], int]
) -> dict[str, Array]:
    """Zeroed arrays by name, of pages that cost nothing until written to. Raises NotEnoughMemory if they can't fit."""
    needed = sum(int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize for shape, dtype in fields.values())
    if needed > (free := available()):
        raise NotEnoughMemory("memory.capacity", capacity, needed, free)
    return {name: np.zeros(shape, dtype) for name, (shape, dtype) in fields.items()}


class Table:
    """`kind` is the NamedTuple of the rows, each field [n, ...] or None; dtypes and shapes come with the first rows."""

    gaps = False

    def __init__(self, capacity: int, kind: Any = Transition, available: Callable[[], int] = available_memory) -> None:
        self.capacity, self.kind, self.available = capacity, kind, available
        self.added = 0  # rows ever
        self.fields: dict[str, Array] = {}  # [capacity, ...]

    @property
    def size(self) -> int:
        """Rows lie at 0 .. size - 1."""
        return min(self.added, self.capacity)

    def add(self, experience: Experience) -> Change:
        return Change(self.append(experience.rows), np.empty(0, np.int64))

    def append(self, rows: Any) -> Array:
        """Write n rows over the oldest ones; returns where they lie, [n]."""
        count = len(rows[0])
        if count > self.capacity:
            raise ValueError(f"{count} rows at once don't fit: set memory.capacity, now {self.capacity}, to more")
        if not self.fields:
            present = {name: field for name, field in rows._asdict().items() if field is not None}
            shapes = {name: ((self.capacity, *field.shape[1:]), field.dtype) for name, field in present.items()}
            self.fields = allocate(shapes, self.capacity, self.available)
        start = self.added % self.capacity
        fits = min(count, self.capacity - start)
        for name, column in self.fields.items():
            field = getattr(rows, name)
            column[start : start + fits] = field[:fits]
            if fits < count:
                column[: count - fits] = field[fits:]
        self.added += count
        return (start + np.arange(count)) % self.capacity

    def ready(self, index: Array) -> Array:
        """Whether the rows at `index` can be sampled, bool."""
        return index < self.size

    def gather(self, index: Array) -> Any:
        """Copies of the rows at `index` [n]."""
        return self.kind(
            *[self.fields[name].take(index, 0) if name in self.fields else None for name in self.kind._fields]
        )

    def state_dict(self) -> State:
        """The filled part only. The arrays are views: write them out before adding more."""
        return {
            "capacity": self.capacity,
            "added": self.added,
            "fields": {name: column[: self.size] for name, column in self.fields.items()},
        }

    def load_state_dict(self, state: State) -> None:
        if state["capacity"] != self.capacity:
            raise ValueError(f"memory.capacity is {self.capacity}, but the saved memory has {state['capacity']}")
        stored = state["fields"]
        shapes = {name: ((self.capacity, *column.shape[1:]), column.dtype) for name, column in stored.items()}
        self.fields = allocate(shapes, self.capacity, self.available)
        self.added = state["added"]
        for name, column in stored.items():
            self.fields[name][: self.size] = column

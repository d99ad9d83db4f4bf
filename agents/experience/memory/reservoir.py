"""A uniform sample of all rows that ever came: algorithm R (Vitter 1985, https://doi.org/10.1145/3147.3165)."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.api import State
from agents.experience.memory.table import allocate
from agents.footprint import available_memory
from envs.api import Array


class Reservoir:
    """At most `capacity` rows of any NamedTuple of arrays, each that ever came with the same probability."""

    def __init__(self, capacity: int, kind: Any, rng: np.random.Generator) -> None:
        self.capacity, self.kind, self.rng = capacity, kind, rng
        self.seen = 0  # rows ever
        self.fields: dict[str, Array] = {}  # [capacity, ...]

    @property
    def size(self) -> int:
        """Rows lie at 0 .. size - 1."""
        return min(self.seen, self.capacity)

    def add(self, rows: Any) -> None:
        """Offer n rows. Row number i, from 0, is kept with probability capacity / (i + 1), in place of any other."""
        count = len(rows[0])
        if not count:
            return
        if not self.fields:
            self._allocate({name: (field.shape[1:], field.dtype) for name, field in rows._asdict().items()})
        number = np.arange(self.seen, self.seen + count)
        place = np.where(number < self.capacity, number, self.rng.integers(0, number + 1))
        place, last = np.unique(place[::-1], return_index=True)  # of two rows for one place the later one stays
        kept = place < self.capacity
        place, source = place[kept], count - 1 - last[kept]
        for name, column in self.fields.items():
            column[place] = getattr(rows, name)[source]
        self.seen += count

    def sample(self, n: int) -> Any:
        """Copies of n rows, drawn with replacement. Raises ValueError where there is none."""
        if not self.size:
            raise ValueError("nothing to sample: no row has come yet")
        index = self.rng.integers(0, self.size, n)
        return self.kind(*[self.fields[name].take(index, 0) for name in self.kind._fields])

    def state_dict(self) -> State:
        """The filled part only. The arrays are views: write them out before adding more."""
        return {
            "capacity": self.capacity,
            "seen": self.seen,
            "rng": self.rng.bit_generator.state,
            "fields": {name: column[: self.size] for name, column in self.fields.items()},
        }

    def load_state_dict(self, state: State) -> None:
        if state["capacity"] != self.capacity:
            raise ValueError(f"memory.capacity is {self.capacity}, but the saved memory has {state['capacity']}")
        stored = state["fields"]
        self.fields = {}
        if stored:
            self._allocate({name: (column.shape[1:], column.dtype) for name, column in stored.items()})
        self.seen = state["seen"]
        self.rng.bit_generator.state = state["rng"]
        for name, column in stored.items():
            self.fields[name][: self.size] = column

    def _allocate(self, rows: dict[str, tuple[tuple[int, ...], Any]]) -> None:
        shapes = {name: ((self.capacity, *shape), dtype) for name, (shape, dtype) in rows.items()}
        self.fields = allocate(shapes, self.capacity, available_memory)

"""Replay: a table holds the rows, a selection picks among them.

    memory = Replay(Table(100_000), Uniform(), batch=64, rng=seeds.generator("memory"))
    memory = Replay(Frames(1_000_000, columns=8, stack=4, gamma=0.99), Prioritized(1_000_000), batch=32, rng=rng)

Both are arguments: any table goes with any selection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from agents.api import State
from agents.experience.memory.table import Change
from agents.records import Experience, Sample
from envs.api import Array

if TYPE_CHECKING:
    from torch import Tensor


class RowStore(Protocol):
    """What holds rows: `Table`, `Frames`."""

    gaps: bool  # whether any of the rows below `size` may not be ready

    @property
    def size(self) -> int:
        """Rows lie at indices below this."""
        ...

    def add(self, experience: Experience) -> Change: ...

    def ready(self, index: Array) -> Array: ...

    def gather(self, index: Array) -> Any: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Selection(Protocol):
    """What picks rows: `Uniform`, `Prioritized`."""

    def change(self, change: Change) -> None: ...

    def select(self, batch: int, table: RowStore, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Indices [batch] of ready rows, and their importance weights or None."""
        ...

    def update(self, index: Array, priority: Tensor) -> None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Replay:
    """A Memory whose `sample` draws `batch` rows; they are copies, safe from later writes."""

    def __init__(self, table: RowStore, select: Selection, batch: int, rng: np.random.Generator) -> None:
        self.table, self.select, self.batch, self.rng = table, select, batch, rng
        self.ready = 0  # rows that can be sampled, as long as none is overwritten: enough to know whether there are any

    def add(self, experience: Experience) -> None:
        change = self.table.add(experience)
        self.ready += len(change.fresh)
        self.select.change(change)

    def sample(self) -> Sample:
        if not self.ready:
            raise ValueError("nothing to sample yet: memory.start must leave time for the first rows to be complete")
        index, weight = self.select.select(self.batch, self.table, self.rng)
        return Sample(self.table.gather(index), index, weight)

    def update(self, sample: Sample, priority: Tensor | None) -> None:
        if priority is not None and sample.index is not None:
            self.select.update(sample.index, priority)

    def state_dict(self) -> State:
        return {
            "table": self.table.state_dict(),
            "select": self.select.state_dict(),
            "rng": self.rng.bit_generator.state,
            "ready": self.ready,
        }

    def load_state_dict(self, state: State) -> None:
        self.table.load_state_dict(state["table"])
        self.select.load_state_dict(state["select"])
        self.rng.bit_generator.state = state["rng"]
        self.ready = state["ready"]

"""All rows at once, in their order: for what learns from everything that it has ever seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.api import State
from agents.experience.memory.replay import RowStore
from agents.experience.memory.table import Change
from envs.api import Array

if TYPE_CHECKING:
    from torch import Tensor


class Whole:
    """Draws nothing: a sample is all rows that are ready, whatever the batch."""

    def change(self, change: Change) -> None:
        """Nothing to note: the table is asked which rows are ready."""

    def select(self, batch: int, table: RowStore, rng: np.random.Generator) -> tuple[Array, None]:
        index = np.arange(table.size)
        return index[table.ready(index)], None

    def update(self, index: Array, priority: Tensor) -> None:
        """Priorities don't matter."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass

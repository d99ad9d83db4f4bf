"""Every row that is ready is equally likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.api import State
from agents.experience.memory.replay import RowStore
from agents.experience.memory.table import Change
from envs.api import Array

if TYPE_CHECKING:
    from torch import Tensor


class Uniform:
    """Draws with replacement."""

    def change(self, change: Change) -> None:
        """Nothing to note: the table is asked which rows are ready."""

    def select(self, batch: int, table: RowStore, rng: np.random.Generator) -> tuple[Array, None]:
        index = rng.integers(0, table.size, batch)
        while table.gaps and not (ready := table.ready(index)).all():
            index[~ready] = rng.integers(0, table.size, batch - np.count_nonzero(ready))
        return index, None

    def update(self, index: Array, priority: Tensor) -> None:
        """Priorities don't matter, and don't leave the learner's device."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass

"""A few arrays among many: kept under numbers, which are used again when what they stand for is dropped."""

from __future__ import annotations

import numpy as np

from agents.api import State
from envs.api import Array

NOWHERE = -1  # what points to nothing


class Few:
    """Under each number one row of each of some arrays, whose shapes come with the first."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []  # each [room, ...]
        self.free: list[int] = []

    def put(self, *rows: Array) -> Array:
        """Keep rows [k, ...] of each array; returns their numbers [k]."""
        count = len(rows[0])
        if not count:
            return np.empty(0, np.int32)
        if not self.arrays:
            self.arrays = [np.empty((0, *part.shape[1:]), part.dtype) for part in rows]
        if len(self.free) < count:
            room = len(self.arrays[0])
            more = max(room, count, 8)
            self.arrays = [np.concatenate([a, np.zeros((more, *a.shape[1:]), a.dtype)]) for a in self.arrays]
            self.free += range(room + more - 1, room - 1, -1)
        numbers = np.array([self.free.pop() for _ in range(count)], np.int32)
        for array, part in zip(self.arrays, rows, strict=True):
            array[numbers] = part
        return numbers

    def get(self, numbers: Array) -> list[Array]:
        """Of each array the rows under `numbers`."""
        return [array[numbers] for array in self.arrays]

    def drop(self, pointers: Array, where: Array | tuple[Array, ...]) -> None:
        """Forget what `pointers[where]` point to, and point them nowhere."""
        numbers = pointers[where]
        self.free += numbers[numbers != NOWHERE].tolist()
        pointers[where] = NOWHERE

    def state_dict(self) -> State:
        return {"arrays": list(self.arrays), "free": list(self.free)}

    def load_state_dict(self, state: State) -> None:
        self.arrays, self.free = [array.copy() for array in state["arrays"]], list(state["free"])

"""Prioritized replay: rows are drawn in proportion to priority^alpha. https://arxiv.org/abs/1511.05952

The sum tree is wide and flat: 16 children to a node, each level one stretch of a float64 array, the root first.
A changed leaf makes its ancestors sum their children anew, so rounding errors don't pile up and the tree is a
function of its leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from agents.api import State
from agents.experience.memory.replay import RowStore
from agents.experience.memory.table import Change
from envs.api import Array

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = 16


def _offsets(leaves: int) -> Array:
    """Where each level of the tree starts, root first, and where the last one ends. All families are whole."""
    sizes = [-(-leaves // WIDTH) * WIDTH]
    while sizes[0] > WIDTH:
        sizes.insert(0, -(-(sizes[0] // WIDTH) // WIDTH) * WIDTH)
    return np.cumsum([0, 1, *sizes])


@njit(cache=True)
def _write(tree: Array, offsets: Array, index: Array, leaf: Array, only_ready: bool) -> None:
    """Set leaves and the sums above them. `only_ready` leaves alone what is 0: rows that can't be sampled."""
    bottom = len(offsets) - 2
    for i in range(len(index)):
        node = index[i]
        if only_ready and tree[offsets[bottom] + node] == 0.0:
            continue
        tree[offsets[bottom] + node] = leaf[i]
        for level in range(bottom, 0, -1):
            node //= WIDTH
            first = offsets[level] + node * WIDTH
            total = 0.0
            for child in range(first, first + WIDTH):
                total += tree[child]
            tree[offsets[level - 1] + node] = total


@njit(cache=True)
def _find(tree: Array, offsets: Array, target: Array) -> Array:
    """The leaf that each `target` in [0, root) falls on. Rounding never leads to a leaf of 0."""
    found = np.empty(len(target), np.int64)
    for i in range(len(target)):
        left, node = target[i], 0
        for level in range(1, len(offsets) - 1):
            first = offsets[level] + node * WIDTH
            chosen = 0
            for child in range(WIDTH):
                value = tree[first + child]
                if value > 0.0:
                    chosen = child
                    if left < value:
                        break
                    left -= value
            node = node * WIDTH + chosen
        found[i] = node
    return found


class Prioritized:
    """`alpha` 0 is uniform, 1 proportional. `beta` goes from `beta` to `beta_end` while `beta_rows` rows become ready.

    `capacity` is that of the table. New rows get the highest priority ever seen, so that each is likely to be
    learned from once. `epsilon` is added to every |priority|: none is 0.
    """

    def __init__(
        self,
        capacity: int,
        alpha: float = 0.6,
        beta: float = 0.4,
        beta_end: float = 1.0,
        beta_rows: int = 1,
        epsilon: float = 1e-6,
    ) -> None:
        if epsilon <= 0:
            raise ValueError(
                f"epsilon must be positive, but is {epsilon}: rows of priority 0 would never be seen again"
            )
        self.capacity, self.alpha, self.epsilon = capacity, alpha, epsilon
        self.beta_start, self.beta_end, self.beta_rows = beta, beta_end, beta_rows
        self.offsets = _offsets(capacity)
        self.tree = np.zeros(self.offsets[-1])
        self.highest = 1.0
        self.rows = 0  # that ever became ready

    @property
    def beta(self) -> float:
        return self.beta_start + (self.beta_end - self.beta_start) * min(1.0, self.rows / self.beta_rows)

    @property
    def leaves(self) -> Array:
        """priority^alpha of each row, [capacity]; 0 where there is none to sample."""
        return self.tree[self.offsets[-2] : self.offsets[-2] + self.capacity]

    def change(self, change: Change) -> None:
        if len(change.stale):
            _write(self.tree, self.offsets, change.stale, np.zeros(len(change.stale)), False)
        _write(self.tree, self.offsets, change.fresh, np.full(len(change.fresh), self.highest**self.alpha), False)
        self.rows += len(change.fresh)

    def select(self, batch: int, table: RowStore, rng: np.random.Generator) -> tuple[Array, Array]:
        """One index from each of `batch` equal shares of the total priority; weights (N P)^-beta / max [batch].

        N cancels: the weight is (lowest / own priority^alpha)^beta, lowest within the batch.
        """
        target = (np.arange(batch) + rng.random(batch)) * (self.tree[0] / batch)
        index = _find(self.tree, self.offsets, target)
        leaf = self.tree[self.offsets[-2] + index]
        return index, ((leaf.min() / leaf) ** self.beta).astype(np.float32)

    def update(self, index: Array, priority: Tensor) -> None:
        """New priorities [n], such as TD errors, for rows that were sampled; of duplicates the last one counts.

        Raises FloatingPointError where one is not finite.
        """
        size = np.abs(priority.detach().cpu().numpy().astype(np.float64)) + self.epsilon
        if not np.isfinite(size).all():
            raise FloatingPointError(f"{np.count_nonzero(~np.isfinite(size))} of {len(size)} priorities are not finite")
        self.highest = max(self.highest, float(size.max()))
        _write(self.tree, self.offsets, index, size**self.alpha, True)

    def state_dict(self) -> State:
        """The leaves; the tree follows from them."""
        return {"leaves": self.leaves.copy(), "highest": self.highest, "rows": self.rows}

    def load_state_dict(self, state: State) -> None:
        if len(state["leaves"]) != self.capacity:
            raise ValueError(f"memory.capacity is {self.capacity}, but the saved memory has {len(state['leaves'])}")
        self.tree[:] = 0.0
        held = np.flatnonzero(state["leaves"])
        _write(self.tree, self.offsets, held, state["leaves"][held], False)
        self.highest, self.rows = state["highest"], state["rows"]

"""Shuffled minibatches of rows that are all there."""

from __future__ import annotations

import numpy as np

from envs.api import Array


def shuffled(rng: np.random.Generator, rows: int, batches: int, size: int) -> Array:
    """Indices of the rows of each batch, [batches, size]: passes in new orders, one after the other, so that each row
    comes as often as any other, but for one time."""
    passes = max(1, -(-batches * size // rows))
    order = np.concatenate([rng.permutation(rows) for _ in range(passes)])
    return order[: batches * size].reshape(batches, size)

"""Minibatches take every row as often."""

from __future__ import annotations

import numpy as np

from agents.parts.batches import shuffled


def test_every_row_comes_as_often() -> None:
    batches = shuffled(np.random.default_rng(0), 8, 6, 4)
    assert batches.shape == (6, 4)
    assert np.bincount(batches.reshape(-1)).tolist() == [3] * 8
    assert all(sorted(batches[at : at + 2].reshape(-1)) == list(range(8)) for at in (0, 2, 4)), "pass after pass"
    assert len({tuple(batches[at : at + 2].reshape(-1)) for at in (0, 2, 4)}) == 3, "each in an order of its own"


def test_where_batches_are_no_whole_passes_counts_differ_by_one() -> None:
    counts = np.bincount(shuffled(np.random.default_rng(0), 7, 5, 3).reshape(-1))
    assert sorted(set(counts.tolist())) == [2, 3] and counts.sum() == 15

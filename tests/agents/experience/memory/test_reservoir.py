"""Reservoir sampling: every row that ever came is kept with the same probability, however it came."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.stats import chisquare

from agents.experience.memory.reservoir import Reservoir
from envs.api import Array


class Row(NamedTuple):
    number: Array
    twice: Array


def rows(begin: int, end: int) -> Row:
    number = np.arange(begin, end)
    return Row(number.astype(np.int32), np.stack([number, number], 1).astype(np.float32) * 2)


def kept(batches: list[int], capacity: int, seed: int, kind: type[Reservoir] = Reservoir) -> Array:
    """What is left of rows that came in batches of these sizes."""
    reservoir, begin = kind(capacity, Row, np.random.default_rng(seed)), 0
    for size in batches:
        reservoir.add(rows(begin, begin + size))
        begin += size
    number = reservoir.fields["number"][: reservoir.size]
    assert np.array_equal(reservoir.fields["twice"][: reservoir.size], np.stack([number, number], 1) * 2)
    assert len(set(number.tolist())) == min(begin, capacity), "each row at most once"
    return number


def p_value(batches: list[int], kind: type[Reservoir] = Reservoir) -> float:
    """Of the hypothesis that 1000 reservoirs of 10 keep each row equally often."""
    counts = np.zeros(sum(batches))
    for seed in range(1000):
        counts[kept(batches, 10, seed, kind)] += 1
    return float(chisquare(counts).pvalue)


class Recent(Reservoir):
    """The broken variant: each row is kept as if the reservoir had only just become full."""

    def add(self, rows: Any) -> None:
        before, self.seen = self.seen, min(self.seen, self.capacity)
        super().add(rows)
        self.seen = before + len(rows.number)


@pytest.mark.parametrize("batches", [[40], [1] * 40, [7, 0, 20, 13]])
def test_every_row_is_as_likely_to_be_kept(batches: list[int]) -> None:
    assert p_value(batches) > 0.001


def test_a_reservoir_that_prefers_the_late_rows_is_noticed() -> None:
    assert p_value([7, 20, 13], Recent) < 1e-6


def test_samples_are_rows_with_replacement() -> None:
    reservoir = Reservoir(100, Row, np.random.default_rng(0))
    with pytest.raises(ValueError, match="no row has come yet"):
        reservoir.sample(1)
    reservoir.add(rows(0, 5))
    drawn = reservoir.sample(5000)
    assert isinstance(drawn, Row) and np.array_equal(drawn.twice[:, 0], drawn.number * 2)
    assert chisquare(np.bincount(drawn.number, minlength=5)).pvalue > 0.001
    drawn.number[:] = -1
    assert reservoir.fields["number"][:5].tolist() == [0, 1, 2, 3, 4], "samples are copies"


@pytest.mark.parametrize("before", [0, 3, 30])
def test_a_restored_reservoir_goes_on_alike(before: int) -> None:
    one = Reservoir(8, Row, np.random.default_rng(1))
    one.add(rows(0, before))
    state = {name: dict(part) if isinstance(part, dict) else part for name, part in one.state_dict().items()}
    state["fields"] = {name: column.copy() for name, column in state["fields"].items()}
    other = Reservoir(8, Row, np.random.default_rng(2))
    other.load_state_dict(state)
    for reservoir in (one, other):
        reservoir.add(rows(before, 60))
    a, b = one.sample(50), other.sample(50)
    assert np.array_equal(a.number, b.number) and np.array_equal(a.twice, b.twice)
    with pytest.raises(ValueError, match=r"memory\.capacity is 9, but the saved memory has 8"):
        Reservoir(9, Row, np.random.default_rng(2)).load_state_dict(state)

"""A table holds the newest rows, against a list of everything that ever came."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest

from agents.experience.memory.table import Table
from agents.footprint import NotEnoughMemory, available_memory
from envs.api import Array
from tests.agents.experience.memory.rows import assert_equal, rows_of


@pytest.mark.parametrize("masked", [False, True])
def test_table_holds_the_newest_rows(masked: bool) -> None:
    table, rng, seen = Table(17), np.random.default_rng(0), 0
    for _ in range(60):
        count = int(rng.integers(1, 18))
        index = table.append(rows_of(np.arange(seen, seen + count), masked))
        assert_equal(table.gather(index), rows_of(np.arange(seen, seen + count), masked))
        seen += count
        assert table.added == seen
        assert table.size == min(seen, 17)
        held = np.sort(table.gather(np.arange(table.size)).action)
        np.testing.assert_array_equal(held, np.arange(seen - table.size, seen))


def test_table_is_generic_and_gathers_copies() -> None:
    class Position(NamedTuple):
        words: Array
        value: Array | None

    table = Table(4, Position)
    table.append(Position(np.arange(3, dtype=np.uint64)[:, None], None))
    rows = table.gather(np.array([2, 0]))
    assert_equal(rows, Position(np.array([[2], [0]], np.uint64), None))
    rows.words[:] = 99
    assert table.gather(np.array([2])).words[0, 0] == 2


def test_table_refuses_before_it_allocates() -> None:
    table = Table(10**15, available=lambda: 10**6)
    with pytest.raises(
        NotEnoughMemory, match=r"needs 48\d{15} bytes, but 1000000 are available.*memory.capacity to 20833"
    ):
        table.append(rows_of(np.arange(2)))
    assert not table.fields
    with pytest.raises(ValueError, match=r"set memory.capacity, now 3, to more"):
        Table(3).append(rows_of(np.arange(4)))
    assert 2**20 < available_memory() < 2**50


def test_table_resumes_exactly_and_stores_what_is_filled() -> None:
    table = Table(10)
    table.append(rows_of(np.arange(4)))
    state = copy.deepcopy(table.state_dict())
    assert state["fields"]["obs"].shape == (4, 4)
    other = Table(10)
    other.load_state_dict(state)
    for number in range(4, 40, 4):  # past the end of the ring
        here, there = (t.append(rows_of(np.arange(number, number + 4))) for t in (table, other))
        np.testing.assert_array_equal(here, there)
        everything = np.arange(table.size)
        assert_equal(table.gather(everything), other.gather(everything))
    with pytest.raises(ValueError, match=r"memory.capacity is 11, but the saved memory has 10"):
        Table(11).load_state_dict(state)
    empty = Table(10)
    empty.load_state_dict(Table(10).state_dict())
    assert empty.size == 0

from __future__ import annotations

import numpy as np

from agents.experience.memory.table import Table
from agents.experience.memory.whole import Whole
from envs.api import Array
from tests.agents.experience.memory.rows import rows_of


def test_all_rows_that_are_ready_come_in_their_order() -> None:
    class Half(Table):
        def ready(self, index: Array) -> Array:
            return index % 2 == 1

    rng = np.random.default_rng(0)
    for kind, expected in ((Table, range(40)), (Half, range(1, 40, 2))):
        table = kind(50)
        table.append(rows_of(np.arange(40)))
        np.testing.assert_array_equal(Whole().select(3, table, rng)[0], expected)

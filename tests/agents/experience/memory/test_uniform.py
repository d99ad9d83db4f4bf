from __future__ import annotations

import numpy as np

from agents.experience.memory.table import Table
from agents.experience.memory.uniform import Uniform
from envs.api import Array
from tests.agents.experience.memory.rows import rows_of
from tests.agents.experience.memory.test_prioritized import chi_square


def test_uniform_draws_ready_rows_evenly() -> None:
    class Half(Table):
        gaps = True

        def ready(self, index: Array) -> Array:
            return index % 2 == 1

    rng, table = np.random.default_rng(0), Half(50)
    table.append(rows_of(np.arange(40)))
    index = np.concatenate([Uniform().select(100, table, rng)[0] for _ in range(400)])
    found = np.bincount(index, minlength=40)
    assert (found[::2] == 0).all()
    assert chi_square(found[1::2], np.full(20, 2000.0)) < 43.8  # 99.9 %, 19 degrees of freedom

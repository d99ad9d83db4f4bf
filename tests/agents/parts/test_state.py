"""The state of what is made of parts."""

from __future__ import annotations

import numpy as np
import pytest

from agents.api import State
from agents.parts.state import Assembled
from envs.normalize import Moments


class Owner(Assembled):
    STATE = ("moments", "rng", "table", "updates")

    def __init__(self, seed: int) -> None:
        self.moments = Moments(())
        self.rng = np.random.default_rng(seed)
        self.table = np.zeros(2)
        self.updates = 0

    def live(self) -> tuple[float, float, float, int]:
        self.moments.update(np.array([self.rng.random()]))
        self.table += self.moments.mean
        self.updates += 1
        return float(self.moments.mean), self.rng.random(), float(self.table.sum()), self.updates


def test_an_owner_goes_on_as_the_one_that_was_saved() -> None:
    owner, other = Owner(0), Owner(1)
    owner.live()
    saved = owner.state_dict()
    future = [owner.live() for _ in range(3)]
    other.load_state_dict(saved)
    assert [other.live() for _ in range(3)] == future, "and what was saved is a copy"
    other.load_state_dict(saved | {"updates": 7})
    assert other.live()[3] == 8


@pytest.mark.parametrize("other", [{"network": 1}, {"updates": 1, "rng": {}}, {}])
def test_a_state_of_other_parts_is_refused_by_name(other: State) -> None:
    owner = Owner(0)
    with pytest.raises(ValueError, match=r"another version of .*test_state.*moments, rng, table, updates"):
        owner.load_state_dict(other)
    assert owner.updates == 0

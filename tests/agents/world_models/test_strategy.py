from __future__ import annotations

import numpy as np
import pytest

from agents.world_models.strategy import CMA

pytest.importorskip("cma")
OPTIMUM = np.array([1.0, -2.0, 0.5])


def worth(found: np.ndarray) -> np.ndarray:
    """A bowl ten times as steep in one direction as in another."""
    return -((found - OPTIMUM) ** 2 @ np.array([1.0, 10.0, 3.0]))


def run(strategy: CMA, generations: int) -> CMA:
    for _ in range(generations):
        strategy.tell(worth(strategy.ask()))
    return strategy


def test_it_climbs() -> None:
    np.testing.assert_allclose(run(CMA(3, 12, 0.5, 0), 60).mean, OPTIMUM, atol=1e-3)


def test_what_is_saved_goes_on_bit_for_bit_also_in_the_middle_of_a_generation() -> None:
    straight, other = run(CMA(3, 8, 0.5, 7), 5), CMA(3, 8, 0.5, 7)
    asked = straight.ask()
    other.load_state_dict(straight.state_dict())
    np.testing.assert_array_equal(other.ask(), asked)
    np.testing.assert_array_equal(run(other, 4).mean, run(straight, 4).mean)
    assert other.sigma == straight.sigma


def test_seeds_differ_and_nothing_else_draws() -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    one, same, another = (CMA(3, 8, 0.5, seed).ask() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != another).any()
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index]  # noqa: NPY002


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cma", None)
    with pytest.raises(ValueError, match=r"pip install 'sparring\[evolution\]'"):
        CMA(3, 8, 0.5, 0)

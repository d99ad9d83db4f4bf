"""Tours whose length is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from supervised.graphs.matrices import Array
from supervised.graphs.tours import distances, farthest_insertion, held_karp, length, nearest_neighbour, two_opt


def circle(n: int) -> Array:
    angle = 2 * np.pi * np.arange(n) / n
    return np.column_stack([np.cos(angle), np.sin(angle)])


def grid(rows: int, columns: int) -> Array:
    return np.array(list(itertools.product(range(rows), range(columns))), float)


@pytest.mark.parametrize(
    ("points", "shortest"),
    [
        (circle(6), 6.0),
        (circle(10), 6.180340),
        (circle(12), 6.211657),
        (grid(3, 4), 12.0),
        (grid(3, 3), 8 + np.sqrt(2)),
        (np.random.default_rng(0).random((12, 2)), 3.413337386),
        (np.array([[0.0, 0], [1, 0]]), 2.0),
        (np.zeros((1, 2)), 0.0),
    ],
)
def test_the_shortest(points: Array, shortest: float) -> None:
    distance = distances(points)
    found, tour = held_karp(distance)
    assert found == pytest.approx(shortest, abs=1e-6) and length(distance, tour) == pytest.approx(found)
    assert sorted(tour) == list(range(len(points)))


@pytest.mark.parametrize("seed", range(5))
def test_no_order_is_shorter(seed: int) -> None:
    distance = distances(np.random.default_rng(seed).random((7, 2)))
    every = (length(distance, np.array([0, *rest])) for rest in itertools.permutations(range(1, 7)))
    assert held_karp(distance)[0] == pytest.approx(min(every))


def test_quick_ones_are_a_little_longer() -> None:
    """Of 30 squares of 10 points: nearest neighbour is 10.5 % longer on average; bounds at 4 standard errors of some
    8 % each. Turning stretches around shortens any tour."""
    gaps = []
    for seed in range(30):
        distance = distances(np.random.default_rng(seed).random((10, 2)))
        best = held_karp(distance)[0]
        tours = [nearest_neighbour(distance), farthest_insertion(distance)]
        tours.append(two_opt(distance, tours[0]))
        assert all(sorted(tour) == list(range(10)) for tour in tours)
        gaps.append([length(distance, tour) / best - 1 for tour in tours])
    nearest, insertion, turned = np.mean(gaps, 0)
    assert nearest == pytest.approx(0.105, abs=4 * 0.08 / np.sqrt(30))
    assert 0 <= turned < nearest / 2 and 0 <= insertion < nearest / 2
    assert np.min(gaps) > -1e-12


def test_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 16"):
        held_karp(distances(np.random.default_rng(0).random((17, 2))))

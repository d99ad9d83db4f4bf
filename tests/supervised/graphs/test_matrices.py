"""Matrices of known graphs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from supervised.graphs.matrices import (
    Array,
    adjacency,
    fiedler,
    laplacian,
    modularity,
    normalized_laplacian,
    pagerank,
    spanning_trees,
    transitivity,
)

networkx = pytest.importorskip("networkx")


def karate(weighted: bool = False) -> Array:
    return np.asarray(networkx.to_numpy_array(networkx.karate_club_graph(), weight="weight" if weighted else None))


def grid(rows: int, columns: int) -> Array:
    return np.asarray(networkx.to_numpy_array(networkx.grid_2d_graph(rows, columns)))


def clubs() -> Array:
    return np.array([node["club"] == "Mr. Hi" for _, node in networkx.karate_club_graph().nodes(data=True)])


def test_spectrum_of_the_karate_club() -> None:
    values = np.linalg.eigvalsh(laplacian(karate()))
    np.testing.assert_allclose(values[[0, 1, 2, 3, -1]], [0, 0.468525, 0.909248, 1.125011, 18.136696], atol=1e-6)
    values = np.linalg.eigvalsh(normalized_laplacian(karate()))
    np.testing.assert_allclose(values[[0, 1, -1]], [0, 0.132272, 1.714611], atol=1e-6)


def test_the_cut_of_the_karate_club_errs_twice() -> None:
    split = fiedler(karate()) > 0
    assert np.flatnonzero(split != clubs()).tolist() in ([2, 8], [i for i in range(34) if i not in (2, 8)])
    assert modularity(karate(), clubs()) == pytest.approx(0.358235, abs=1e-6)
    assert transitivity(karate()) == pytest.approx(0.255682, abs=1e-6)
    assert np.trace(np.linalg.matrix_power(karate(), 3)) / 6 == 45


def test_petersen() -> None:
    values = np.linalg.eigvalsh(laplacian(np.asarray(networkx.to_numpy_array(networkx.petersen_graph()))))
    np.testing.assert_allclose(values, [0, *[2] * 5, *[5] * 4], atol=1e-12)


@pytest.mark.parametrize(
    ("graph", "count"),
    [
        (np.ones((5, 5)) - np.eye(5), 125),
        (adjacency(6, itertools.product(range(3), range(3, 6))), 81),
        (adjacency(8, [(i, i ^ 1 << b) for i in range(8) for b in range(3)]), 384),
        (adjacency(10, [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)]
                       + [(5 + i, 5 + (i + 2) % 5) for i in range(5)]), 2000),
        (grid(3, 3), 192),
        (grid(4, 4), 100352),
        (karate(), 5_090_996_323_019_136),
        (adjacency(4, [(0, 1), (2, 3)]), 0),
        (adjacency(1, []), 1),
    ],
)  # fmt: skip
def test_spanning_trees(graph: Array, count: int) -> None:
    assert spanning_trees(graph) == count


def test_a_float_determinant_is_not_enough() -> None:
    """Why trees are counted in whole numbers."""
    assert round(float(np.linalg.det(laplacian(karate())[1:, 1:]))) != 5_090_996_323_019_136


def test_pages() -> None:
    pages = adjacency(4, [(0, 1), (0, 2), (1, 2), (2, 0), (3, 2)], directed=True)
    np.testing.assert_allclose(pagerank(pages), [0.372527, 0.195824, 0.394149, 0.0375], atol=1e-6)
    ranks = pagerank(karate())
    np.testing.assert_allclose(ranks[[33, 0, 32, 2]], [0.100919, 0.096997, 0.071693, 0.057079], atol=1e-6)
    ranks = pagerank(karate(weighted=True))
    np.testing.assert_allclose(ranks[[33, 0, 32, 2]], [0.096989, 0.088500, 0.075934, 0.062766], atol=1e-6)
    hanging = pagerank(adjacency(2, [(0, 1)], directed=True))  # node 1 leads nowhere: its surfers jump
    assert hanging.sum() == pytest.approx(1) and hanging[1] > hanging[0]


def test_laplacians_measure_differences() -> None:
    graph, x = karate(weighted=True), np.random.default_rng(0).standard_normal(34)
    differences = (graph * np.square(x[:, None] - x)).sum() / 2
    assert x @ laplacian(graph) @ x == pytest.approx(differences)
    alone = normalized_laplacian(adjacency(3, [(0, 1)]))
    np.testing.assert_array_equal(alone[2], 0)
    with pytest.raises(ValueError, match="leads out of the nodes"):
        adjacency(3, [(0, 3)])

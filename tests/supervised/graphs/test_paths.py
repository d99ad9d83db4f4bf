"""Shortest paths three ways, and smallest trees against networkx."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.graphs.matrices import Array, adjacency
from supervised.graphs.paths import breadth_first, dijkstra, floyd_warshall, prim

networkx = pytest.importorskip("networkx")


def drawn(seed: int, directed: bool = True) -> Array:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 15))
    graph = rng.integers(1, 10, (n, n)) * (rng.random((n, n)) < 0.3)
    np.fill_diagonal(graph, 0)
    return (graph if directed else np.triu(graph) + np.triu(graph).T).astype(float)


@pytest.mark.parametrize("seed", range(100))
def test_all_ways_agree(seed: int) -> None:
    graph = drawn(seed)
    every = floyd_warshall(graph)
    for source in range(len(graph)):
        distance, before = dijkstra(graph, source)
        np.testing.assert_array_equal(distance, every[source])
        for node in np.flatnonzero(before >= 0):
            assert distance[node] == distance[before[node]] + graph[before[node], node]
        np.testing.assert_array_equal(breadth_first(graph, source), floyd_warshall((graph > 0).astype(float))[source])


@pytest.mark.parametrize("seed", range(20))
def test_the_smallest_tree(seed: int) -> None:
    graph = drawn(seed, directed=False)
    peer = networkx.from_numpy_array(graph)
    if networkx.is_connected(peer):
        tree = prim(graph)
        assert len(tree) == len(graph) - 1 and networkx.is_tree(networkx.Graph(tree))
        assert sum(graph[edge] for edge in tree) == networkx.minimum_spanning_tree(peer).size("weight")
    else:
        with pytest.raises(ValueError, match="no tree joins"):
            prim(graph)


def test_the_tree_of_the_karate_club() -> None:
    graph = networkx.to_numpy_array(networkx.karate_club_graph())
    assert sum(graph[edge] for edge in prim(graph)) == 68


def test_lengths_below_zero() -> None:
    detour = adjacency(3, [(0, 1, 4.0), (0, 2, 2.0), (1, 2, -3.0)], directed=True)
    assert floyd_warshall(detour)[0, 2] == 1
    with pytest.raises(ValueError, match="shorter than 0"):
        dijkstra(detour, 0)
    with pytest.raises(ValueError, match="ever shorter"):
        floyd_warshall(adjacency(2, [(0, 1, 1.0), (1, 0, -2.0)], directed=True))

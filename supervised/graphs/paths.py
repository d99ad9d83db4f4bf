"""Shortest paths and smallest trees. A graph is its adjacency matrix [n, n] of lengths, 0 where there is no edge."""

from __future__ import annotations

import heapq
from collections import deque

import numpy as np

from supervised.graphs.matrices import Array


def breadth_first(graph: Array, source: int) -> Array:
    """The number of edges [n] from the source on, inf where no path leads."""
    distance = np.full(len(graph), np.inf)
    distance[source] = 0
    queue = deque([source])
    while queue:
        node = queue.popleft()
        for after in np.flatnonzero(graph[node]):
            if distance[after] == np.inf:
                distance[after] = distance[node] + 1
                queue.append(int(after))
    return distance


def dijkstra(graph: Array, source: int) -> tuple[Array, Array]:
    """Distances [n], inf where no path leads, and on each shortest path the node before, -1 where there is none (1959,
    https://doi.org/10.1007/BF01386390). Raises ValueError for negative lengths."""
    if (graph < 0).any():
        raise ValueError("an edge is shorter than 0, which Dijkstra's algorithm can't take")
    distance, before = np.full(len(graph), np.inf), np.full(len(graph), -1)
    distance[source] = 0
    heap, closed = [(0.0, source)], np.zeros(len(graph), bool)
    while heap:
        _, node = heapq.heappop(heap)
        if closed[node]:
            continue
        closed[node] = True
        for after in np.flatnonzero(graph[node]):
            length = distance[node] + graph[node, after]
            if length < distance[after]:
                distance[after], before[after] = length, node
                heapq.heappush(heap, (float(length), int(after)))
    return distance, before


def floyd_warshall(graph: Array) -> Array:
    """All distances [n, n]. Lengths may be negative; raises ValueError where a circle is shorter than 0."""
    distance = np.where(graph != 0, graph, np.inf)
    np.fill_diagonal(distance, np.minimum(distance.diagonal(), 0))
    for via in range(len(graph)):
        distance = np.minimum(distance, distance[:, via, None] + distance[via])
    if (distance.diagonal() < 0).any():
        raise ValueError("going round a circle gets ever shorter")
    return distance


def prim(graph: Array) -> list[tuple[int, int]]:
    """The edges of the smallest tree that joins all nodes, in the order in which it grows from node 0 (1957,
    https://doi.org/10.1002/j.1538-7305.1957.tb01515.x). Raises ValueError where none joins them."""
    n = len(graph)
    cost, parent, inside = np.full(n, np.inf), np.full(n, -1), np.zeros(n, bool)
    cost[0] = 0
    tree = []
    for _ in range(n):
        node = int(np.where(inside, np.inf, cost).argmin())
        if inside[node] or cost[node] == np.inf:
            raise ValueError(f"no tree joins all nodes: there is no way from node 0 to {n - int(inside.sum())} of them")
        inside[node] = True
        if parent[node] >= 0:
            tree.append((int(parent[node]), node))
        nearer = (graph[node] != 0) & ~inside & (graph[node] < cost)
        cost[nearer], parent[nearer] = graph[node][nearer], node
    return tree

"""Round tours: the shortest one, and ones that are found quickly. Points are [n, 2]; a tour is an order of all [n]."""

from __future__ import annotations

import itertools

import numpy as np

from supervised.graphs.matrices import Array


def distances(points: Array) -> Array:
    """Euclidean, [n, n]."""
    return np.asarray(np.linalg.norm(points[:, None] - points, axis=-1))


def length(distance: Array, tour: Array) -> float:
    """Of a tour that closes."""
    return float(distance[tour, np.roll(tour, -1)].sum())


def held_karp(distance: Array) -> tuple[float, Array]:
    """The shortest tour's length and order, by the best ways through every set of nodes to each of its last: n^2 2^n
    steps (Bellman 1962; Held and Karp 1962, https://doi.org/10.1137/0110015). Raises ValueError from 17 nodes up."""
    n = len(distance)
    if n > 16:
        raise ValueError(f"{n} nodes have {2**n} sets: more than 16 are too many")
    if n < 3:
        return length(distance, np.arange(n)), np.arange(n)
    others = n - 1  # node n - 1 is where tours begin
    best = np.full((1 << others, others), np.inf)
    before = np.full((1 << others, others), -1)
    for node in range(others):
        best[1 << node, node] = distance[others, node]
    for chosen in range(1, 1 << others):
        inside = [node for node in range(others) if chosen >> node & 1]
        if len(inside) == 1:
            continue
        for node in inside:
            ways = best[chosen ^ (1 << node)] + distance[:others, node]
            before[chosen, node] = ways.argmin()
            best[chosen, node] = ways.min()
    closed = best[-1] + distance[:others, others]
    tour, chosen, node = [others], (1 << others) - 1, int(closed.argmin())
    while node >= 0:
        tour.append(node)
        chosen, node = chosen ^ (1 << node), int(before[chosen, node])
    return float(closed.min()), np.array(tour)


def nearest_neighbour(distance: Array, start: int = 0) -> Array:
    """Always on to the nearest node that has not been visited."""
    tour, left = [start], np.ones(len(distance), bool)
    left[start] = False
    while left.any():
        tour.append(int(np.where(left, distance[tour[-1]], np.inf).argmin()))
        left[tour[-1]] = False
    return np.array(tour)


def farthest_insertion(distance: Array) -> Array:
    """The node that is farthest from the tour comes in next, where it lengthens it least."""
    tour = [0]
    while len(tour) < len(distance):
        apart = distance[:, tour].min(1)
        apart[tour] = -1
        node = int(apart.argmax())
        here, there = np.array(tour), np.roll(tour, -1)
        tour.insert(int((distance[here, node] + distance[node, there] - distance[here, there]).argmin()) + 1, node)
    return np.array(tour)


def two_opt(distance: Array, tour: Array) -> Array:
    """Turn stretches of the tour around as long as that shortens it: no two of its edges cross in the end."""
    tour, n, shorter = tour.copy(), len(tour), True
    while shorter:
        shorter = False
        for i, j in itertools.combinations(range(n), 2):
            if j - i < 2 or (i == 0 and j == n - 1):
                continue
            a, b, c, d = tour[i], tour[i + 1], tour[j], tour[(j + 1) % n]
            if distance[a, c] + distance[b, d] < distance[a, b] + distance[c, d] - 1e-12:
                tour[i + 1 : j + 1] = tour[i + 1 : j + 1][::-1]
                shorter = True
    return tour

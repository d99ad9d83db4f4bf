"""What the matrices of a graph say. A graph is its adjacency matrix [n, n]: weights, 0 where there is no edge;
symmetric unless an edge i -> j, at [i, j], has a direction.

    adjacency(4, [(0, 1), (1, 2), (2, 3)])
    np.linalg.eigvalsh(laplacian(graph))    # as many zeros as there are parts
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def adjacency(nodes: int, edges: Iterable[tuple[int, int] | tuple[int, int, float]], directed: bool = False) -> Array:
    """float64 [n, n] of edges (i, j) or (i, j, weight). Raises ValueError for a node that isn't there."""
    found = np.zeros((nodes, nodes))
    for i, j, *weight in edges:
        if not (0 <= i < nodes and 0 <= j < nodes):
            raise ValueError(f"the edge ({i}, {j}) leads out of the nodes 0 to {nodes - 1}")
        found[i, j] = weight[0] if weight else 1.0
        if not directed:
            found[j, i] = found[i, j]
    return found


def laplacian(graph: Array) -> Array:
    """D - A, with the degrees on the diagonal: x' L x is the sum over edges of weight (x_i - x_j)^2."""
    return np.diag(graph.sum(1)) - graph


def normalized_laplacian(graph: Array) -> Array:
    """I - D^-1/2 A D^-1/2; rows of nodes without edges are 0. Eigenvalues lie in [0, 2]."""
    degree = graph.sum(1)
    root = np.divide(1, np.sqrt(degree), out=np.zeros(len(graph)), where=degree > 0)
    return np.diag((degree > 0).astype(float)) - root[:, None] * graph * root


def fiedler(graph: Array) -> Array:
    """The eigenvector [n] of the Laplacian's second smallest eigenvalue: its signs cut the graph where little is cut.
    The sign of all is that which makes the first entry positive."""
    vector = np.linalg.eigh(laplacian(graph))[1][:, 1]
    return np.asarray(vector if vector[0] >= 0 else -vector)


def spanning_trees(graph: Array) -> int:
    """How many trees join all nodes by edges of a graph without weights: any cofactor of the Laplacian (Kirchhoff
    1847). Exact: by elimination in whole numbers (Bareiss 1968, https://doi.org/10.1090/S0025-5718-1968-0226829-0)."""
    rows = [[int(entry) for entry in row] for row in laplacian(graph)[1:, 1:]]
    size, before, sign = len(rows), 1, 1
    for k in range(size - 1):
        pivot = next((i for i in range(k, size) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, size):
            for j in range(k + 1, size):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // before
        before = rows[k][k]
    return sign * rows[-1][-1] if size else 1


def pagerank(graph: Array, damping: float = 0.85) -> Array:
    """Where a surfer is found [n] who follows an edge out, by its weight, with this chance, and jumps to any node
    otherwise; from a node without an edge out always (Page et al. 1999). By one linear solve."""
    n, out = len(graph), graph.sum(1, keepdims=True)
    follow = np.where(out > 0, graph / np.where(out > 0, out, 1), 1 / n)
    return np.asarray(np.linalg.solve(np.eye(n) - damping * follow.T, np.full(n, (1 - damping) / n)))


def modularity(graph: Array, community: Array) -> float:
    """The share of edges within communities [n] less what it would be if ends met by chance (Newman and Girvan 2004,
    https://doi.org/10.1103/PhysRevE.69.026113)."""
    degree, whole = graph.sum(1), graph.sum()
    within = community[:, None] == community
    return float((within * (graph - np.outer(degree, degree) / whole)).sum() / whole)


def transitivity(graph: Array) -> float:
    """Of all paths of two edges in a graph without weights the share whose ends are joined."""
    two = graph @ graph
    paths = two.sum() - np.trace(two)
    return float((two * graph).sum() / paths) if paths else 0.0

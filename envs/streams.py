"""Random streams for compiled code: one uint64 for each row, so that no row's luck depends on the others.

The generator is splitmix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envs.api import Array
from envs.compiled import INLINED, compiler

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

kernel, inner = compiler([]), compiler([], **INLINED)


@inner
def mix(word: Any) -> Any:
    """A uint64 that looks unlike `word`, and is another one for every word."""
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


@kernel
def seed(seeds: Array, streams: Array) -> None:
    """Begin streams [n] at seeds [n], uint64. Mixed, so that neighbouring seeds begin far from each other."""
    for row in range(len(seeds)):
        streams[row] = mix(seeds[row] ^ SECOND)


@inner
def word(streams: Array, row: int) -> Any:
    """The next uint64."""
    streams[row] += GAMMA
    return mix(streams[row])


@kernel
def words(streams: Array, rows: Array, found: Array) -> None:
    """The next uint64 of each of `rows`, written to found [len(rows)]."""
    for index in range(len(rows)):
        found[index] = word(streams, rows[index])


@inner
def uniform(streams: Array, row: int) -> float:
    """Uniform in (0, 1): never 0, so that it has a logarithm."""
    return (np.float64(word(streams, row) >> np.uint64(12)) + 0.5) * 2.0**-52


@inner
def below(streams: Array, row: int, n: int) -> Any:
    """Uniform in 0 .. n - 1, for n up to 2^32; the bias is below n / 2^32."""
    return np.int64(((word(streams, row) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@inner
def shuffle(streams: Array, row: int, values: Array, n: int) -> None:
    """Put the first n of `values` in random order."""
    for last in range(n - 1, 0, -1):
        other = below(streams, row, last + 1)
        values[last], values[other] = values[other], values[last]


@inner
def draw(streams: Array, row: int, weights: Array, n: int) -> int:
    """An index below n in proportion to weights, not all 0; never one of weight 0."""
    total = 0.0
    for index in range(n):
        total += weights[index]
    left = uniform(streams, row) * total
    chosen = 0
    for index in range(n):
        if weights[index] > 0:
            chosen = index
            left -= weights[index]
            if left < 0:
                break
    return chosen


@inner
def gumbel(streams: Array, row: int) -> float:
    """Standard Gumbel."""
    return -math.log(-math.log(uniform(streams, row)))


@inner
def normal(streams: Array, row: int) -> float:
    """Standard normal (Box, Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(uniform(streams, row)))
    return radius * math.cos(2.0 * math.pi * uniform(streams, row))


@inner
def gamma(streams: Array, row: int, shape: float) -> float:
    """Gamma of scale 1 (Marsaglia, Tsang 2000, https://doi.org/10.1145/358407.358414)."""
    boost = 1.0 if shape >= 1 else uniform(streams, row) ** (1.0 / shape)
    d = (shape if shape >= 1 else shape + 1) - 1.0 / 3.0
    while True:
        x = normal(streams, row)
        v = (1.0 + x / math.sqrt(9.0 * d)) ** 3
        if v > 0 and math.log(uniform(streams, row)) < 0.5 * x * x + d - d * v + d * math.log(v):
            return boost * d * v

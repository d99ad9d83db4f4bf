"""Data to model: digits as pictures, and mixtures of normals whose modes can be counted.

data = examples("digits", held_out=0.2, rng=np.random.default_rng(0))
data.train.inputs                                       # [1437, 1, 8, 8] float32 in [0, 1]
data = examples("ring", held_out=0.2, rng=...)          # [16000, 2], around data.centres [8, 2]
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from supervised.datasets import Labelled, read, split

Array = NDArray[Any]
Name = Literal["digits", "ring", "grid"]
COUNT = 20_000  # of normals: as many as are drawn


class Examples(NamedTuple):
    """Targets are classes: the digit, or the number of the normal."""

    train: Labelled
    held_out: Labelled
    classes: int
    bounded: bool  # whether inputs are in [0, 1]
    centres: Array | None = None  # [K, 2] of the normals
    deviation: float = 0.0


def examples(name: Name, held_out: float, rng: np.random.Generator) -> Examples:
    """The data of this name, split. "ring": 8 normals of deviation .02 on a circle of radius 2; "grid": 25 of deviation
    .05 on a square of side 8 (Srivastava et al. 2017, https://arxiv.org/abs/1705.07761)."""
    if name == "digits":
        inputs, targets = read("digits")
        rows = Labelled(inputs.reshape(-1, 1, 8, 8) / 16, targets)
        return Examples(*split(rows, held_out, rng), classes=10, bounded=True)
    if name == "ring":
        angles = 2 * np.pi * np.arange(8) / 8
        centres, deviation = 2 * np.stack([np.cos(angles), np.sin(angles)], 1), 0.02
    else:
        side = np.linspace(-4, 4, 5)
        centres, deviation = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), 0.05
    targets = rng.integers(len(centres), size=COUNT)
    inputs = (centres[targets] + rng.normal(0, deviation, (COUNT, 2))).astype(np.float32)
    return Examples(*split(Labelled(inputs, targets), held_out, rng), len(centres), False, centres, deviation)

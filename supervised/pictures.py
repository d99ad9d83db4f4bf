"""Pictures to look at, many small ones as one; and pictures to learn from, never twice the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def tiled(pictures: Array, columns: int | None = None) -> Array:
    """Pictures [n, C, H, W] with values in [0, 1], others are cut -> one [H', W', C] uint8, row by row, with a line
    between them. columns: as many as make it about square, if None."""
    n, channels, height, width = pictures.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), np.uint8)
    for k, picture in enumerate(np.round(255 * pictures.clip(0, 1)).astype(np.uint8)):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        canvas[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    return canvas


def shifted(pictures: Array, most: int, rng: np.random.Generator) -> Array:
    """Pictures [n, C, H, W], each moved by up to `most` pixels up or down and left or right; what comes in is like the
    edge. Every shift is as likely."""
    height, width = pictures.shape[2:]
    top, left = rng.integers(2 * most + 1, size=(2, len(pictures), 1))
    padded = np.pad(pictures, ((0, 0), (0, 0), (most, most), (most, most)), "edge")
    rows, columns = top + np.arange(height), left + np.arange(width)
    index = np.arange(len(pictures))[:, None, None]
    return padded[index, :, rows[:, :, None], columns[:, None, :]].transpose(0, 3, 1, 2)

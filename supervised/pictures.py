"""Pictures to look at: many small ones as one."""

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

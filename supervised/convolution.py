"""Convolution as a matrix: of vectors a Toeplitz matrix, of pictures a doubly blocked one.

    a = toeplitz(np.array([[[1.0, 2.0, 3.0]]]), (5,))       # [3, 5]: one channel in, one out
    a @ np.arange(1, 6)                                     # 14, 20, 26
    toeplitz(kernel, (8, 8), padding=1) @ pictures.reshape(n, -1).T

What networks call convolution slides the kernel as it is (cross-correlation). Convolution proper turns it around first
(`flipped`), and only then may kernel and signal change places. The transposed matrix is the transposed convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def toeplitz(
    kernel: Array, sides: Sequence[int], stride: int = 1, padding: int = 0, dilation: int = 1, flipped: bool = False
) -> Array:
    """The matrix [K * prod(sides out), C * prod(sides)] of a kernel [K, C, *window], as torch's convolution has it.

    sides: of what comes in, without its channels; zeros are padded. Raises ValueError where nothing would come out.
    """
    filters, channels, *window = kernel.shape
    if flipped:
        kernel = np.flip(kernel, tuple(range(2, kernel.ndim)))
    outer = [length(n, k, stride, padding, dilation) for n, k in zip(sides, window, strict=True)]
    matrix = np.zeros((filters, *outer, channels, *sides), kernel.dtype)
    for at in np.ndindex(*outer):
        for tap in np.ndindex(*window):
            place = tuple(stride * a + dilation * t - padding for a, t in zip(at, tap))
            if all(0 <= p < n for p, n in zip(place, sides)):
                matrix[:, *at, :, *place] = kernel[:, :, *tap]
    return matrix.reshape(filters * math.prod(outer), channels * math.prod(sides))


def length(side: int, window: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """How many places a window has. Raises ValueError where it has none."""
    places = (side + 2 * padding - dilation * (window - 1) - 1) // stride + 1
    if places < 1:
        raise ValueError(f"a window of {window} with dilation {dilation} has no place in {side} with padding {padding}")
    return places

"""Pictures as PNG, without a library for it: ISO/IEC 15948, no filters, no interlacing."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR = {1: 0, 3: 2}  # by channels: grey, or red, green and blue


def png(picture: NDArray[np.uint8]) -> bytes:
    """[H, W, C] uint8 with 1 or 3 channels as the bytes of a file. Raises ValueError for others."""
    import numpy as np  # late, so that `--help` needs none

    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in COLOUR:
        raise ValueError(f"a picture is uint8 [H, W, 1 or 3], but found {picture.dtype} {list(picture.shape)}")
    height, width, channels = picture.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each behind the number of its filter: 0, none
    rows[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

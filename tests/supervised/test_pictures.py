from __future__ import annotations

import numpy as np

from supervised.pictures import tiled


def test_small_pictures_become_one() -> None:
    small = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1) / 4 * np.ones((1, 3, 2, 2), np.float32)
    whole = tiled(small, columns=3)
    assert whole.shape == (5, 8, 3) and whole.dtype == np.uint8
    assert whole[0, :, 0].tolist() == [0, 0, 0, 64, 64, 0, 128, 128]
    assert whole[3, :, 2].tolist() == [191, 191, 0, 255, 255, 0, 0, 0], "below the line; what is missing is black"


def test_they_make_a_square_and_values_are_cut() -> None:
    whole = tiled(np.full((4, 1, 1, 1), [[[[7.0]]]] * 4))
    assert whole[:, :, 0].tolist() == [[255, 0, 255], [0, 0, 0], [255, 0, 255]]

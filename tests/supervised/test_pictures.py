from __future__ import annotations

import numpy as np

from supervised.pictures import shifted, tiled


def test_small_pictures_become_one() -> None:
    small = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1) / 4 * np.ones((1, 3, 2, 2), np.float32)
    whole = tiled(small, columns=3)
    assert whole.shape == (5, 8, 3) and whole.dtype == np.uint8
    assert whole[0, :, 0].tolist() == [0, 0, 0, 64, 64, 0, 128, 128]
    assert whole[3, :, 2].tolist() == [191, 191, 0, 255, 255, 0, 0, 0], "below the line; what is missing is black"


def test_they_make_a_square_and_values_are_cut() -> None:
    whole = tiled(np.full((4, 1, 1, 1), [[[[7.0]]]] * 4))
    assert whole[:, :, 0].tolist() == [[255, 0, 255], [0, 0, 0], [255, 0, 255]]


def test_every_shift_comes_and_the_edge_goes_on() -> None:
    """Nine shifts of a picture by a pixel; each has probability 1/9, so a false alarm (none in 300) is below 1e-14."""
    picture = np.arange(12.0).reshape(1, 3, 4) + np.array([0.0, 100.0]).reshape(2, 1, 1)
    found = shifted(np.repeat(picture[None], 300, 0), 1, np.random.default_rng(0))
    padded = np.pad(picture, ((0, 0), (1, 1), (1, 1)), "edge")
    shifts = {padded[:, i : i + 3, j : j + 4].tobytes() for i in range(3) for j in range(3)}
    assert found.shape == (300, 2, 3, 4) and {one.tobytes() for one in found} == shifts
    np.testing.assert_array_equal(shifted(picture[None], 0, np.random.default_rng(0)), picture[None])

"""Files that a reader of PNG reads."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from experiment.png import png


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_read_as_it_was_written(channels: int) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    read = np.asarray(image.open(io.BytesIO(png(picture))))
    assert (read.reshape(picture.shape) == picture).all()


def test_other_arrays_are_refused() -> None:
    wrongs: list[Any] = [np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3))]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="a picture is uint8"):
            png(wrong)

from __future__ import annotations

import numpy as np
import pytest

from generative.examples import examples


def test_digits_are_pictures() -> None:
    pytest.importorskip("sklearn")
    data = examples("digits", 0.2, np.random.default_rng(0))
    assert data.train.inputs.shape == (1438, 1, 8, 8) and data.train.inputs.dtype == np.float32
    assert data.train.inputs.min() == 0 and data.train.inputs.max() == 1 and data.bounded


@pytest.mark.parametrize(("name", "modes", "deviation"), [("ring", 8, 0.02), ("grid", 25, 0.05)])
def test_normals_lie_around_their_centres(name: str, modes: int, deviation: float) -> None:
    data = examples(name, 0.2, np.random.default_rng(0))  # type: ignore[arg-type]
    assert data.centres is not None and data.centres.shape == (modes, 2) and data.classes == modes
    inputs, targets = data.train
    errors = inputs - data.centres[targets]
    assert errors.std() == pytest.approx(deviation, rel=0.03) and np.bincount(targets).min() > 400
    assert not np.array_equal(inputs, examples(name, 0.2, np.random.default_rng(1)).train.inputs)  # type: ignore[arg-type]

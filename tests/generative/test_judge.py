from __future__ import annotations

import numpy as np
import pytest

from generative.examples import examples
from generative.judge import WIDTH, Judge


def test_it_knows_the_digits_and_is_always_the_same() -> None:
    pytest.importorskip("sklearn")
    data = examples("digits", 0.2, np.random.default_rng(0))
    judge, again = Judge(data.train, 10), Judge(data.train, 10)
    probabilities = judge.probabilities(data.held_out.inputs)
    assert (probabilities.argmax(1) == data.held_out.targets).mean() > 0.95
    assert judge.features(data.held_out.inputs).shape == (len(data.held_out.inputs), WIDTH)
    assert (again.probabilities(data.held_out.inputs) == probabilities).all()

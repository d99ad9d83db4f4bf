"""Means of metrics on the learner's device."""

from __future__ import annotations

import pytest
import torch

from supervised.means import Means

NAMES = ["loss", "norm"]


def added(*values: tuple[float, float]) -> Means:
    means = Means.zeros(NAMES, torch.device("cpu"))
    for pair in values:
        means.add([torch.tensor(value) for value in pair])
    return means


def test_the_mean_since_the_last_drain() -> None:
    means = added((1.0, 10.0), (2.0, 40.0))
    assert means.drain(NAMES) == {"loss": 1.5, "norm": 25.0}
    assert means.drain(NAMES) == {}
    means.add([torch.tensor(7.0), torch.tensor(8.0)])
    assert means.drain(NAMES) == {"loss": 7.0, "norm": 8.0}


@pytest.mark.parametrize(("weight", "mean"), [(0.0, 1.0), (3.0, 4.0)])
def test_what_weighs_nothing_does_not_count(weight: float, mean: float) -> None:
    means = added((1.0, 0.0))
    means.add([torch.tensor(5.0), torch.tensor(0.0)], torch.tensor(weight))
    assert means.drain(NAMES)["loss"] == mean


def test_half_a_mean_is_kept() -> None:
    kept = added()
    kept.load_state_dict(added((1.0, 10.0)).state_dict())
    kept.add([torch.tensor(2.0), torch.tensor(40.0)])
    assert kept.drain(NAMES) == {"loss": 1.5, "norm": 25.0}

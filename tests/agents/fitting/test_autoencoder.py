"""Autoencoders against what linear algebra knows of the same data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.registry import parse
from agents.wiring import build
from envs.api import Array
from supervised.fit import Fitting

pytest.importorskip("sklearn")

LINEAR: dict[str, Any] = {
    "algorithm": "autoencoder",
    "data": "digits",
    "network": {"hidden": []},
    "steps": 3_000,
    "learner": {"batch_size": 128, "learning_rate": {"kind": "linear", "start": 1e-2, "end": 0.0}},
    "compile": "off",
}


def fitted(**changes: Any) -> Fitting:
    course = build(parse(LINEAR | changes))
    assert isinstance(course, Fitting)
    while course.steps < course.budget:
        course.update()
    return course


def flat(course: Fitting) -> Array:
    return np.asarray(course.rows[0].reshape(len(course.rows[0]), -1), np.float64)


def test_a_linear_one_ends_at_the_principal_components() -> None:
    course = fitted(latent=8)
    x = flat(course)
    variances = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    floor = variances[8:].sum() / x.size
    lost = course.trained.measure(course.rows[0], course.rows[0])["loss"]
    assert floor < lost < 1.01 * floor
    without_two = variances[7:].sum() / x.size
    assert without_two > 1.01 * floor, "a component less is seen"


@pytest.mark.slow
def test_a_linear_one_that_is_shown_noise_ends_as_wieners_filter() -> None:
    """x -> mean + C (C + n^2)^-1 (x - mean), where nothing is to be left out: checked by what it loses."""
    course, noise = fitted(latent=64, given="noisy", noise=0.3), 0.3
    x = flat(course)
    variances = np.linalg.eigvalsh(np.cov(x, rowvar=False, bias=True))
    best = (variances * noise**2 / (variances + noise**2)).mean()
    rng = np.random.default_rng(7)
    lost = [course.trained.measure(*course.vary(rng, course.rows))["loss"] for _ in range(20)]
    assert best * 0.995 < np.mean(lost) < 1.03 * best
    unfiltered = noise**2
    assert unfiltered > 3 * best, "noise is taken away"


def test_what_is_hidden_is_filled_in_better_than_by_its_mean() -> None:
    course = fitted(latent=16, given="upper_half")
    x, seen = course.vary(np.random.default_rng(0), course.held_out)
    assert (seen[:, :, :4] == x[:, :, :4]).all() and (seen[:, :, 4:] == 0).all()
    lost = course.evaluate()["eval/loss"]
    assert isinstance(lost, float)
    assert lost < 0.75 * np.mean((x[:, :, 4:] - course.rows[0][:, :, 4:].mean(0)) ** 2) / 2


def test_pictures_show_what_is_done() -> None:
    course = build(parse(LINEAR | {"steps": 1, "given": "noisy"}))
    picture = course.evaluate()["eval/reconstructions"]
    assert isinstance(picture, np.ndarray) and picture.shape == (3 * 9 - 1, 10 * 9 - 1, 1)


def test_normals_have_no_upper_half() -> None:
    with pytest.raises(ValueError, match="given=upper_half is of pictures, but ring has numbers"):
        build(parse(LINEAR | {"data": "ring", "given": "upper_half"})).advance(1)


def test_pictures_can_be_halved_so_often() -> None:
    network = {"kind": "convolutional", "channels": [4, 4, 4, 4]}
    with pytest.raises(ValueError, match="sides are multiples of 16, but the data have shape \\[1, 8, 8\\]"):
        build(parse(LINEAR | {"network": network}))

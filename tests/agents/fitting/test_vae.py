"""A linear variational autoencoder is probabilistic principal component analysis, and what the options do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.registry import parse
from agents.wiring import build
from generative.vae import VariationalAutoencoder, divergence
from supervised.fit import Fitting

pytest.importorskip("sklearn")

TINY: dict[str, Any] = {
    "algorithm": "vae",
    "data": "digits",
    "latent": 2,
    "network": {"hidden": []},
    "steps": 2_500,
    "learner": {"batch_size": 256, "learning_rate": {"kind": "linear", "start": 1e-2, "end": 0.0}},
    "compile": "off",
}


def made(**changes: Any) -> Fitting:
    course = build(parse(TINY | changes))
    assert isinstance(course, Fitting)
    return course


def bound(vae: VariationalAutoencoder, x: torch.Tensor) -> float:
    """The mean ELBO of a linear decoder, exactly: E |x - W z - b|^2 = |x - W mu - b|^2 + sum sigma^2 |w|^2."""
    posterior = vae.posterior(x)
    weight = vae.decoder.get_parameter("1.weight")
    lost = (x - vae.decoder(posterior.mean)).flatten(1).square().sum(-1)
    lost = lost + posterior.log_variance.exp() @ weight.square().sum(0)
    pixels, log_variance = x[0].numel(), vae.log_variance
    surprise = 0.5 * (lost * (-log_variance).exp() + pixels * (log_variance + np.log(2 * np.pi)))
    return (-surprise - divergence(posterior).sum(-1)).mean().item()


def test_the_bound_of_a_linear_one_ends_at_the_likelihood_of_principal_components() -> None:
    """On digits with the noise of one grey level in 16 added, lest pixels that never change have no density."""
    course = made()
    rng = np.random.default_rng(3)
    course.rows = [course.rows[0] + rng.normal(0, 1 / 16, course.rows[0].shape).astype(np.float32)]
    while course.steps < course.budget:
        course.update()
    vae = course.trained.flat.module
    assert isinstance(vae, VariationalAutoencoder)
    x = course.rows[0].reshape(len(course.rows[0]), -1).astype(np.float64)
    with torch.no_grad():
        reached = bound(vae.double(), torch.from_numpy(course.rows[0]).double())
    variances = np.linalg.eigvalsh(np.cov(x, rowvar=False, bias=True))[::-1]
    rest = variances[2:].mean()
    best = -0.5 * (64 * (np.log(2 * np.pi) + 1) + np.log(variances[:2]).sum() + 62 * np.log(rest))
    assert best - 0.05 < reached < best + 1e-6
    assert vae.log_variance.exp().item() == pytest.approx(rest, rel=0.01)


def test_beta_makes_codes_silent_and_free_bits_let_them_speak() -> None:
    settings = {"steps": 400, "latent": 8, "network": {"hidden": [32]}}
    rate = {"learning_rate": 5e-3, "batch_size": 128}

    def active(**learner: Any) -> float:
        course = made(**settings, learner=rate | learner)
        while course.steps < course.budget:
            course.update()
        said = course.evaluate()["eval/active"]
        assert isinstance(said, float)
        return said

    assert active(beta=0.0) == 8
    assert active(beta=300.0) == 0
    assert active(beta=300.0, free_bits=0.2) >= 4


def test_pixels_are_drawn_by_their_grey() -> None:
    course = made(likelihood="bernoulli", steps=1)
    (x,) = course.held_out
    drawn = np.mean([course.vary(np.random.default_rng(k), [x])[0] for k in range(400)], 0)
    assert set(np.unique(course.vary(np.random.default_rng(0), [x])[0])) == {0, 1}
    assert np.abs(drawn - x).max() < 6 * 0.5 / 20  # six standard errors at most
    again = [course.evaluate() for _ in range(2)]
    assert again[0]["eval/elbo"] == again[1]["eval/elbo"], "evaluations see the same noise"


def test_pictures_show_samples_and_the_way_between_two_inputs() -> None:
    found = made(steps=1).evaluate()
    shapes = {name: value.shape for name, value in found.items() if isinstance(value, np.ndarray)}
    assert shapes == {
        "eval/reconstructions": (17, 89, 1),
        "eval/samples": (89, 89, 1),
        "eval/interpolation": (8, 89, 1),
    }


def test_normals_are_no_greys() -> None:
    with pytest.raises(ValueError, match="likelihood=bernoulli is of greys from 0 to 1, but ring has others"):
        made(data="ring", likelihood="bernoulli")

"""What evaluations of adversaries find in samples that are known, and what the options do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.fitting.gan import Gauge
from agents.registry import parse
from agents.wiring import build
from envs.api import Array
from generative.examples import examples
from generative.gan import Adversaries

pytest.importorskip("sklearn")

TINY: dict[str, Any] = {
    "algorithm": "gan",
    "data": "ring",
    "latent": 4,
    "generator": {"hidden": [16]},
    "discriminator": {"hidden": [16]},
    "steps": 100,
    "compile": "off",
}


def made(**changes: Any) -> Adversaries:
    course = build(parse(TINY | changes))
    assert isinstance(course, Adversaries)
    return course


def test_data_pass_for_data_and_noise_does_not() -> None:
    data = examples("digits", 0.2, np.random.default_rng(0))
    gauge = Gauge(data)
    train, labels = data.train

    def real(rng: np.random.Generator, n: int) -> tuple[Array, Array | None]:
        return train[-n:], labels[-n:]

    def noise(rng: np.random.Generator, n: int) -> tuple[Array, Array | None]:
        return rng.random((n, 1, 8, 8), np.float32), None

    found, lost = gauge(real), gauge(noise)
    assert found["frechet_distance"] < 2 * found["frechet_floor"] < lost["frechet_distance"] / 10
    assert found["classes"] == 10 and found["classifier_score"] > 8 and found["accuracy"] > 0.95
    assert lost["classes"] < 10 and "accuracy" not in lost


def test_one_mode_is_found_to_be_one() -> None:
    data = examples("grid", 0.2, np.random.default_rng(0))
    gauge, centres = Gauge(data), data.centres
    assert centres is not None and len(centres) == 25
    one = gauge(lambda rng, n: (centres[3] + rng.normal(0, data.deviation, (n, 2)), None))
    assert one["modes"] == 1 and one["quality"] == pytest.approx(1 - np.exp(-4.5), abs=0.011)  # 5 standard errors
    every = gauge(lambda rng, n: (data.train.inputs[:n], None))
    assert every["modes"] == 25 and every["quality"] == pytest.approx(1 - np.exp(-4.5), abs=0.011)


def test_a_generator_that_is_never_punished_for_it_collapses() -> None:
    """A critic that is no more than a line likes one direction best, and all samples go there."""
    course = made(discriminator={"hidden": []}, steps=400, learner={"loss": "wasserstein", "learning_rate": 1e-2})
    before = course.draw(np.random.default_rng(0), 200)[0]
    while course.steps < course.budget:
        course.update()
    after = course.draw(np.random.default_rng(0), 200)[0]
    assert np.linalg.norm(after.mean(0)) > 10 * np.linalg.norm(before.mean(0))
    assert course.evaluate() == {"eval/modes": 0, "eval/quality": 0.0}


def test_each_of_two_learns_in_its_turn() -> None:
    course = made(learner={"turns": 3})
    discriminator, generator = course.trained.flat.weights(), course.generator.flat.weights()
    course.update()
    assert course.trained.state.adam.updates.item() == 3 and course.generator.state.adam.updates.item() == 1
    assert (course.trained.flat.weights() != discriminator).any()
    assert (course.generator.flat.weights() != generator).any()
    assert set(course.metrics()) >= {"train/discriminator_loss", "train/generator_loss", "train/on_data"}


def test_an_averaged_generator_draws_and_learns_nothing() -> None:
    course, plain = made(learner={"averaging": 0.75}), made()
    first = course.generator.state.parameters.clone()
    for one in (course, plain):
        one.update()
    state = course.generator.state
    torch.testing.assert_close(state.target, first.lerp(state.parameters, 0.25))
    torch.testing.assert_close(state.parameters, plain.generator.state.parameters, rtol=0, atol=0)
    drawn, _ = course.draw(np.random.default_rng(0), 5)
    state.parameters.copy_(state.target)
    noise = np.random.default_rng(0).standard_normal((5, 4), np.float32)
    np.testing.assert_allclose(drawn, course.make(noise).numpy(), rtol=1e-5)


def test_labels_are_as_frequent_as_in_the_data() -> None:
    course = made(data="digits", conditional=True)
    _, labels = course.draw(np.random.default_rng(0), 20_000)
    assert labels is not None
    share = np.bincount(course.rows[1], minlength=10) / len(course.rows[1])
    found = np.bincount(labels, minlength=10) / 20_000
    assert np.abs(found - share).max() < 5 * (0.1 * 0.9 / 20_000) ** 0.5


@pytest.mark.slow
def test_a_wasserstein_gan_finds_every_mode_of_the_ring() -> None:
    """As configs/generative/ring_wgan.yaml does, whose settings were chosen on seed 0: here on two others."""
    from experiment.config import read
    from tests.runs import ROOT

    for seed in (100, 101):
        course = build(parse(read(ROOT / "configs/generative/ring_wgan.yaml") | {"seed": seed}))
        while course.steps < 4_000:
            course.advance(4_000)
        assert course.evaluate()["eval/modes"] == 8

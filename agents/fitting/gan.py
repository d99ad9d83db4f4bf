"""Generative adversarial networks (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661): minimax, non-saturating,
least-squares and Wasserstein losses, the latter with gradient penalty; dense or convolutional; made to order, where the
class is shown to both.

Logs, as means over updates: train/discriminator_loss, train/gradient_penalty (if there is one), train/loss (with it),
train/on_data and train/on_samples (what the discriminator says), train/generator_loss; and train/learning_rate,
train/epoch (of the discriminator), train/n_updates (of the generator). Evaluations:

- of normals (2,500 samples): eval/modes that have a sample within three deviations, eval/quality, the share of samples
  that are within three deviations of a mode;
- of digits, by a classifier of the same data: eval/frechet_distance of as many samples as rows are held out from these,
  eval/frechet_floor, the distance of as many rows of the data; eval/classifier_score, eval/classes (that at least one
  sample in 50 is taken for), eval/accuracy (of samples made to order).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from agents.api import Algorithm
from agents.config import Experiment
from agents.fitting.configs.gan import GAN
from agents.maths.schedules import value as scheduled
from agents.parts.coding import shape_of
from envs.api import Array
from experiment.course import Course
from experiment.seeding import Seeds
from generative.coders import decoder_of, encoder_of
from generative.examples import Examples, examples
from generative.gan import Adversaries, Discriminator, Generator, discriminating, generating
from generative.judge import Judge
from generative.scores import classifier_score, coverage, frechet_distance
from supervised.accelerate import device_of, pays_off, use_cpu
from supervised.pictures import tiled

SAMPLES = 2_500  # of normals
RARE = 0.02  # a class that fewer samples are taken for doesn't count
Draw = Callable[[np.random.Generator, int], tuple[Array, Array | None]]


def course(config: GAN, seeds: Seeds, build: Callable[[Experiment], Course]) -> Adversaries:
    """Ready to begin. Raises ValueError where data and networks don't fit together."""
    use_cpu(config.threads)
    data = examples(config.data, config.held_out, seeds.generator("data", "held out"))
    device, options = device_of(config.device), config.learner
    random = torch.Generator().manual_seed(seeds.integer("learner", "network"))
    classes = data.classes if config.conditional else 0
    shape = data.train.inputs.shape[1:]
    decoder = decoder_of(shape, shape_of(config.generator), config.latent + classes, random)
    encoder = encoder_of((shape[0] + classes, *shape[1:]), shape_of(config.discriminator), 1, random)
    settings: dict[str, Any] = {
        "adam_decay": (options.momentum, 0.999),
        "compiled": pays_off(config.compile, config.steps, device),
    }
    discriminator = discriminating(
        options.loss, options.penalty, Discriminator(encoder, data.classes).to(device), **settings
    )
    generator = Generator(decoder, data.classes, data.bounded).to(device)
    return Adversaries(
        generating(options.loss, generator, discriminator, target=options.averaging > 0, **settings),
        discriminator,
        data.train,
        data.held_out,
        options.batch_size,
        lambda progress: scheduled(options.learning_rate, progress),
        config.steps,
        seeds.generator("learner", "batches"),
        latent=config.latent,
        turns=options.turns,
        conditional=config.conditional,
        measure=Gauge(data),
        averaging=options.averaging,
    )


class Gauge:
    """How far samples are from the data: always by the same noise."""

    def __init__(self, data: Examples) -> None:
        self.data = data

    @cached_property
    def judge(self) -> Judge:
        return Judge(self.data.train, self.data.classes)

    def __call__(self, draw: Draw) -> Mapping[str, Any]:
        rng, centres = np.random.default_rng(0), self.data.centres
        if centres is not None:
            return coverage(draw(rng, SAMPLES)[0], centres, self.data.deviation)._asdict()
        return self._judged(*draw(rng, len(self.data.held_out.inputs)))

    def _judged(self, samples: Array, asked: Array | None) -> Mapping[str, Any]:
        train, held_out = self.data.train.inputs, self.data.held_out.inputs
        real = self.judge.features(held_out)
        probabilities = self.judge.probabilities(samples)
        found = probabilities.argmax(1)
        share = np.bincount(found, minlength=self.data.classes) / len(found)
        return {
            "frechet_distance": frechet_distance(real, self.judge.features(samples)),
            "frechet_floor": frechet_distance(real, self.judge.features(train[: len(held_out)])),
            "classifier_score": classifier_score(probabilities),
            "classes": int((share >= RARE).sum()),
            "samples": tiled(samples[:100]),
            **({} if asked is None else {"accuracy": float((found == asked).mean())}),
        }


ALGORITHM = Algorithm[GAN](course=course)

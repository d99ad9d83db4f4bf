"""Autoencoders: inputs through few numbers and back, by least squares (Goodfellow et al. 2016, chapter 14).

Without hidden layers what is learned is the space of the first principal components. Shown noisy inputs it learns to
clean them (Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294), shown the upper half of pictures to complete
them.

Logs, as means over updates: train/loss, the squared error of a number of the data; and train/learning_rate,
train/epoch, train/n_updates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from agents.api import Algorithm
from agents.config import Experiment
from agents.fitting.configs.autoencoder import Autoencoder
from agents.parts.coding import coders, compared
from agents.parts.fitted import fitted
from envs.api import Array
from experiment.course import Course
from experiment.seeding import Seeds
from generative.examples import Examples, examples
from supervised.accelerate import device_of, pays_off, use_cpu
from supervised.fit import Fitting
from supervised.losses import squared
from supervised.trained import Found, Trained


def course(config: Autoencoder, seeds: Seeds, build: Callable[[Experiment], Course]) -> Fitting:
    """Ready to begin. Raises ValueError where data and network don't fit together."""
    use_cpu(config.threads)
    data = examples(config.data, config.held_out, seeds.generator("data", "held out"))
    trained = autoencoder(config, data, seeds)

    def shown(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
        return [columns[0], given(config, rng, columns[0])]

    def show() -> Mapping[str, Array]:
        x, seen = shown(np.random.default_rng(0), [data.held_out.inputs[:10]])
        with torch.no_grad():
            back = trained.flat.module(torch.from_numpy(seen).to(trained.state.parameters.device)).cpu().numpy()
        return compared(x, seen, back)

    rows, held_out = [data.train.inputs], [data.held_out.inputs]
    return fitted(config, seeds, trained, rows, held_out, vary=shown, show=show)


def autoencoder(config: Autoencoder, data: Examples, seeds: Seeds) -> Trained:
    """encoder and decoder in a row, and their loss of (inputs, what is shown of them)."""

    def loss(parameters: Tensor, inputs: Tensor, seen: Tensor) -> Found:
        return {"loss": squared(trained.flat.call(parameters, seen), inputs)}, {}

    device = device_of(config.device)
    encoder, decoder = coders(config.network, data.train.inputs.shape[1:], config.latent, config.latent, seeds)
    network = nn.Sequential()
    network.add_module("encoder", encoder)
    network.add_module("decoder", decoder)
    compiled = pays_off(config.compile, config.steps, device)
    trained = Trained(network.to(device), loss, {"loss": 1.0}, compiled=compiled)
    return trained


def given(config: Autoencoder, rng: np.random.Generator, inputs: Array) -> Array:
    """What is shown of inputs [n, *shape]."""
    if config.given == "noisy":
        return inputs + np.float32(config.noise) * rng.standard_normal(inputs.shape, np.float32)
    if config.given == "upper_half":
        if inputs.ndim != 4:
            raise ValueError(f"given=upper_half is of pictures, but {config.data} has numbers: use given=noisy or all")
        inputs = inputs.copy()
        inputs[:, :, inputs.shape[2] // 2 :] = 0
    return inputs


ALGORITHM = Algorithm[Autoencoder](course=course)

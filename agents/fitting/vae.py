"""Variational autoencoders (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114), with beta (Higgins et al. 2017)
and free bits (Kingma et al. 2016).

Logs, as means over updates: train/loss, train/reconstruction (-log p(x | z), nats an input), train/divergence (KL, as
it is minimized: with free bits), train/elbo (the bound on log p(x)), train/active (codes that say more than .01 nats);
and train/learning_rate, train/epoch, train/n_updates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from agents.api import Algorithm
from agents.config import Experiment
from agents.fitting.configs.vae import VAE
from agents.parts.coding import coders, compared, variational
from agents.parts.fitted import fitted
from envs.api import Array
from experiment.course import Course
from experiment.seeding import Seeds
from generative.examples import examples
from generative.vae import VariationalAutoencoder
from supervised.accelerate import device_of, pays_off, use_cpu
from supervised.fit import Fitting
from supervised.pictures import tiled


def course(config: VAE, seeds: Seeds, build: Callable[[Experiment], Course]) -> Fitting:
    """Ready to begin. Raises ValueError where data and network don't fit together."""
    use_cpu(config.threads)
    data = examples(config.data, config.held_out, seeds.generator("data", "held out"))
    if config.likelihood == "bernoulli" and not data.bounded:
        raise ValueError(f"likelihood=bernoulli is of greys from 0 to 1, but {config.data} has others: use gaussian")
    options, device = config.learner, device_of(config.device)
    compiled = pays_off(config.compile, config.steps, device)
    parts = coders(config.network, data.train.inputs.shape[1:], 2 * config.latent, config.latent, seeds)
    network = VariationalAutoencoder(*parts, config.likelihood).to(device)
    trained = variational(network, options.beta, options.free_bits, compiled)

    def varied(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
        """Inputs as they are drawn, and noise for their codes."""
        (x,) = columns
        if config.likelihood == "bernoulli":
            x = (rng.random(x.shape, np.float32) < x).astype(np.float32)
        return [x, rng.standard_normal((len(x), config.latent), np.float32)]

    @torch.no_grad()
    def show() -> Mapping[str, Array]:
        x = torch.from_numpy(data.held_out.inputs[:10]).to(device)
        means = network.posterior(x).mean
        between = means[:1].lerp(means[1:2], torch.linspace(0, 1, 10, device=device)[:, None])
        noise = torch.from_numpy(np.random.default_rng(0).standard_normal((100, config.latent), np.float32))
        back, made, line = (network.expected(z).cpu().numpy() for z in (means, noise.to(device), between))
        pictures = {"samples": tiled(made), "interpolation": tiled(line, 10)} if made.ndim == 4 else {}
        return {**compared(x.cpu().numpy(), back), **pictures}

    rows, held_out = [data.train.inputs], [data.held_out.inputs]
    return fitted(config, seeds, trained, rows, held_out, vary=varied, show=show)


ALGORITHM = Algorithm[VAE](course=course)

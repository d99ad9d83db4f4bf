"""Encoders and decoders as a config asks for them, what a variational autoencoder learns by, and pictures of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import CoderOptions
from envs.api import Array
from experiment.seeding import Seeds
from generative.coders import Convolutional, Dense, Shape, Unpadded, decoder_of, encoder_of
from generative.vae import VariationalAutoencoder, divergence, with_free_bits
from supervised.pictures import tiled
from supervised.trained import Found, Trained

SILENT = 0.01  # nats; a code that says no more has collapsed


def shape_of(options: CoderOptions) -> Shape:
    if options.kind == "dense":
        return Dense(options.hidden, options.activation)
    if options.kind == "unpadded":
        return Unpadded(activation=options.activation)
    return Convolutional(options.channels, options.activation)


def coders(
    options: CoderOptions, shape: Sequence[int], outputs: int, latent: int, seeds: Seeds
) -> tuple[nn.Module, nn.Module]:
    """An encoder of inputs [B, *shape] to [B, outputs], and a decoder of [B, latent]."""
    generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
    of = shape_of(options)
    return encoder_of(shape, of, outputs, generator), decoder_of(shape, of, latent, generator)


def compared(*rows: Array) -> Mapping[str, Array]:
    """Pictures [n, C, H, W] above each other, as what a course shows; nothing of data that are no pictures."""
    return {"reconstructions": tiled(np.concatenate(rows), len(rows[0]))} if rows[0].ndim == 4 else {}


def variational(network: VariationalAutoencoder, beta: float, free_bits: float, compiled: bool) -> Trained:
    """What learns from (inputs, noise): the bound on log p(x), its divergence weighed by beta, with free bits."""

    def loss(parameters: Tensor, x: Tensor, noise: Tensor) -> Found:
        posterior, surprise = trained.flat.call(parameters, x, noise)
        said = divergence(posterior)
        terms = {"reconstruction": surprise, "divergence": with_free_bits(said, free_bits)}
        return terms, {"elbo": -surprise - said.sum(-1), "active": (said.mean(0) > SILENT).float().sum()}

    coefficients = {"reconstruction": 1.0, "divergence": beta}
    trained = Trained(network, loss, coefficients, ["elbo", "active"], compiled=compiled)
    return trained

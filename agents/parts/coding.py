"""Encoders and decoders as a config asks for them, and pictures of what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from agents.config import CoderOptions
from envs.api import Array
from experiment.seeding import Seeds
from generative.coders import Convolutional, Dense, Shape, decoder_of, encoder_of
from supervised.pictures import tiled


def shape_of(options: CoderOptions) -> Shape:
    if options.kind == "dense":
        return Dense(options.hidden, options.activation)
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

"""Encoders and decoders: inputs [B, *shape] -> codes [B, K], and back.

encoder = encoder_of((1, 8, 8), Dense(hidden=(64,)), outputs=4, generator)
decoder = decoder_of((1, 8, 8), Dense(hidden=(64,)), latent=4, generator)
decoder(encoder(x)).shape == x.shape
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from supervised.networks.torso import ACTIVATIONS, initialize, mlp


class Dense(NamedTuple):
    """Linear layers; without hidden ones, a linear map."""

    hidden: Sequence[int] = ()  # widths from the data to the codes; back in the opposite order
    activation: str = "relu"


class Convolutional(NamedTuple):
    """Convolutions that halve pictures, 4 x 4 with stride 2, as in DCGAN (Radford et al. 2016,
    https://arxiv.org/abs/1511.06434), without its batch normalization."""

    channels: Sequence[int]  # of each halving, from the data to the codes
    activation: str = "relu"


Shape = Dense | Convolutional


class Unflatten(nn.Module):
    """[B, F] -> [B, *shape]."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)


def encoder_of(shape: Sequence[int], of: Shape, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """[B, *shape] -> [B, outputs]. Raises ValueError where pictures of this shape can't be halved so often."""
    if isinstance(of, Dense):
        hidden = list(of.hidden)
        width = hidden[-1] if hidden else math.prod(shape)
        layers = [nn.Flatten(), mlp(math.prod(shape), hidden, of.activation), nn.Linear(width, outputs)]
    else:
        small, layers, channels = smallest(shape, of), [], shape[0]
        for more in of.channels:
            layers += [nn.Conv2d(channels, more, 4, stride=2, padding=1), ACTIVATIONS[of.activation]()]
            channels = more
        layers += [nn.Flatten(), nn.Linear(math.prod(small), outputs)]
    encoder = nn.Sequential(*layers)
    initialize(encoder, "fan_in", generator)
    return encoder


def decoder_of(shape: Sequence[int], of: Shape, latent: int, generator: torch.Generator) -> nn.Sequential:
    """[B, latent] -> [B, *shape], of any real numbers. Raises ValueError as `encoder_of`."""
    if isinstance(of, Dense):
        hidden = list(reversed(of.hidden))
        width = hidden[-1] if hidden else latent
        layers = [mlp(latent, hidden, of.activation), nn.Linear(width, math.prod(shape)), Unflatten(shape)]
    else:
        small = smallest(shape, of)
        layers, channels = [nn.Linear(latent, math.prod(small)), Unflatten(small)], small[0]
        for fewer in [*reversed(of.channels[:-1]), shape[0]]:
            layers += [ACTIVATIONS[of.activation](), nn.ConvTranspose2d(channels, fewer, 4, stride=2, padding=1)]
            channels = fewer
    decoder = nn.Sequential(*layers)
    initialize(decoder, "fan_in", generator)
    return decoder


def smallest(shape: Sequence[int], of: Convolutional) -> tuple[int, int, int]:
    """What is left of pictures [C, H, W] after the last convolution."""
    times = 2 ** len(of.channels)
    if len(shape) != 3 or not of.channels or shape[1] % times or shape[2] % times:
        raise ValueError(
            f"{len(of.channels)} convolutions halve pictures [channels, height, width] whose sides are multiples of "
            f"{times}, but the data have shape {list(shape)}: change network.channels, or take network.kind=dense"
        )
    return of.channels[-1], shape[1] // times, shape[2] // times

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


class Unpadded(NamedTuple):
    """The convolutions of World Models (Ha and Schmidhuber 2018, https://arxiv.org/abs/1803.10122), for pictures of 64
    x 64: 4 x 4 with stride 2 and no padding, to 256 x 2 x 2; and back from 1024 x 1 x 1, 5 x 5 and 6 x 6."""

    channels: Sequence[int] = (32, 64, 128, 256)
    activation: str = "relu"


SIDE, WIDE = 64, 1024  # of pictures that are unpadded, and what is left of them
KERNELS = (6, 6, 5, 5)  # on the way back, of the layers that belong to each on the way there

Shape = Dense | Convolutional | Unpadded


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
    elif isinstance(of, Unpadded):
        layers, channels = [], check_side(shape)
        for more in of.channels:
            layers += [nn.Conv2d(channels, more, 4, stride=2), ACTIVATIONS[of.activation]()]
            channels = more
        layers += [nn.Flatten(), nn.Linear(4 * channels, outputs)]
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
    elif isinstance(of, Unpadded):
        widths = [check_side(shape), *of.channels[:-1]]
        layers, channels = [nn.Linear(latent, WIDE), Unflatten((WIDE, 1, 1))], WIDE
        for fewer, kernel in reversed([*zip(widths, KERNELS, strict=True)]):
            layers += [nn.ConvTranspose2d(channels, fewer, kernel, stride=2), ACTIVATIONS[of.activation]()]
            channels = fewer
        layers.pop()
    else:
        small = smallest(shape, of)
        layers, channels = [nn.Linear(latent, math.prod(small)), Unflatten(small)], small[0]
        for fewer in [*reversed(of.channels[:-1]), shape[0]]:
            layers += [ACTIVATIONS[of.activation](), nn.ConvTranspose2d(channels, fewer, 4, stride=2, padding=1)]
            channels = fewer
    decoder = nn.Sequential(*layers)
    initialize(decoder, "fan_in", generator)
    return decoder


def check_side(shape: Sequence[int]) -> int:
    """The channels of pictures that the unpadded convolutions are made for."""
    if len(shape) != 3 or tuple(shape[1:]) != (SIDE, SIDE):
        raise ValueError(
            f"network.kind=unpadded is of pictures [channels, {SIDE}, {SIDE}], but the data have shape {list(shape)}: "
            "resize them, or take network.kind=convolutional"
        )
    return shape[0]


def smallest(shape: Sequence[int], of: Convolutional) -> tuple[int, int, int]:
    """What is left of pictures [C, H, W] after the last convolution."""
    times = 2 ** len(of.channels)
    if len(shape) != 3 or not of.channels or shape[1] % times or shape[2] % times:
        raise ValueError(
            f"{len(of.channels)} convolutions halve pictures [channels, height, width] whose sides are multiples of "
            f"{times}, but the data have shape {list(shape)}: change network.channels, or take network.kind=dense"
        )
    return of.channels[-1], shape[1] // times, shape[2] // times

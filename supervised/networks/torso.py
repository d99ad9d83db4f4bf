"""Torsos: observation [B, *obs] -> features [B, F]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "elu": nn.ELU}


def orthogonal(layer: Weighted, gain: float, generator: torch.Generator) -> None:
    """Orthogonal weights and zero bias (Saxe et al. 2014, https://arxiv.org/abs/1312.6120)."""
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def fan_in_uniform(layer: Weighted, generator: torch.Generator) -> None:
    """Weights and bias uniform in +-1/sqrt(fan in), as in DDPG (Lillicrap et al. 2016) and torch's own layers."""
    bound = 1 / math.sqrt(layer.weight[0].numel())
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None:
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def initialize(module: nn.Module, scheme: str, generator: torch.Generator) -> None:
    """Initialize every linear and convolutional layer: `orthogonal` (gain sqrt 2) or `fan_in`."""
    for layer in module.modules():
        if isinstance(layer, Weighted):
            if scheme == "orthogonal":
                orthogonal(layer, math.sqrt(2), generator)
            else:
                fan_in_uniform(layer, generator)


def mlp(inputs: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """Linear layers with `activation` after each: [B, inputs] -> [B, hidden[-1]]."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
        inputs = width
    return nn.Sequential(*layers)


def nips_cnn(channels: int, height: int, width: int) -> nn.Sequential:
    """The convolutions of Mnih et al. (2013), https://arxiv.org/abs/1312.5602: [B, C, H, W] -> [B, F].

    A third of the arithmetic of `nature_cnn`, which counts when there is no GPU.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 16, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2),
        nn.ReLU(),
        nn.Flatten(),
    )


def nature_cnn(channels: int, height: int, width: int) -> nn.Sequential:
    """The convolutions of Mnih et al. (2015), https://doi.org/10.1038/nature14236: [B, C, H, W] -> [B, F]."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=1),
        nn.ReLU(),
        nn.Flatten(),
    )


CONVOLUTIONS = {"nips_cnn": nips_cnn, "nature_cnn": nature_cnn}


class Normalize(nn.Module):
    """(x - mean) * scale, clipped. The statistics are buffers: they travel with the weights."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], clip: float) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(tuple(shape)))
        self.register_buffer("scale", torch.ones(tuple(shape)))

    def forward(self, obs: Tensor) -> Tensor:  # [B, *shape]
        return ((obs - self.mean) * self.scale).clamp(-self.clip, self.clip)


class Pixels(nn.Module):
    """uint8 [B, C, H, W] -> float32 in [0, 1]."""

    def forward(self, obs: Tensor) -> Tensor:
        return obs.float() * (1 / 255)


def torso(shape: Sequence[int], kind: str, hidden: Sequence[int], activation: str) -> tuple[nn.Sequential, int]:
    """Build a torso for observations of `shape` and return it with the width of its features.

    kind: "mlp" flattens whatever comes; "nips_cnn" and "nature_cnn" want pictures [C, H, W] of at least 36 x 36.
    """
    if kind == "mlp":
        inputs = math.prod(shape)
        flatten = [nn.Flatten()] if len(shape) != 1 else []
        return nn.Sequential(*flatten, mlp(inputs, hidden, activation)), hidden[-1] if hidden else inputs
    if len(shape) != 3 or min(shape[1:]) < 36:
        raise ValueError(
            f"network.torso={kind} wants pictures of shape [channels, height, width] and at least 36 x 36, "
            f"but observations have shape {list(shape)}; use network.torso=mlp"
        )
    convolutions = CONVOLUTIONS[kind](*shape)
    with torch.no_grad():
        features = convolutions(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(convolutions, mlp(features, hidden, activation)), hidden[-1] if hidden else features

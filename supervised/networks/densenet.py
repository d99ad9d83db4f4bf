"""Densely connected networks of pictures (Huang et al. 2017, https://arxiv.org/abs/1608.06993), with their bottlenecks,
and half the channels behind each stage. Channels are normalized by groups, as in `supervised.networks.residual`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supervised.networks.pictures import Activation
from supervised.networks.residual import normalization, stem


class Dense(nn.Module):
    """[x, f(x)]: `growth` channels more."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            normalization(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 4 * growth, 1, bias=False),
            normalization(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W] -> [B, C + growth, H, W]
        return torch.cat([x, self.inner(x)], 1)


def densenet(
    shape: Sequence[int], activation: Activation, stages: Sequence[int], growth: int, shrink: bool = False
) -> nn.Sequential:
    """Stages of dense layers, between them half the channels and half the side. Features are means over the picture.

    DenseNet-121 has stages 6, 12, 24, 16, a growth of 32, and shrink.
    """
    channels = 2 * growth
    layers: list[nn.Module] = [stem(shape[0], channels, shrink)]
    for stage, depth in enumerate(stages):
        if stage:
            half = channels // 2
            halving = nn.AvgPool2d(2, ceil_mode=True)
            layers += [normalization(channels), nn.ReLU(), nn.Conv2d(channels, half, 1, bias=False), halving]
            channels = half
        for _ in range(depth):
            layers.append(Dense(channels, growth))
            channels += growth
    return nn.Sequential(*layers, normalization(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

"""Residual networks of pictures (He et al. 2016, https://arxiv.org/abs/1512.03385): [B, C, H, W] -> [B, F].

Groups of channels are normalized (Wu and He 2018, https://arxiv.org/abs/1803.08494) in place of batches: so a picture
means the same alone and among others, to who acts and to who learns. Blocks begin as the identity: the scale of their
last normalization is 0 (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from supervised.networks.pictures import Activation


def normalization(channels: int) -> nn.GroupNorm:
    """Up to 32 groups."""
    return nn.GroupNorm(math.gcd(channels, 32), channels)


def stem(channels: int, filters: int, shrink: bool) -> nn.Sequential:
    """The first convolution: 3 x 3; or 7 x 7, which with the pooling behind it leaves a quarter of the side."""
    if not shrink:
        return nn.Sequential(nn.Conv2d(channels, filters, 3, 1, 1, bias=False), normalization(filters), nn.ReLU())
    first = nn.Conv2d(channels, filters, 7, 2, 3, bias=False)
    return nn.Sequential(first, normalization(filters), nn.ReLU(), nn.MaxPool2d(3, 2, 1))


class Squeeze(nn.Module):
    """Each channel times a weight in (0, 1) that depends on the means of all (Hu et al. 2018,
    https://arxiv.org/abs/1709.01507)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(channels // reduction, 4)
        self.weigh = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W]
        return x * self.weigh(x.mean((2, 3)))[:, :, None, None]


class Residual(nn.Module):
    """relu(x + f(x)); x is projected where f changes its shape."""

    def __init__(self, channels: int, filters: int, stride: int, bottleneck: bool, squeeze: bool) -> None:
        super().__init__()
        sides = (1, 3, 1) if bottleneck else (3, 3)
        outer = 4 * filters if bottleneck else filters
        widths = [channels, *[filters] * (len(sides) - 1), outer]
        layers: list[nn.Module] = []
        for place, side in enumerate(sides):
            step = stride if place == len(sides) - 2 else 1  # the 3 x 3 of a bottleneck, the first of two else
            layers += [
                nn.Conv2d(widths[place], widths[place + 1], side, step, side // 2, bias=False),
                normalization(widths[place + 1]),
                nn.ReLU(),
            ]
        nn.init.zeros_(layers[-2].weight)  # type: ignore[arg-type]
        self.inner = nn.Sequential(*layers[:-1], *[Squeeze(outer)] * squeeze)
        alike = stride == 1 and channels == outer
        project = nn.Conv2d(channels, outer, 1, stride, bias=False)
        self.outer = nn.Identity() if alike else nn.Sequential(project, normalization(outer))

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W]
        return (self.outer(x) + self.inner(x)).relu()


def resnet(
    shape: Sequence[int],
    activation: Activation,
    stages: Sequence[int],
    filters: int,
    bottleneck: bool = False,
    squeeze: bool = False,
    shrink: bool = False,
) -> nn.Sequential:
    """Stages of blocks; the next has twice the filters and half the side. The features are means over the picture.

    ResNet-18 has stages 2, 2, 2, 2, ResNet-50 bottlenecks in stages 3, 4, 6, 3; both 64 filters and shrink.
    """
    blocks: list[nn.Module] = []
    channels = filters
    for stage, depth in enumerate(stages):
        width = filters * 2**stage
        for place in range(depth):
            blocks.append(Residual(channels, width, 2 if stage and not place else 1, bottleneck, squeeze))
            channels = 4 * width if bottleneck else width
    return nn.Sequential(stem(shape[0], filters, shrink), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())

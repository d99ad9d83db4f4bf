"""Chains of convolutions: pictures [B, C, H, W] -> features [B, F]. `shape` is [C, H, W] of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

Activation = Callable[[], nn.Module]
LEAST = {"nips_cnn": 36, "nature_cnn": 36}  # the smallest side that leaves something


def nips_cnn(shape: Sequence[int], activation: Activation) -> nn.Sequential:
    """The convolutions of Mnih et al. (2013), https://arxiv.org/abs/1312.5602, with rectifiers.

    A third of the arithmetic of `nature_cnn`, which counts when there is no GPU.
    """
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2),
        nn.ReLU(),
        nn.Flatten(),
    )


def nature_cnn(shape: Sequence[int], activation: Activation) -> nn.Sequential:
    """The convolutions of Mnih et al. (2015), https://doi.org/10.1038/nature14236, with rectifiers."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 32, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=1),
        nn.ReLU(),
        nn.Flatten(),
    )


def cnn(shape: Sequence[int], activation: Activation, convolutions: Sequence[Mapping[str, int]]) -> nn.Sequential:
    """Convolutions as listed: filters, kernel, stride, padding, and the side of pooling (1: none)."""
    channels, layers = shape[0], list[nn.Module]()
    for one in convolutions:
        layers.append(nn.Conv2d(channels, one["filters"], one["kernel"], one["stride"], one["padding"]))
        layers.append(activation())
        if one["pool"] > 1:
            layers.append(nn.MaxPool2d(one["pool"]))
        channels = one["filters"]
    return nn.Sequential(*layers, nn.Flatten())


def lenet(shape: Sequence[int], activation: Activation) -> nn.Sequential:
    """The convolutions of LeNet-5 (LeCun et al. 1998): 6 and 16 filters of 5 x 5 with pooling; with hidden layers of
    120 and 84 it is the whole. The first are padded, as for digits of 28 x 28."""
    return cnn(
        shape,
        activation,
        [
            {"filters": 6, "kernel": 5, "stride": 1, "padding": 2, "pool": 2},
            {"filters": 16, "kernel": 5, "stride": 1, "padding": 0, "pool": 2},
        ],
    )


def vgg(shape: Sequence[int], activation: Activation, stages: Sequence[int], filters: int) -> nn.Sequential:
    """Stages of 3 x 3 convolutions, each ended by pooling, with twice the filters of the one before, but 8 times those
    of the first at most (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556). An odd side is halved upwards.

    VGG-16 has stages 2, 2, 3, 3, 3 and 64 filters.
    """
    channels, layers = shape[0], list[nn.Module]()
    for stage, depth in enumerate(stages):
        width = filters * min(2**stage, 8)
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), activation()]
            channels = width
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.Flatten())

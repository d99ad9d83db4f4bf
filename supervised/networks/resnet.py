"""Residual towers for boards: [B, C, H, W] -> [B, filters, H, W], after AlphaZero's (Silver et al. 2018).

Without normalization layers: the last convolution of a block starts at zero, so a block starts as the identity and a
deep tower trains like a shallow one (Fixup, Zhang et al. 2019, https://arxiv.org/abs/1901.09321). That leaves plain
convolutions, which are what a processor computes fastest, and nothing that differs between training and playing.
Blocks with global pooling see the whole board at once (KataGo, Wu 2019, https://arxiv.org/abs/1902.10565).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + conv(relu(conv(x))). pooled: mean and maximum over the board go into the second half too."""

    def __init__(self, filters: int, pooled: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(filters, filters, 3, padding=1)
        self.second = nn.Conv2d(filters, filters, 3, padding=1)
        self.whole = nn.Linear(2 * filters, filters) if pooled else None

    def forward(self, x: Tensor) -> Tensor:  # [B, F, H, W]
        inner = self.first(x).relu_()  # in place, as all here: memory traffic is what small convolutions wait for
        outer = self.second(inner)
        if self.whole is not None:
            board = torch.cat([inner.mean((2, 3)), inner.amax((2, 3))], 1)  # [B, 2 F]
            outer.add_(self.whole(board)[:, :, None, None])
        return outer.add_(x).relu_()


def tower(planes: int, filters: int, blocks: int, pooled_every: int) -> nn.Sequential:
    """A convolution and `blocks` blocks; every `pooled_every`-th of them pools over the board (0: none does)."""
    layers: list[nn.Module] = [nn.Conv2d(planes, filters, 3, padding=1), nn.ReLU(inplace=True)]
    layers += [Block(filters, bool(pooled_every) and (n + 1) % pooled_every == 0) for n in range(blocks)]
    return nn.Sequential(*layers)


class BoardHead(nn.Module):
    """Features [B, F, H, W] -> [B, outputs]: a few planes by a 1 x 1 convolution, then perhaps a hidden layer."""

    def __init__(self, filters: int, planes: int, cells: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.planes = nn.Conv2d(filters, planes, 1)
        self.hidden = nn.Linear(planes * cells, hidden) if hidden else None
        self.output = nn.Linear(hidden or planes * cells, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.planes(x).relu_().flatten(1)
        if self.hidden is not None:
            x = torch.relu(self.hidden(x))
        return self.output(x)


def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """He et al. (2015) for what a rectifier follows; zero for the ends of blocks and, nearly, for the ends of heads."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            deviation = math.sqrt(2 / layer.weight[0].numel())
            nn.init.normal_(layer.weight, 0.0, deviation, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in module.modules():
        if isinstance(layer, Block):
            nn.init.zeros_(layer.second.weight)
            if layer.whole is not None:
                nn.init.zeros_(layer.whole.weight)
        elif isinstance(layer, BoardHead):
            with torch.no_grad():
                layer.output.weight.mul_(0.01)

"""Vision transformers (Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929): [B, C, H, W] -> [B, width]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supervised.networks.attention import Encoder
from supervised.networks.pictures import Activation


class ViT(nn.Module):
    """Patches are tokens, and one token more gathers what is to be known of the picture."""

    def __init__(self, channels: int, patches: int, patch: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.token, self.places = nn.Embedding(1, width), nn.Embedding(patches + 1, width)
        self.encoder = Encoder(width, heads, layers)

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W]
        patches = self.embed(x).flatten(2).permute(2, 0, 1)  # [N, B, width]
        token = self.token.weight.unsqueeze(1).expand(1, len(x), -1)
        tokens = torch.cat([token, patches]) + self.places.weight.unsqueeze(1)
        found: Tensor = self.encoder(tokens)[0]
        return found


def vit(shape: Sequence[int], activation: Activation, patch: int, width: int, layers: int, heads: int) -> ViT:
    """Raises ValueError where the sides aren't multiples of `patch`. ViT-B/16 has 12 layers and heads, width 768."""
    channels, height, wide = shape
    if height % patch or wide % patch:
        raise ValueError(
            f"pictures of {height} x {wide} can't be cut into patches of {patch} x {patch}: set torso.patch"
        )
    return ViT(channels, (height // patch) * (wide // patch), patch, width, layers, heads)

"""Attention (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762), positions, and the blocks of transformers.

encoder = Encoder(width=64, heads=4, layers=2)
y = encoder(x + sinusoids(time, 64))        # [T, B, 64], every token sees every other
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, scaled_dot_product_attention

# From queries [B, heads, T, D], keys and values [B, heads, S, D] to [B, heads, T, D].
Look = Callable[[Tensor, Tensor, Tensor], Tensor]


class Attention(nn.Module):
    """Several heads. x [T, B, F] asks, `source` [S, B, G] (x itself, if it isn't given) is looked at: [T, B, F].

    look: what queries, keys and values become; without masks, the softmax of scaled products.
    """

    def __init__(self, inputs: int, width: int, heads: int, source: int | None = None) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads can't share a width of {width}: it must be a multiple of them")
        self.heads = heads
        self.queries = nn.Linear(inputs, width)
        self.pairs = nn.Linear(source or inputs, 2 * width)  # keys and values
        self.merge = nn.Linear(width, inputs)

    def forward(self, x: Tensor, look: Look = scaled_dot_product_attention, source: Tensor | None = None) -> Tensor:
        return self.ask(x, self.remember(x if source is None else source), look)

    def remember(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what is looked at, [B, heads, S, D] each."""
        keys, values = self.pairs(source).chunk(2, -1)
        return self._split(keys), self._split(values)

    def ask(self, x: Tensor, pairs: tuple[Tensor, Tensor], look: Look = scaled_dot_product_attention) -> Tensor:
        """What x [T, B, F] gets of keys and values that are remembered: [T, B, F]."""
        found = look(self._split(self.queries(x)), *pairs)
        return self.merge(found.permute(2, 0, 1, 3).flatten(2))

    def _split(self, x: Tensor) -> Tensor:  # [T, B, W] -> [B, heads, T, D]
        return x.unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3)


def kernel(x: Tensor) -> Tensor:
    """Features elu + 1, which stand for the exponential (Katharopoulos et al. 2020, equation 7)."""
    return elu(x) + 1


def linear_attention(q: Tensor, k: Tensor, v: Tensor, visible: Tensor, sums: Tensor, norm: Tensor) -> Tensor:
    """Attention whose weights are products of features, not their softmax (Katharopoulos et al. 2020,
    https://arxiv.org/abs/2006.16236, equation 5).

    q [B, heads, T, D], k: features, not negative. visible [B, 1, T, S] bool. What was seen earlier adds, to the sums
    above and below the line, what each query makes of it: sums [B, heads, T, D] = q sum k v^T, norm [B, heads, T, 1] =
    q sum k.
    """
    weights = q @ k.transpose(-1, -2) * visible
    return (weights @ v + sums) / (weights.sum(-1, keepdim=True) + norm)


def sinusoids(time: Tensor, width: int) -> Tensor:
    """Sines and cosines of wavelengths from 2 pi to 20000 pi in turn, of any time [...]: [..., width]. Section 3.5 of
    the paper. Raises ValueError where the width is odd."""
    if width % 2:
        raise ValueError(f"sines and cosines come in pairs, so their width can't be {width}")
    rates = 10_000 ** (-torch.arange(0, width, 2, device=time.device) / width)
    angles = time.unsqueeze(-1) * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def among(visible: Tensor) -> Look:
    """Attention to what is `visible` [B, S] bool."""

    def look(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None, None, :])

    return look


Norm = Literal["pre", "post"]


class TransformerBlock(nn.Module):
    """Attention, and two layers of each token's own, `width` -> `inner` -> `width`; both are added to what they read.

    norm: "post" normalizes each sum (as the paper does), "pre" what is read (Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745), which trains without warming up.
    """

    def __init__(self, width: int, heads: int, norm: Norm = "pre", inner: int | None = None) -> None:
        super().__init__()
        inner = inner or 4 * width
        self.attention = Attention(width, width, heads)
        self.layers = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm = norm

    def forward(self, x: Tensor, look: Look = scaled_dot_product_attention) -> Tensor:  # [T, B, W]
        x = self.add(self.first, lambda x: self.attention(x, look), x)
        return self.add(self.second, self.layers, x)

    def add(self, norm: nn.Module, layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """x and what a layer makes of it."""
        return x + layer(norm(x)) if self.norm == "pre" else norm(x + layer(x))


class DecoderBlock(TransformerBlock):
    """The same with attention between both to what an encoder has made of a source [S, B, W] (section 3.1)."""

    def __init__(self, width: int, heads: int, norm: Norm = "pre", inner: int | None = None) -> None:
        super().__init__(width, heads, norm, inner)
        self.across, self.third = Attention(width, width, heads), nn.LayerNorm(width)

    def decode(self, x: Tensor, look: Look, pairs: tuple[Tensor, Tensor], across: Look) -> Tensor:
        """x [T, B, W] -> [T, B, W]. pairs: the source's, as `self.across` remembers them."""
        x = self.add(self.first, lambda x: self.attention(x, look), x)
        x = self.add(self.third, lambda x: self.across.ask(x, pairs, across), x)
        return self.add(self.second, self.layers, x)


class Encoder(nn.Module):
    """Blocks in which every token of x [T, B, W] sees every other that is `visible` [B, T] bool; None: all are."""

    def __init__(self, width: int, heads: int, layers: int, norm: Norm = "pre", inner: int | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, norm, inner) for _ in range(layers))
        self.last = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        look = scaled_dot_product_attention if visible is None else among(visible)
        for block in self.blocks:
            x = block(x, look)
        return self.last(x)

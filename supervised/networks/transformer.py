"""A causal transformer as a sequence model (`supervised.networks.sequence`): what it has seen is its carry.

network = CausalTransformer(inputs=4, width=32, layers=2, heads=4, window=16)
carry, y = network(network.initial(8), x, first)        # T steps at once
carry, y = network(carry, x[:1], first[:1])             # or one more, from the keys and values that are kept
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from supervised.networks.attention import Look, Norm, TransformerBlock, kernel, linear_attention, sinusoids
from supervised.networks.sequence import Carry


class CausalTransformer(nn.Module):
    """In each layer a step sees itself and the window - 1 before it, so far as they are of the same sequence: [T, B, F]
    -> [T, B, width].

    attention: "softmax", or "linear", which sees the whole sequence through sums of constant size and for which the
    window is how many steps are computed at once. positions: "sinusoidal", by the steps since the sequence began;
    "learned", by these modulo the window; or "none".

    Carry: time [B] int64, steps since the beginning; keys and values [B, layers, heads, window - 1, D] of the latest
    steps, newest last; linear: sums [B, layers, heads, D, D] of k v^T and norm [B, layers, heads, D] of k.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        layers: int,
        heads: int,
        window: int,
        norm: Norm = "pre",
        positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal",
        attention: Literal["softmax", "linear"] = "softmax",
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.table = nn.Embedding(window, width) if positions == "learned" else None
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, norm) for _ in range(layers))
        self.last = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.features, self.heads, self.window = width, heads, window
        self.positions, self.linear = positions, attention == "linear"

    def initial(self, batch: int) -> Carry:
        depth, like = self.features // self.heads, self.embed.weight
        shapes: dict[str, tuple[int, ...]] = {"sums": (depth, depth), "norm": (depth,)}
        if not self.linear:
            shapes = dict.fromkeys(("keys", "values"), (self.window - 1, depth))
        zeros = {name: like.new_zeros(batch, len(self.blocks), self.heads, *shape) for name, shape in shapes.items()}
        return {"time": torch.zeros(batch, dtype=torch.int64, device=like.device), **zeros}

    def forward(self, carry: Carry, x: Tensor, first: Tensor) -> tuple[Carry, Tensor]:
        if not self.linear or len(x) <= self.window:
            return self._together(carry, x, first)
        found = []
        for part, begins in zip(x.split(self.window), first.split(self.window), strict=True):
            carry, y = self._together(carry, part, begins)
            found.append(y)
        return carry, torch.cat(found)

    def _together(self, carry: Carry, x: Tensor, first: Tensor) -> tuple[Carry, Tensor]:
        time = since(first, carry["time"])
        x = self.embed(x)
        if self.table is not None:
            x = x + self.table(time % self.window)
        elif self.positions == "sinusoidal":
            x = x + sinusoids(time, self.features)
        look_at = self._sums if self.linear else self._kept
        kept: list[Carry] = []
        for layer, block in enumerate(self.blocks):
            look = look_at({name: part[:, layer] for name, part in carry.items() if name != "time"}, time, kept.append)
            x = block(x, look)
        carried = {name: torch.stack([layer[name] for layer in kept], 1) for name in kept[0]}
        return {"time": time[-1] + 1, **carried}, self.last(x)

    def _kept(self, layer: Carry, time: Tensor, keep: Callable[[Carry], None]) -> Look:
        """Softmax attention to the steps of the window."""
        visible = reach(time, self.window, self.window - 1)

        def look(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = torch.cat([layer["keys"], k], 2), torch.cat([layer["values"], v], 2)
            keep({"keys": keys[:, :, len(time) :], "values": values[:, :, len(time) :]})
            return scaled_dot_product_attention(q, keys, values, attn_mask=visible)

        return look

    def _sums(self, layer: Carry, time: Tensor, keep: Callable[[Carry], None]) -> Look:
        """Linear attention to these steps, and by their sums to those before."""
        visible = reach(time, len(time), 0)
        steps = torch.arange(len(time), device=time.device)[:, None]
        older = (time > steps).T[:, None, :, None].to(layer["norm"].dtype)  # does a step see what was before these?

        def look(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k = kernel(q), kernel(k)
            sums, norm = layer["sums"], layer["norm"].unsqueeze(-1)
            seen, still = k * visible[:, :, -1, :, None], older[:, :, -1]  # by the last step
            keep({"sums": sums * still.unsqueeze(-1) + seen.mT @ v, "norm": layer["norm"] * still + seen.sum(2)})
            return linear_attention(q, k, v, visible, older * (q @ sums), older * (q @ norm))

        return look


def since(first: Tensor, time: Tensor) -> Tensor:
    """Steps since a sequence began, [T, B] int64: 0 where `first` [T, B], else one more than the step before. time [B]:
    of step 0 where that isn't a first one."""
    steps = torch.arange(len(first), device=first.device)[:, None]
    began = torch.where(first, steps, -1).cummax(0).values
    return torch.where(began >= 0, steps - began, steps + time)


def reach(time: Tensor, window: int, before: int) -> Tensor:
    """What step t of T may see of `before` steps before them and the T themselves, [B, 1, T, before + T] bool: what is
    no later, of the same sequence, and within the window."""
    steps = torch.arange(len(time), device=time.device)
    age = steps[:, None] - torch.arange(-before, len(time), device=time.device)  # [T, before + T]
    oldest = time.clamp(max=window - 1).T[:, None, :, None]
    return (age >= 0) & (age <= oldest)

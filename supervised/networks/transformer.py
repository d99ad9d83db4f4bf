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
    "learned", by these modulo the window; "relative", by how many steps ago it was: in each head a number for each age
    is added to what the softmax is of (Raffel et al. 2020, https://arxiv.org/abs/1910.10683); or "none". Raises
    ValueError for relative positions with linear attention, which has no softmax.

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
        positions: Literal["sinusoidal", "learned", "relative", "none"] = "sinusoidal",
        attention: Literal["softmax", "linear"] = "softmax",
    ) -> None:
        super().__init__()
        if positions == "relative" and attention == "linear":
            raise ValueError("network.torso.positions=relative wants attention=softmax: linear attention has none")
        self.embed = nn.Linear(inputs, width)
        self.table = nn.Embedding(window, width) if positions == "learned" else None
        self.ages = nn.Embedding(window, layers * heads) if positions == "relative" else None
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
            held = {name: part[:, layer] for name, part in carry.items() if name != "time"}
            look = look_at(layer, held, time, kept.append)
            x = block(x, look)
        carried = {name: torch.stack([layer[name] for layer in kept], 1) for name in kept[0]}
        return {"time": time[-1] + 1, **carried}, self.last(x)

    def _kept(self, layer: int, held: Carry, time: Tensor, keep: Callable[[Carry], None]) -> Look:
        """Softmax attention to the steps of the window."""
        visible = reach(time, self.window, self.window - 1)
        mask = visible if self.ages is None else torch.where(visible, self._by_age(layer, len(time)), -torch.inf)

        def look(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = torch.cat([held["keys"], k], 2), torch.cat([held["values"], v], 2)
            keep({"keys": keys[:, :, len(time) :], "values": values[:, :, len(time) :]})
            return scaled_dot_product_attention(q, keys, values, attn_mask=mask)

        return look

    def _by_age(self, layer: int, steps: int) -> Tensor:
        """What relative positions add in each head, where step t of so many looks at those kept and at these: [heads,
        steps, window - 1 + steps]."""
        assert self.ages is not None
        found = self.ages.weight.unflatten(1, (-1, self.heads))[:, layer]
        return found[ages(steps, self.window - 1).clamp(0, self.window - 1)].permute(2, 0, 1)

    def _sums(self, layer: int, held: Carry, time: Tensor, keep: Callable[[Carry], None]) -> Look:
        """Linear attention to these steps, and by their sums to those before."""
        visible = reach(time, len(time), 0)
        steps = torch.arange(len(time), device=time.device)[:, None]
        older = (time > steps).T[:, None, :, None].to(held["norm"].dtype)  # does a step see what was before these?

        def look(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k = kernel(q), kernel(k)
            sums, norm = held["sums"], held["norm"].unsqueeze(-1)
            seen, still = k * visible[:, :, -1, :, None], older[:, :, -1]  # by the last step
            keep({"sums": sums * still.unsqueeze(-1) + seen.mT @ v, "norm": held["norm"] * still + seen.sum(2)})
            return linear_attention(q, k, v, visible, older * (q @ sums), older * (q @ norm))

        return look


def since(first: Tensor, time: Tensor) -> Tensor:
    """Steps since a sequence began, [T, B] int64: 0 where `first` [T, B], else one more than the step before. time [B]:
    of step 0 where that isn't a first one."""
    steps = torch.arange(len(first), device=first.device)[:, None]
    began = torch.where(first, steps, -1).cummax(0).values
    return torch.where(began >= 0, steps - began, steps + time)


def ages(steps: int, before: int) -> Tensor:
    """How long ago each of `before` steps and of the T behind them was, seen from those T: [T, before + T] int64, below
    0 where it is yet to come."""
    return torch.arange(steps)[:, None] - torch.arange(-before, steps)


def reach(time: Tensor, window: int, before: int) -> Tensor:
    """What step t of T may see of `before` steps before them and the T themselves, [B, 1, T, before + T] bool: what is
    no later, of the same sequence, and within the window."""
    age = ages(len(time), before).to(time.device)
    oldest = time.clamp(max=window - 1).T[:, None, :, None]
    return (age >= 0) & (age <= oldest)

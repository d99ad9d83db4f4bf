"""Sequence to sequence: an encoder reads a source as a whole, a decoder says token by token what becomes of it.

    carry = translator.begin(source)                    # source [S, B] int64, filled up with PAD
    carry, outputs = translator.decode(carry, tokens)   # tokens [T, B] -> [T, B, K], of what comes behind each
    outputs = translator(source, tokens)                # both, as in learning

A carry is a mapping from names to tensors [B, ...], so that a search may pick and repeat its rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from supervised.networks.attention import Attention, DecoderBlock, Encoder, Norm, among, sinusoids
from supervised.networks.sequence import CELLS, Bidirectional, Carry, step
from supervised.networks.torso import initialize

PAD = 0  # the token that fills up


class Translator(nn.Module):
    """source [S, B], tokens [T, B] -> unnormalized log-probabilities [T, B, K] of the next token."""

    def begin(self, source: Tensor) -> Carry:
        """What is known of the source before the first token."""
        raise NotImplementedError

    def decode(self, carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
        raise NotImplementedError

    def forward(self, source: Tensor, tokens: Tensor) -> Tensor:
        return self.decode(self.begin(source), tokens)[1]


class RecurrentTranslator(Translator):
    """Cells that attend (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473). Differs from the paper: products are
    scaled and added up in place of a layer of tanh, and the output layer is linear.

    Of encoder outputs o_j the decoder's last state h_{i-1} makes the context c_i = sum_j softmax_j(score(h_{i-1}, o_j))
    o_j, and the cell its next one from the token before and c_i.

    Carry: hidden [B, W], and cell [B, W] of an lstm; keys and values [B, 1, S, W] of the source; visible [B, S] bool.
    """

    def __init__(
        self, kind: str, sources: int, targets: int, width: int, layers: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(sources, width), nn.Embedding(targets, width)
        self.encoder = Bidirectional(kind, width, width, layers)
        self.bridge = nn.Linear(2 * width, width)
        self.attention = Attention(width, width, 1, source=2 * width)
        self.cell = CELLS[kind](2 * width, width)
        self.head = nn.Linear(2 * width, targets)
        self.names = ("hidden", "cell") if kind == "lstm" else ("hidden",)
        initialize(self, "fan_in", generator)

    def begin(self, source: Tensor) -> Carry:
        visible = source != PAD
        ends = torch.cat([torch.zeros_like(visible[:1]), visible[:-1] & ~visible[1:]])  # where it is filled up
        _, read = self.encoder({}, self.source(source), ends)
        keys, values = self.attention.remember(read)
        hidden = self.bridge(read[0]).tanh()
        state = dict.fromkeys(self.names, torch.zeros_like(hidden)) | {"hidden": hidden}
        return {**state, "keys": keys, "values": values, "visible": visible.T}

    def decode(self, carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
        look, pairs = among(carry["visible"]), (carry["keys"], carry["values"])
        state, found = tuple(carry[name] for name in self.names), []
        for token in self.target(tokens):
            context = self.attention.ask(state[0][None], pairs, look)[0]
            state = step(self.cell, torch.cat([token, context], -1), state)
            found.append(torch.cat([state[0], context], -1))
        return {**carry, **dict(zip(self.names, state))}, self.head(torch.stack(found))


class AttendingTranslator(Translator):
    """The transformer of Vaswani et al. 2017, section 3, with tables of its own for sources, targets and outputs.

    Carry: past_keys and past_values [B, layers, heads, t, D] of the t tokens so far; keys and values [B, layers, heads,
    S, D] of the source; visible [B, S] bool.
    """

    def __init__(
        self, sources: int, targets: int, width: int, layers: int, heads: int, norm: Norm, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(sources, width), nn.Embedding(targets, width)
        self.encoder = Encoder(width, heads, layers, norm)
        self.blocks = nn.ModuleList(DecoderBlock(width, heads, norm) for _ in range(layers))
        self.last = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, targets)
        self.heads = heads
        initialize(self, "fan_in", generator)
        for table in (self.source, self.target):  # as long as what shows the positions
            nn.init.normal_(table.weight, generator=generator)

    def begin(self, source: Tensor) -> Carry:
        visible, like = (source != PAD).T, self.head.weight
        read = self.encoder(placed(self.source(source), 0), visible)
        pairs = [block.across.remember(read) for block in self.decoders()]
        empty = like.new_zeros(len(visible), len(pairs), self.heads, 0, read.shape[2] // self.heads)
        kept = {"past_keys": empty, "past_values": empty, "visible": visible}
        return kept | {name: torch.stack(part, 1) for name, part in zip(("keys", "values"), zip(*pairs))}

    def decode(self, carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
        before, across = carry["past_keys"].shape[3], among(carry["visible"])
        x, kept = placed(self.target(tokens), before), list[Mapping[str, Tensor]]()
        seen = torch.ones(len(x), before + len(x), dtype=torch.bool, device=x.device).tril(before)
        for layer, block in enumerate(self.decoders()):

            def look(q: Tensor, k: Tensor, v: Tensor, layer: int = layer) -> Tensor:
                keys, values = (
                    torch.cat([carry[f"past_{n}"][:, layer], p], 2) for n, p in (("keys", k), ("values", v))
                )
                kept.append({"past_keys": keys, "past_values": values})
                return scaled_dot_product_attention(q, keys, values, attn_mask=seen)

            x = block.decode(x, look, (carry["keys"][:, layer], carry["values"][:, layer]), across)
        past = {name: torch.stack([part[name] for part in kept], 1) for name in kept[0]}
        return {**carry, **past}, self.head(self.last(x))

    def decoders(self) -> list[DecoderBlock]:
        return [block for block in self.blocks if isinstance(block, DecoderBlock)]


def placed(x: Tensor, begin: int) -> Tensor:
    """Tokens [T, B, W] that show their positions, of which the first is `begin`."""
    return x + sinusoids(torch.arange(begin, begin + len(x), device=x.device), x.shape[2])[:, None]

"""What reads sequences: modules with a carry, `(carry, x [T, B, F], first [T, B]) -> (carry, y [T, B, H])`.

    network = Recurrent("gru", inputs=4, width=32)
    carry, y = network(network.initial(8), x, first)        # T steps of 8 rows at once, as in learning
    carry, y = network(carry, x[:1], first[:1])             # or step by step, as in acting

Where `first` is True a row begins anew, whatever the carry holds, so a row may hold several sequences, one behind the
other, and a sequence that is shorter than its row is ended by a True at the first step of what fills it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Carry = Mapping[str, Tensor]  # by name, each [B, ...]


class SequenceModel(Protocol):
    """What every module here and `CausalTransformer` can do."""

    features: int  # H, the width of y

    def initial(self, batch: int) -> Carry:
        """What is remembered at the beginning, for so many rows."""
        ...

    def __call__(self, carry: Carry, x: Tensor, first: Tensor) -> tuple[Carry, Tensor]: ...


CELLS: dict[str, Any] = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


class Recurrent(nn.Module):
    """`layers` of cells, each reading what the one below it puts out: "rnn" (Elman 1990, with tanh), "gru" (Cho et al.
    2014, https://arxiv.org/abs/1406.1078, with the reset gate behind the matrix, as in torch), or "lstm" (Hochreiter
    and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Carry: hidden [B, layers, H], and cell [B, layers, H] of an lstm.
    """

    def __init__(self, kind: str, inputs: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.cells = nn.ModuleList(CELLS[kind](width if layer else inputs, width) for layer in range(layers))
        self.names = ("hidden", "cell") if kind == "lstm" else ("hidden",)
        self.features = width

    def initial(self, batch: int) -> Carry:
        device = next(self.parameters()).device
        return {name: torch.zeros(batch, len(self.cells), self.features, device=device) for name in self.names}

    def forward(self, carry: Carry, x: Tensor, first: Tensor) -> tuple[Carry, Tensor]:
        going_on = (~first).unsqueeze(-1).to(x.dtype)  # [T, B, 1]
        states = []
        for layer, cell in enumerate(self.cells):
            state, found = tuple(carry[name][:, layer] for name in self.names), []
            for now, kept in zip(x, going_on, strict=True):
                state = step(cell, now, tuple(part * kept for part in state))
                found.append(state[0])
            x = torch.stack(found)
            states.append(state)
        return {name: torch.stack(parts, 1) for name, parts in zip(self.names, zip(*states), strict=True)}, x


def step(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A cell's next state: hidden [B, H], and what else it remembers."""
    if isinstance(cell, nn.LSTMCell):
        found: tuple[Tensor, ...] = cell(x, state)
        return found
    return (cell(x, *state),)


class Bidirectional(nn.Module):
    """Two recurrent layers side by side, of which one reads backwards, `layers` times (Schuster and Paliwal 1997):
    y [T, B, 2 H]. It must have seen the end of a sequence, so it remembers nothing between calls: the carry is empty.

    shared: both directions have one matrix and bias for inputs, and differ in the recurrent ones alone.
    """

    def __init__(self, kind: str, inputs: int, width: int, layers: int = 1, shared: bool = False) -> None:
        super().__init__()
        widths = [2 * width if layer else inputs for layer in range(layers)]
        pairs = [(Recurrent(kind, below, width), Recurrent(kind, below, width)) for below in widths]
        for ahead, back in pairs if shared else []:
            for name in ("weight_ih", "bias_ih"):
                setattr(back.cells[0], name, getattr(ahead.cells[0], name))
        self.pairs = nn.ModuleList(nn.ModuleList(pair) for pair in pairs)
        self.features = 2 * width

    def initial(self, batch: int) -> Carry:
        return {}

    def forward(self, carry: Carry, x: Tensor, first: Tensor) -> tuple[Carry, Tensor]:
        last = torch.cat([first[1:], torch.ones_like(first[:1])]).flip(0)  # where a row begins when read backwards
        for pair in self.pairs:
            ahead, back = pair.children()
            assert isinstance(ahead, Recurrent)
            fresh = ahead.initial(x.shape[1])
            found, backwards = ahead(fresh, x, first)[1], back(fresh, x.flip(0), last)[1]
            x = torch.cat([found, backwards.flip(0)], -1)
        return {}, x


class Recall(nn.Module):
    """A sequence model behind an encoder of each step: obs [T, B, *obs] -> [T, B, H]."""

    def __init__(self, encoder: nn.Module, model: SequenceModel) -> None:
        super().__init__()
        assert isinstance(model, nn.Module)
        self.encoder, self.model = encoder, model

    def initial(self, batch: int) -> Carry:
        found: Carry = self.model.initial(batch)
        return found

    def forward(self, carry: Carry, obs: Tensor, first: Tensor) -> tuple[Carry, Tensor]:
        found: tuple[Carry, Tensor] = self.model(
            carry, self.encoder(obs.flatten(0, 1)).unflatten(0, first.shape), first
        )
        return found

"""A model of language: what it has read says what comes next.

reader = Reader(Recurrent("gru", 32, 32), embedded=32, tokens=100, generator=generator)
carry, outputs = reader(reader.initial(8), tokens, first)   # tokens [T, B] -> [T, B, 100]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supervised.networks.sequence import Carry, SequenceModel
from supervised.networks.torso import initialize


class Reader(nn.Module):
    """carry, tokens [T, B] int64, first [T, B] bool -> carry, unnormalized log-probabilities of the next one
    [T, B, tokens]: each token is looked up, read by `model`, and answered by a linear layer."""

    def __init__(self, model: SequenceModel, embedded: int, tokens: int, generator: torch.Generator) -> None:
        super().__init__()
        assert isinstance(model, nn.Module)
        self.embed, self.model = nn.Embedding(tokens, embedded), model
        self.head = nn.Linear(model.features, tokens)
        initialize(self, "fan_in", generator)

    def initial(self, batch: int) -> Carry:
        found: Carry = self.model.initial(batch)
        return found

    def forward(self, carry: Carry, tokens: Tensor, first: Tensor) -> tuple[Carry, Tensor]:
        carry, read = self.model(carry, self.embed(tokens), first)
        return carry, self.head(read)

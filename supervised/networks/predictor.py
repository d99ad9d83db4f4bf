"""A network that predicts: a torso, and a linear layer behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supervised.networks.torso import initialize, torso


class Predictor(nn.Module):
    """inputs [B, *shape] -> outputs [B, K]: numbers, or unnormalized log-probabilities of classes.

    kind, hidden, activation: of the torso, see `torso`. Raises ValueError where it doesn't take inputs of this shape.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        kind: str,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.torso, features = torso(shape, kind, hidden, activation)
        self.head = nn.Linear(features, outputs)
        initialize(self, "fan_in", generator)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.torso(inputs))

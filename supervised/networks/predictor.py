"""A network that predicts: a torso, and a linear layer behind it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supervised.networks.torso import initialize


class Predictor(nn.Module):
    """inputs [B, *shape] -> outputs [B, K]: numbers, or unnormalized log-probabilities of classes.

    torso: inputs -> features [B, features], initialized, as `supervised.networks.torso.torso` makes it.
    """

    def __init__(self, torso: nn.Module, features: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.torso = torso
        self.head = nn.Linear(features, outputs)
        initialize(self.head, "fan_in", generator)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.torso(inputs))

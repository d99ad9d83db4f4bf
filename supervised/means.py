"""Means of metrics that gather on the learner's device, so that an update never waits for the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Means(NamedTuple):
    """Sums [K] and the weight of what was added; part of a closed step's state."""

    sums: Tensor
    weight: Tensor  # 0-d

    @staticmethod
    def zeros(names: Sequence[str], device: torch.device) -> Means:
        return Means(torch.zeros(len(names), device=device), torch.zeros((), device=device))

    def add(self, values: Sequence[Tensor], weight: Tensor | float = 1.0) -> None:
        """values: 0-d each, in the order of the names. weight 0 leaves everything as it is."""
        self.sums.add_(torch.stack(list(values)) * weight)
        self.weight.add_(weight)

    def drain(self, names: Sequence[str]) -> Mapping[str, float]:
        """The means so far, and start anew. Empty if nothing was added."""
        means = (self.sums / self.weight).tolist() if self.weight.item() else []
        self.sums.zero_()
        self.weight.zero_()
        return dict(zip(names, means, strict=True)) if means else {}

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums.cpu().numpy().copy(), "weight": self.weight.item()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums.copy_(torch.from_numpy(state["sums"]))
        self.weight.fill_(state["weight"])

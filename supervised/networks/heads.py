"""Heads: features [B, F] -> what an algorithm needs of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supervised.networks.torso import fan_in_uniform, initialize, mlp, orthogonal


class Logits(nn.Module):
    """Unnormalized log-probabilities [B, A]; masking belongs to the distribution. A small gain starts near uniform."""

    def __init__(self, features: int, outputs: int, generator: torch.Generator, gain: float = 0.01) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs)
        orthogonal(self.linear, gain, generator)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features)


class Gaussian(nn.Module):
    """Mean [B, D] from features and a log standard deviation [D] of its own, returned side by side as [B, 2 D].

    units: of each dimension, the zero and the one [D] that both are learned in. None: 0 and 1.
    """

    zero: Tensor
    one: Tensor

    def __init__(
        self,
        features: int,
        size: int,
        generator: torch.Generator,
        log_std: float = 0.0,
        units: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.mean = nn.Linear(features, size)
        orthogonal(self.mean, 0.01, generator)
        self.log_std = nn.Parameter(torch.full((size,), float(log_std)))
        self.scaled = units is not None
        if units is not None:  # buffers travel with the weights: what was learned in other units doesn't fit
            self.register_buffer("zero", units[0].clone())
            self.register_buffer("one", units[1].clone())

    def forward(self, features: Tensor) -> Tensor:
        mean = self.mean(features)
        if not self.scaled:
            return torch.cat([mean, self.log_std.expand_as(mean)], -1)
        return torch.cat([self.zero + self.one * mean, (self.log_std + self.one.log()).expand_as(mean)], -1)


class SquashedGaussian(nn.Module):
    """Mean and bounded log standard deviation [B, 2 D], both from features, of a Gaussian that tanh squashes."""

    def __init__(self, features: int, size: int, generator: torch.Generator, low: float = -20, high: float = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * size)
        fan_in_uniform(self.linear, generator)
        self.low, self.high = low, high

    def forward(self, features: Tensor) -> Tensor:
        mean, log_std = self.linear(features).chunk(2, -1)
        return torch.cat([mean, log_std.clamp(self.low, self.high)], -1)


class Tanh(nn.Module):
    """A deterministic action in [-1, 1]^D. Small final weights keep it off the flat ends (Lillicrap et al. 2016)."""

    def __init__(self, features: int, size: int, generator: torch.Generator, bound: float = 3e-3) -> None:
        super().__init__()
        self.linear = nn.Linear(features, size)
        nn.init.uniform_(self.linear.weight, -bound, bound, generator=generator)
        nn.init.uniform_(self.linear.bias, -bound, bound, generator=generator)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features).tanh()


class Value(nn.Module):
    """One number per row, [B]."""

    def __init__(self, features: int, generator: torch.Generator, gain: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        orthogonal(self.linear, gain, generator)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features).squeeze(-1)


class Q(nn.Module):
    """Action values [B, A]."""

    def __init__(self, features: int, actions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(features, actions)
        fan_in_uniform(self.linear, generator)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features)


class DuelingQ(nn.Module):
    """Q = V + A - mean A, equation 9 of Wang et al. (2016), https://arxiv.org/abs/1511.06581."""

    def __init__(self, features: int, actions: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.value = nn.Sequential(mlp(features, [hidden], "relu"), nn.Linear(hidden, 1))
        self.advantage = nn.Sequential(mlp(features, [hidden], "relu"), nn.Linear(hidden, actions))
        initialize(self, "fan_in", generator)

    def forward(self, features: Tensor) -> Tensor:
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(-1, keepdim=True)

"""Critics of actions: Q(s, a), one or several side by side.

critics = Critics(spec, config.network, 2, generator)
critics(obs, action)  # [2, B]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.config import NetworkOptions
from agents.parts.networks import torso_of
from envs.api import Continuous, Spec
from supervised.networks.heads import Value


class Critic(nn.Module):
    """(normalized obs [B, F], action [B, D]) -> Q [B]. Raises ValueError where observations aren't vectors."""

    def __init__(self, spec: Spec, options: NetworkOptions, generator: torch.Generator) -> None:
        super().__init__()
        if len(spec.obs_shape) != 1:
            raise ValueError(f"critics want observations that are vectors, but {spec.name} shows {spec.obs_shape}")
        assert isinstance(spec.actions, Continuous)
        self.torso, features = torso_of(options, spec, "fan_in", generator, extra=len(spec.actions.low))
        self.head = Value(features, generator)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return self.head(self.torso(torch.cat([obs, action], -1)))


class Critics(nn.Module):
    """K critics that differ in their first weights: -> Q [K, B]."""

    def __init__(self, spec: Spec, options: NetworkOptions, count: int, generator: torch.Generator) -> None:
        super().__init__()
        self.critics = nn.ModuleList(Critic(spec, options, generator) for _ in range(count))

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return torch.stack([critic(obs, action) for critic in self.critics])

"""One action for each observation, within bounds: the network, and the policy that adds noise to it when exploring.

network = DeterministicNetwork(spec, config.network, config.normalize, generator)
network.random.fill_(0.0)  # travels with the weights: from now on no longer at random
policy = DeterministicPolicy(spec, config.network, config.normalize, noise, device)
policy.load(Flat(network).weights())
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import NetworkOptions, NormalizeOptions
from agents.maths.stochastic import units
from agents.parts.networks import acting, normalize, torso_of
from agents.records import Acted, Carry
from envs.api import Array, Continuous, Spec, Step
from supervised.flat import Flat
from supervised.networks.heads import Tanh


class DeterministicNetwork(nn.Module):
    """obs [B, *obs] -> action in [-1, 1], [B, D]. Raises ValueError where actions have no bounds."""

    random: Tensor  # 0-d, 1: act at random instead

    def __init__(
        self, spec: Spec, options: NetworkOptions, normalization: NormalizeOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        center, _ = middle(spec)
        self.normalize = normalize(spec, normalization)
        self.torso, features = torso_of(options, spec, "fan_in", generator)
        self.head = Tanh(features, len(center), generator)
        self.register_buffer("random", torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.torso(self.normalize(obs)))


class DeterministicPolicy:
    """The network's action; with noise when exploring, uniformly random while the weights say so.

    noise: (level [B, D] of the last step, rng) -> level of this one, as a fraction of half the action range.
    """

    def __init__(
        self,
        spec: Spec,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        noise: Callable[[Array, np.random.Generator], Array],
        device: torch.device,
    ) -> None:
        self.network = DeterministicNetwork(spec, options, normalization, torch.Generator()).to(device)
        self.center, self.half = middle(spec)
        self.flat = Flat(self.network)
        self.forward = acting(self.network, device)
        self.noise = noise
        self.random = True

    def initial(self, batch: int) -> Carry:
        return {"noise": np.zeros((batch, len(self.half)), np.float32)}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        if explore and self.random:
            action = rng.uniform(-1, 1, carry["noise"].shape).astype(np.float32)
            return Acted(carry, self.center + self.half * action, {})
        action = self.forward(step.obs)
        if explore:
            carry = {"noise": self.noise(carry["noise"], rng)}
            action = (action + carry["noise"]).clip(-1, 1)
        return Acted(carry, self.center + self.half * action, {})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)
        self.random = bool(self.network.random.item())


def middle(spec: Spec) -> tuple[Array, Array]:
    """`units` of actions. Raises ValueError where they have no bounds."""
    actions = spec.actions
    if not isinstance(actions, Continuous) or not np.isfinite([actions.low, actions.high]).all():
        raise ValueError(f"this wants continuous actions between finite bounds, but {spec.name} has {actions}; use ppo")
    return units(actions)

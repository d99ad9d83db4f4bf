"""A policy that learns to do what was done: what imitators share.

    cloner = Cloner(spec, config.network, config.normalize, 0.0, seeds.integer("learner", "network"), device, False)
    cloner.standardize(examples.obs)
    cloner.trained.update(1e-3, *examples)

The loss is -log pi(a | s): cross-entropy of discrete actions, the likelihood of a Gaussian for continuous ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.config import NormalizeOptions
from agents.maths.stochastic import stochastic
from agents.parts.config import StochasticOptions
from agents.parts.normalizer import Normalizer
from agents.parts.on_policy import PolicyNetwork
from envs.api import Array, Spec
from supervised.trained import Found, Trained


class Examples(NamedTuple):
    """What was to be done in n states."""

    obs: Array  # [n, *obs]
    action: Array  # [n] or [n, D]
    mask: Array | None  # [n, A] bool

    def pick(self, index: Array) -> list[Array]:
        """Those rows, the columns that there are."""
        return [column[index] for column in self if column is not None]


class Cloner:
    """A policy's network, and how it is fitted to examples. Raises ValueError for a torso that remembers."""

    def __init__(
        self,
        spec: Spec,
        network: StochasticOptions,
        normalize: NormalizeOptions,
        regularization: float,
        seed: int,
        device: torch.device,
        compiled: bool,
    ) -> None:
        self.family = stochastic(spec.actions, network.log_std)
        self.network = PolicyNetwork(spec, self.family, network, normalize, torch.Generator().manual_seed(seed))
        self.trained = Trained(
            self.network.to(device),
            self.loss,
            {"loss": 1.0},
            ["entropy"],
            regularization=regularization,
            compiled=compiled,
        )

    def loss(self, parameters: Tensor, obs: Tensor, action: Tensor, mask: Tensor | None = None) -> Found:
        """-log pi(action | obs) [n], to be minimized. entropy [n]."""
        outputs: Any = self.trained.flat.call(parameters, obs)
        return {"loss": -self.family.log_prob(outputs, action, mask)}, {"entropy": self.family.entropy(outputs, mask)}

    def standardize(self, obs: Array) -> None:
        """Let the network normalize by these observations [n, *obs], where it normalizes."""
        normalizer = Normalizer(self.network.normalize)
        if normalizer.observations is not None:
            normalizer.observations.update(obs)
            normalizer.write()

"""What is subtracted from returns before a policy learns from them.

No baseline that knows nothing of the action changes the expected gradient (Williams 1992). One near the expected return
mostly lowers its variance; the best one weighs returns by the square of the score, and the mean can be worse than none.

baseline = NetworkBaseline(spec, config.network, config.baseline, network.normalize, seeds, device, compiled=False)
value = baseline.values(obs)  # before it has seen what was returned
baseline.fit(obs, target, rate=1e-3)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from agents.api import State
from agents.config import NetworkOptions
from agents.maths.losses import value_loss
from agents.parts.batches import shuffled
from agents.parts.config import BaselineOptions
from agents.parts.networks import torso_of
from agents.parts.on_policy import in_chunks
from agents.parts.state import Assembled
from envs.api import Array, Spec
from experiment.seeding import Seeds
from supervised.networks.heads import Value
from supervised.trained import Found, Trained


class Baseline(Protocol):
    def values(self, obs: Tensor) -> Array:
        """obs [n, *obs] -> [n] float32, on the host."""
        ...

    def fit(self, obs: Tensor, target: Tensor, rate: float) -> None:
        """Learn what was returned, target [n]."""
        ...

    def metrics(self) -> Mapping[str, float]: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class ConstantBaseline(Assembled):
    """One number for all states, which moves this fraction of the way to the mean of what is returned; it stays 0 if
    the fraction is 0."""

    STATE = ("value",)

    def __init__(self, fraction: float) -> None:
        self.fraction, self.value = fraction, 0.0

    def values(self, obs: Tensor) -> Array:
        return np.full(len(obs), self.value, np.float32)

    def fit(self, obs: Tensor, target: Tensor, rate: float) -> None:
        self.value += self.fraction * (target.mean().item() - self.value)

    def metrics(self) -> Mapping[str, float]:
        return {"train/baseline": self.value}


class NetworkBaseline(Assembled):
    """A value for each state: a network of its own, behind the policy's normalization."""

    STATE = ("trained", "rng")

    def __init__(
        self,
        spec: Spec,
        network: NetworkOptions,
        options: BaselineOptions,
        normalize: Callable[[Tensor], Tensor],
        seeds: Seeds,
        device: torch.device,
        compiled: bool,
    ) -> None:
        self.options, self.normalize = options, normalize
        self.rng = seeds.generator("baseline", "minibatches")
        generator = torch.Generator().manual_seed(seeds.integer("baseline", "network"))
        torso, features = torso_of(network, spec, "orthogonal", generator)
        self.module = nn.Sequential(torso, Value(features, generator)).to(device)
        self.trained = Trained(self.module, self.loss, {"value_loss": 1.0}, compiled=compiled)

    def values(self, obs: Tensor) -> Array:
        return in_chunks(lambda part: self.module(self.normalize(part)), obs)

    def fit(self, obs: Tensor, target: Tensor, rate: float) -> None:
        """Minibatches of one size, in which all rows stand equally often, but for the last ones."""
        n, size, epochs = len(target), self.options.batch_size, self.options.epochs
        batches = max(1, epochs * n // size)
        shown = self.normalize(obs)
        for index in torch.from_numpy(shuffled(self.rng, n, batches, size)).to(target.device):
            self.trained.update(rate, shown[index], target[index])

    def loss(self, parameters: Tensor, shown: Tensor, target: Tensor) -> Found:
        """(target - V)^2 / 2 [n] of normalized observations."""
        return {"value_loss": value_loss(self.trained.flat.call(parameters, shown), target)}, {}

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/")

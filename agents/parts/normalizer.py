"""Running normalization at the learner: moments of what all actors saw.

normalizer = Normalizer(network.normalize, rewards=True)
normalizer.merge(round.moments)  # after each collection
reward = normalizer.scale(unroll.reward)
normalizer.write()  # before the weights are published, so that whoever acts normalizes as this version learned to
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from agents.api import State
from envs.api import Array
from envs.normalize import Moments
from supervised.networks.torso import Normalize


class Normalizer:
    """Of observations, where the network's first layer is a `Normalize`, and of rewards by the deviation of returns."""

    def __init__(self, layer: nn.Module, rewards: bool = False) -> None:
        self.layer = layer
        self.observations = Moments(tuple(layer.mean.shape)) if isinstance(layer, Normalize) else None
        self.returns = Moments(()) if rewards else None

    def merge(self, moments: Iterable[State]) -> None:
        """Take in the actors' news."""
        for news in moments:
            for name, own in self._own().items():
                own.merge(news[name])

    def write(self) -> None:
        """Give the network's layer the statistics of all observations so far."""
        if isinstance(self.layer, Normalize) and self.observations is not None and self.observations.count:
            self.layer.mean.copy_(torch.from_numpy(self.observations.mean))
            self.layer.scale.copy_(torch.from_numpy(1 / self.observations.deviation))

    def scale(self, reward: Array) -> Array:
        """Rewards in units of the deviation of returns, at most 10 of them; as they are where they aren't scaled."""
        if self.returns is None:
            return reward
        scaled: Array = (reward / self.returns.deviation).clip(-10, 10).astype(np.float32)
        return scaled

    def state_dict(self) -> State:
        return {name: own.state_dict() for name, own in self._own().items()}

    def load_state_dict(self, state: State) -> None:
        for name, own in self._own().items():
            own.load_state_dict(state[name])

    def _own(self) -> dict[str, Moments]:
        both = {"observations": self.observations, "returns": self.returns}
        return {name: own for name, own in both.items() if own is not None}

"""The dream: episodes that a memory thinks up, for a whole generation of controllers in one program of tensors.

    dream = Dream(mind, begins, Luck(...), rollouts=8, horizon=100, temperature=1.15)   # agents.api.Source
    returns, lengths = imagine(mind, controllers, z, luck, horizon=100, temperature=1.15)

All controllers of a generation dream with the same luck, so that they differ by what they do alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from agents.api import State
from agents.records import Episodes, Experience
from agents.world_models.evolution import Judged
from agents.world_models.mind import Mind
from envs.api import Array


class Dream:
    """A Source of judged generations.

    begins: means and log variances [n, 2 Z] of what episodes begin with; one is drawn for each rollout.
    """

    def __init__(
        self,
        mind: Mind,
        begins: Tensor,
        rollouts: int,
        horizon: int,
        temperature: float,
        discount: float,
        rng: np.random.Generator,
    ) -> None:
        self.mind, self.begins, self.rng = mind, begins, rng
        self.rollouts, self.horizon, self.temperature, self.discount = rollouts, horizon, temperature, discount
        self.weights, self.version = np.empty(0, np.float32), 0

    def publish(self, weights: Array, version: int) -> None:
        """Of an `Evolution`; the mind stays as it was learned."""
        parameters = sum(part.numel() for part in self.mind.state_dict().values())
        self.weights, self.version = weights[parameters:], version

    def collect(self) -> list[Experience]:
        controllers = torch.from_numpy(self.weights.reshape(-1, self.mind.controller.numel()).copy())
        returns, lengths = self.judge(controllers.to(self.begins.device), self.rng)
        episodes = Episodes(returns.ravel().tolist(), lengths.ravel().tolist())
        judged = Judged(np.arange(len(returns)), returns.mean(1))
        return [Experience(judged, int(lengths.sum()), episodes, self.version, 0)]

    def judge(self, controllers: Tensor, rng: np.random.Generator) -> tuple[Array, Array]:
        """Returns and lengths [N, R] of controllers [N, P]."""
        chosen = torch.from_numpy(rng.integers(len(self.begins), size=self.rollouts)).to(self.begins.device)
        mean, log_variance = self.begins[chosen].chunk(2, -1)
        noise = torch.from_numpy(rng.standard_normal(mean.shape, np.float32)).to(mean.device)
        z = mean + (0.5 * log_variance).exp() * noise
        luck = luck_of(rng, self.rollouts, z.shape[-1], z.device)
        z = z.repeat(len(controllers), 1)
        found = imagine(self.mind, controllers, z, luck, self.horizon, self.temperature, self.discount)
        returns, lengths = (part.view(len(controllers), -1).cpu().numpy() for part in found)
        return returns.astype(np.float64), lengths

    def metrics(self) -> Mapping[str, float]:
        return {}

    def close(self) -> None:
        """Nothing is held."""

    def state_dict(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]


Luck = Iterator[tuple[Tensor, Tensor, Tensor]]  # of each step: uniform and normal [R, Z], uniform [R]


def luck_of(rng: np.random.Generator, rollouts: int, codes: int, device: torch.device) -> Luck:
    while True:
        yield (
            torch.from_numpy(rng.random((rollouts, codes), np.float32)).to(device),
            torch.from_numpy(rng.standard_normal((rollouts, codes), np.float32)).to(device),
            torch.from_numpy(rng.random(rollouts, np.float32)).to(device),
        )


@torch.inference_mode()
def imagine(
    mind: Mind, controllers: Tensor, z: Tensor, luck: Luck, horizon: int, temperature: float, discount: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Discounted returns and lengths [N R] of episodes that begin with codes z [N R, Z], R for each of N controllers.

    Rewards are the means that the memory says; an episode ends with the probability that it says, whatever the
    temperature.
    """
    carry, alive = mind.memory.initial(len(z)), torch.ones(len(z), dtype=torch.bool, device=z.device)
    total, lengths = torch.zeros(len(z), device=z.device), torch.zeros(len(z), dtype=torch.int64, device=z.device)
    for t in range(horizon):
        uniform, noise, fate = (part.repeat(len(controllers), *(1,) * (part.ndim - 1)) for part in next(luck))
        action = mind.choose(controllers, z, carry)
        carry, coming = mind.foresee(carry, z, action)
        assert coming.reward is not None
        total += alive * coming.reward * discount**t
        lengths += alive
        if coming.end is not None:
            alive = alive & (fate > coming.end.sigmoid())
            if not alive.any():
                break
        z = coming.codes.at(uniform, noise, temperature)
    return total, lengths

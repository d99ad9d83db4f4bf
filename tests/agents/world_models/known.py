"""A memory that knows a linear-Gaussian world: z' = .9 z + .5 u + N(0, .1^2), reward -(z^2 + u^2)."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.linalg import solve_discrete_are
from torch import Tensor, nn

from agents.world_models.mind import Manner, Mind
from envs.api import Array, Continuous
from generative.mdn import Coming, Mixture, MixtureDensityRNN
from supervised.networks.sequence import Carry, Recurrent

A, B, DEVIATION = 0.9, 0.5, 0.1
ENTROPY = 0.5 * math.log(2 * math.pi * math.e * DEVIATION**2)  # nats of a step, -.883647
ACTIONS = Continuous((-1.0,), (1.0,))


def riccati(discount: float) -> float:
    """K of the best u = -K z."""
    a, b, one = (np.array([[value]]) for value in (math.sqrt(discount) * A, math.sqrt(discount) * B, 1.0))
    cost = float(solve_discrete_are(a, b, one, one)[0, 0])
    return discount * B * cost * A / (1 + discount * B**2 * cost)


class Known(MixtureDensityRNN):
    """Remembers the last z, and says what is true, in two normals that are the same."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.codes, self.mixtures, self.reward, self.end = 1, 2, True, False
        self.model = Recurrent("rnn", 2, 1)  # of which nothing is asked but its width

    def initial(self, batch: int) -> Carry:
        return {"hidden": torch.zeros(batch, 1, 1)}

    def forward(self, carry: Carry, z: Tensor, action: Tensor, first: Tensor) -> tuple[Carry, Coming]:
        mean = (A * z + B * action).unsqueeze(-1).expand(*z.shape, 2)
        mixture = Mixture(torch.zeros_like(mean), mean, torch.full_like(mean, math.log(DEVIATION)))
        reward = -(z.square() + action.square())[..., 0]
        return {"hidden": z[0].unsqueeze(1)}, Coming(mixture, reward, None)


def mind(sees: str = "z", memory: MixtureDensityRNN | None = None) -> Mind:
    return Mind(nn.Identity(), memory or Known(), Manner(ACTIONS), sees)


def begins(n: int, deviation: float = 0.15) -> Tensor:
    """Means and log variances [n, 2] of what episodes begin with: certain, and normal among each other; so near to 0
    that the tanh of a controller hardly bends."""
    z = torch.from_numpy(np.random.default_rng(0).normal(0, deviation, (n, 1)).astype(np.float32))
    return torch.cat([z, torch.full_like(z, -30.0)], -1)


def lived_through(gain: float, z: float, noise: Array, discount: float) -> float:
    """The discounted return of u = tanh(-gain z) in the world itself."""
    total = 0.0
    for t, drawn in enumerate(noise):
        u = math.tanh(-gain * z)
        total -= discount**t * (z * z + u * u)
        z = A * z + B * u + DEVIATION * drawn
    return total

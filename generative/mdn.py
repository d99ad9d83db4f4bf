"""Recurrent networks that say what comes next as mixtures of normals: MDN-RNN (Bishop 1994; Graves 2013,
https://arxiv.org/abs/1308.0850; as a model of a world Ha and Schmidhuber 2018, https://arxiv.org/abs/1803.10122).

    model = MixtureDensityRNN("lstm", codes=32, actions=3, width=256, mixtures=5, generator=generator)
    carry, coming = model(model.initial(B), z, action, first)   # T steps of B rows: z [T, B, 32], action [T, B, 3]
    surprise = -coming.codes.log_prob(following).sum(-1)        # [T, B] nats
    z = coming.codes.at(uniform, noise, temperature=1.15)       # what may come: it dreams
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from supervised.networks.sequence import Carry, Recurrent
from supervised.networks.torso import initialize


class Mixture(NamedTuple):
    """Of each of Z numbers, independently of the others, a mixture of K normals."""

    logits: Tensor  # [..., Z, K] log weights, up to a constant
    mean: Tensor  # [..., Z, K]
    log_deviation: Tensor  # [..., Z, K]

    def log_prob(self, x: Tensor) -> Tensor:
        """log density of each number of x [..., Z]: [..., Z]."""
        standard = (x.unsqueeze(-1) - self.mean) * (-self.log_deviation).exp()
        normal = -0.5 * (standard.square() + math.log(2 * math.pi)) - self.log_deviation
        return (self.logits.log_softmax(-1) + normal).logsumexp(-1)

    def at(self, uniform: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Numbers [..., Z] by luck [..., Z] each: uniform in (0, 1) chooses the normal, standard normal noise the place
        in it. Ha and Schmidhuber's temperature divides the logits, and multiplies variances: towards 0 comes the mean
        of the likeliest normal, always."""
        bounds = (self.logits / temperature).softmax(-1).cumsum(-1)[..., :-1]
        chosen = (uniform.unsqueeze(-1) > bounds).sum(-1, keepdim=True)
        mean, log_deviation = (part.gather(-1, chosen).squeeze(-1) for part in (self.mean, self.log_deviation))
        return mean + math.sqrt(temperature) * log_deviation.exp() * noise


class Coming(NamedTuple):
    """What is thought to follow a step."""

    codes: Mixture  # [..., Z, K]
    reward: Tensor | None  # [...] its mean
    end: Tensor | None  # [...] log odds that there is nothing more

    def step(self, t: int) -> Coming:
        """Of one of T steps."""
        codes = Mixture(*(part[t] for part in self.codes))
        return Coming(codes, *(None if said is None else said[t] for said in self[1:]))


class MixtureDensityRNN(nn.Module):
    """carry, z [T, B, Z], action [T, B, A], first [T, B] -> carry, Coming [T, B, ...].

    reward, end: whether it says these too. What it remembers after a step has seen the action of it.
    """

    def __init__(
        self,
        kind: str,
        codes: int,
        actions: int,
        width: int,
        mixtures: int,
        generator: torch.Generator,
        reward: bool = True,
        end: bool = True,
    ) -> None:
        super().__init__()
        self.codes, self.mixtures, self.reward, self.end = codes, mixtures, reward, end
        self.model = Recurrent(kind, codes + actions, width)
        self.head = nn.Linear(width, 3 * codes * mixtures + reward + end)
        for cell in self.model.cells:
            for parameter in cell.parameters():
                nn.init.uniform_(parameter, -(width**-0.5), width**-0.5, generator=generator)
        initialize(self.head, "fan_in", generator)

    def initial(self, batch: int) -> Carry:
        return self.model.initial(batch)

    def forward(self, carry: Carry, z: Tensor, action: Tensor, first: Tensor) -> tuple[Carry, Coming]:
        carry, features = self.model(carry, torch.cat([z, action], -1), first)
        out = self.head(features)
        size = self.codes * self.mixtures
        parts = [part.unflatten(-1, (self.codes, self.mixtures)) for part in out[..., : 3 * size].split(size, -1)]
        reward = out[..., 3 * size] if self.reward else None
        return carry, Coming(Mixture(*parts), reward, out[..., -1] if self.end else None)

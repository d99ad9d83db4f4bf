"""The network of AlphaZero: one body, a head for the policy and one for the value, both from the mover's side.

`PolicyValue` is what is trained; `Replica` is a copy for playing, in the number format that is fastest for it.
"""

from __future__ import annotations

import copy
from math import isfinite

import numpy as np
import torch
from torch import Tensor, nn

from agents.alphazero.config import BoardNetwork
from agents.search.evaluators import outputs
from envs.api import Array, GameSpec
from supervised.flat import Flat
from supervised.networks.resnet import BoardHead, initialize, tower
from supervised.networks.torso import mlp


class PolicyValue(nn.Module):
    """obs [B, *obs] and who moves [B] -> logits [B, A] and values [B, V], tanh, of the mover first and so on in turn.

    V is 1 where two seats play for opposite returns, else the number of seats. Boards [C, H, W] get a residual tower,
    with one more plane for each seat but the first: many games don't show whose turn it is. All else gets layers.
    """

    def __init__(self, options: BoardNetwork, spec: GameSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.seats, self.board = spec.seats, len(spec.obs_shape) == 3
        if self.board:
            planes, height, width = spec.obs_shape
            cells = height * width
            self.body = tower(planes + spec.seats - 1, options.filters, options.blocks, options.pooled_every)
            self.policy: nn.Module = BoardHead(options.filters, options.head_planes, cells, 0, spec.actions)
            self.value: nn.Module = BoardHead(
                options.filters, options.head_planes, cells, options.hidden, outputs(spec)
            )
        else:
            inputs = int(np.prod(spec.obs_shape)) + spec.seats - 1
            self.body = mlp(inputs, [options.hidden] * options.blocks, "relu")
            self.policy = nn.Linear(options.hidden, spec.actions)
            self.value = nn.Linear(options.hidden, outputs(spec))
        initialize(self, generator)

    def forward(self, obs: Tensor, seat: Tensor) -> tuple[Tensor, Tensor]:
        turn = nn.functional.one_hot(seat, self.seats)[:, 1:].to(obs.dtype)  # [B, P - 1]
        if self.board:
            planes = turn[:, :, None, None].expand(-1, -1, *obs.shape[2:])
            features = self.body(torch.cat([obs, planes], 1))
        else:
            features = self.body(torch.cat([obs.flatten(1), turn], 1))
        return self.policy(features), torch.tanh(self.value(features))


def scale_of(spec: GameSpec) -> float:
    """The largest return, in absolute terms: the network's values are fractions of it. Raises ValueError if unknown."""
    scale = max(abs(bound) for bound in spec.utility)
    if not isfinite(scale) or scale == 0:
        raise ValueError(f"{spec.name}: its returns have no known bounds, so that values can't be learned as fractions")
    return scale


class Replica:
    """A network that plays, as `agents.search.evaluators.NetworkEvaluator` wants it: in float32, or in bfloat16, which
    is up to three times as fast where the processor knows it."""

    def __init__(self, options: BoardNetwork, spec: GameSpec, device: torch.device) -> None:
        self.device, self.scale = device, scale_of(spec)
        module = PolicyValue(options, spec, torch.Generator()).to(device)
        self.flat = Flat(module)
        self.dtype = getattr(torch, options.inference_dtype)
        self.network = copy.deepcopy(module).to(dtype=self.dtype)
        if self.network.board:
            for parameter in self.network.parameters():
                if parameter.ndim == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def load(self, weights: Array) -> None:
        """Take over a learner's weights."""
        self.flat.load(weights)
        with torch.no_grad():
            for mine, learned in zip(self.network.parameters(), self.flat.module.parameters(), strict=True):
                mine.copy_(learned)

    @torch.inference_mode()
    def __call__(self, obs: Array, seat: Array) -> tuple[Array, Array]:
        """Logits [n, A] and returns to expect [n, V], the mover's first."""
        seen = torch.from_numpy(obs).to(self.device, self.dtype)
        if self.network.board:
            seen = seen.to(memory_format=torch.channels_last)
        logits, values = self.network(seen, torch.from_numpy(seat).to(self.device))
        return logits.float().cpu().numpy(), self.scale * values.float().cpu().numpy()

"""Learning the values of discrete actions: the network, and the policy that is greedy in it.

network = QNetwork(spec, config.network, config.normalize, dueling=False, generator)
network.epsilon.fill_(0.1)  # travels with the weights to whoever explores
policy = EpsilonGreedy(spec, config.network, config.normalize, False, device)
policy.load(Flat(network).weights())
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import NetworkOptions, NormalizeOptions
from agents.maths.explore import epsilon_greedy
from agents.parts.networks import acting, normalize, torso_of
from agents.records import Acted, Carry, forgets
from envs.api import Array, Continuous, Discrete, Spec, Step
from supervised.flat import Flat
from supervised.networks.heads import DuelingQ, Q


class QNetwork(nn.Module):
    """obs [B, *obs] -> action values [B, A], or `quantiles` of each action's return, [B, A, N]. Raises ValueError where
    an action isn't one choice of several."""

    epsilon: Tensor  # 0-d, the probability of a random action

    def __init__(
        self,
        spec: Spec,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        dueling: bool,
        generator: torch.Generator,
        quantiles: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(spec.actions, Discrete):
            use = "ppo or ddpg" if isinstance(spec.actions, Continuous) else "ppo"
            raise ValueError(f"action values want one discrete action, but {spec.name} has {spec.actions}; use {use}")
        self.normalize = normalize(spec, normalization)
        self.shape = (spec.actions.n, quantiles) if quantiles else (spec.actions.n,)
        outputs = math.prod(self.shape)
        if dueling:
            # The last hidden layer belongs to the two streams of the head.
            *hidden, width = options.hidden
            trunk = options.model_copy(update={"hidden": tuple(hidden)})
            self.torso, features = torso_of(trunk, spec, "fan_in", generator)
            self.head: nn.Module = DuelingQ(features, outputs, width, generator)
        else:
            self.torso, features = torso_of(options, spec, "fan_in", generator)
            self.head = Q(features, outputs, generator)
        self.register_buffer("epsilon", torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        outputs = self.head(self.torso(self.normalize(obs)))
        return outputs.unflatten(-1, self.shape) if len(self.shape) > 1 else outputs


class EpsilonGreedy:
    """Greedy in the action values, or the means of their quantiles; epsilon-greedy when exploring. No carry."""

    def __init__(
        self,
        spec: Spec,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        dueling: bool,
        device: torch.device,
        quantiles: int = 0,
    ) -> None:
        self.network = QNetwork(spec, options, normalization, dueling, torch.Generator(), quantiles).to(device)
        self.flat = Flat(self.network)
        self.forward = acting(self.network, device)
        self.epsilon = 1.0

    initial = staticmethod(forgets)

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        epsilon = self.epsilon if explore else 0.0
        q = self.forward(step.obs)
        if len(self.network.shape) > 1:
            q = q.reshape(len(q), *self.network.shape).mean(-1)
        return Acted(carry, epsilon_greedy(q, epsilon, step.mask, rng), {})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)
        self.epsilon = self.network.epsilon.item()

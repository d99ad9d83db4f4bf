"""What maximum-entropy learning is made of: a policy whose entropy counts, twin critics and a temperature.

soft = soft_of(spec)                                     # Squashed or Categorical, by the kind of actions
network = SoftNetwork(spec, soft, config.network, config.normalize, temperature=1.0, generator)
outputs = network("policy", obs)
q, entropy = soft.prospects(outputs, partial(network, "critics"), obs, mask, noise)  # V = q + temperature * entropy
policy = SoftPolicy(spec, config.network, config.normalize, device)
policy.load(Flat(network).weights(network.acting))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import NetworkOptions, NormalizeOptions
from agents.maths.distributions import categorical_entropy, categorical_log_probs, squashed_log_prob, squashed_sample
from agents.maths.explore import epsilon_greedy
from agents.maths.stochastic import act_categorical, act_gaussian
from agents.parts.critics import Critics
from agents.parts.deterministic import middle
from agents.parts.networks import acting, normalize, torso_of
from agents.records import Acted, Carry, forgets
from envs.api import Array, Discrete, Spec, Step
from supervised.flat import Flat
from supervised.networks.heads import Q, SquashedGaussian

TWINS = 2
Critique = Callable[..., Tensor]  # (obs, action) -> Q [K, B] of continuous actions, (obs) -> Q [K, B, A] of discrete


class Soft(Protocol):
    """A family of distributions over actions, whose entropy is known or can be estimated. Masks: True = legal."""

    noise: int  # standard normal numbers that `prospects` wants for each row
    ceiling: float  # nats that no policy's entropy exceeds

    def head(self, features: int, generator: torch.Generator) -> nn.Module: ...

    def critics(self, spec: Spec, options: NetworkOptions, generator: torch.Generator) -> nn.Module: ...

    def learned(self, action: Array) -> Array:
        """Actions of the world as critics see them."""
        ...

    def taken(self, critique: Critique, obs: Tensor, action: Tensor) -> Tensor:
        """Q [K, B] of actions as critics see them."""
        ...

    def prospects(
        self, outputs: Tensor, critique: Critique, obs: Tensor, mask: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the smaller critic expects of the policy's next action [B], and the policy's entropy [B]."""
        ...

    def goal(self, mask: Tensor | None) -> float | Tensor:
        """The entropy that the temperature aims at where nobody says another one: a number, or [B]."""
        ...

    def act(self, outputs: Array, mask: Array | None, rng: np.random.Generator, explore: bool) -> Array: ...

    def act_at_random(self, outputs: Array, mask: Array | None, rng: np.random.Generator) -> Array: ...


class Squashed:
    """A Gaussian that tanh squashes into [-1, 1]^D: what is expected is estimated from one action for each row.

    Entropies are of actions in [-1, 1]. Raises ValueError where actions have no bounds.
    """

    def __init__(self, spec: Spec) -> None:
        self.center, self.half = middle(spec)
        self.noise = len(self.half)
        self.ceiling = self.noise * math.log(2)

    def head(self, features: int, generator: torch.Generator) -> nn.Module:
        return SquashedGaussian(features, self.noise, generator)

    def critics(self, spec: Spec, options: NetworkOptions, generator: torch.Generator) -> nn.Module:
        return Critics(spec, options, TWINS, generator)

    def learned(self, action: Array) -> Array:
        scaled: Array = (action - self.center) / self.half
        return scaled

    def taken(self, critique: Critique, obs: Tensor, action: Tensor) -> Tensor:
        return critique(obs, action)

    def prospects(
        self, outputs: Tensor, critique: Critique, obs: Tensor, mask: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        mean, log_std = outputs.chunk(2, -1)
        action, u = squashed_sample(mean, log_std, noise)
        return critique(obs, action).amin(0), -squashed_log_prob(mean, log_std, u)

    def goal(self, mask: Tensor | None) -> float:
        return -float(self.noise)

    def act(self, outputs: Array, mask: Array | None, rng: np.random.Generator, explore: bool) -> Array:
        u, _ = act_gaussian(outputs, mask, rng, explore)
        return self.center + self.half * np.tanh(u)

    def act_at_random(self, outputs: Array, mask: Array | None, rng: np.random.Generator) -> Array:
        action = rng.uniform(-1, 1, (len(outputs), self.noise)).astype(np.float32)
        return self.center + self.half * action


class Categorical:
    """One of A actions: what is expected is summed over all of them. Christodoulou 2019, https://arxiv.org/abs/1910.07207."""

    noise = 0

    def __init__(self, actions: int) -> None:
        self.actions = actions
        self.ceiling = math.log(actions)

    def head(self, features: int, generator: torch.Generator) -> nn.Module:
        return Q(features, self.actions, generator)

    def critics(self, spec: Spec, options: NetworkOptions, generator: torch.Generator) -> nn.Module:
        return DiscreteCritics(spec, options, self.actions, generator)

    def learned(self, action: Array) -> Array:
        return action

    def taken(self, critique: Critique, obs: Tensor, action: Tensor) -> Tensor:
        q = critique(obs)
        return q.gather(-1, action.expand(len(q), -1).unsqueeze(-1)).squeeze(-1)

    def prospects(
        self, outputs: Tensor, critique: Critique, obs: Tensor, mask: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        probability = categorical_log_probs(outputs, mask).exp()
        return (probability * critique(obs).amin(0)).sum(-1), categorical_entropy(outputs, mask)

    def goal(self, mask: Tensor | None) -> float | Tensor:
        """0.98 of the entropy of whoever chooses any legal action."""
        return 0.98 * (self.ceiling if mask is None else mask.sum(-1).log())

    def act(self, outputs: Array, mask: Array | None, rng: np.random.Generator, explore: bool) -> Array:
        return act_categorical(outputs, mask, rng, explore)[0]

    def act_at_random(self, outputs: Array, mask: Array | None, rng: np.random.Generator) -> Array:
        return epsilon_greedy(outputs, 1.0, mask, rng)


def soft_of(spec: Spec) -> Soft:
    """The family for these actions. Raises ValueError where they are neither discrete nor between finite bounds."""
    return Categorical(spec.actions.n) if isinstance(spec.actions, Discrete) else Squashed(spec)


class DiscreteCritics(nn.Module):
    """Twins that differ in their first weights: normalized obs [B, *obs] -> Q [2, B, A]."""

    def __init__(self, spec: Spec, options: NetworkOptions, actions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.critics = nn.ModuleList()
        for _ in range(TWINS):
            torso, features = torso_of(options, spec, "fan_in", generator)
            self.critics.append(nn.Sequential(torso, Q(features, actions, generator)))

    def forward(self, obs: Tensor) -> Tensor:
        return torch.stack([critic(obs) for critic in self.critics])


class SoftPolicyNetwork(nn.Module):
    """obs [B, *obs] -> outputs of the policy's head: logits [B, A], or mean and log standard deviation [B, 2 D]."""

    random: Tensor  # 0-d, 1: act at random instead

    def __init__(
        self,
        spec: Spec,
        soft: Soft,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.normalize = normalize(spec, normalization)
        self.torso, features = torso_of(options, spec, "fan_in", generator)
        self.head = soft.head(features, generator)
        self.register_buffer("random", torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.torso(self.normalize(obs)))


class Temperature(nn.Module):
    """The weight of the entropy against the reward. -> its logarithm, 0-d."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(start)))

    def forward(self) -> Tensor:
        return self.log


class SoftNetwork(nn.Module):
    """network("policy", obs), network("critics", obs, ...), network("temperature"). What acting needs are its first
    `acting` parameters."""

    def __init__(
        self,
        spec: Spec,
        soft: Soft,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.policy = SoftPolicyNetwork(spec, soft, options, normalization, generator)
        self.critics = soft.critics(spec, options, generator)
        self.temperature = Temperature(temperature)
        self.sizes = [sum(parameter.numel() for parameter in part.parameters()) for part in self.children()]
        self.acting = self.sizes[0]

    def forward(self, part: str, obs: Tensor | None = None, *action: Tensor) -> Any:
        if part == "temperature":
            return self.temperature()
        return self.policy(obs) if part == "policy" else self.critics(self.policy.normalize(obs), *action)


class SoftPolicy:
    """Draws from the network's distribution when exploring, at random while the weights say so; else takes its mode."""

    def __init__(
        self, spec: Spec, options: NetworkOptions, normalization: NormalizeOptions, device: torch.device
    ) -> None:
        self.soft = soft_of(spec)
        self.network = SoftPolicyNetwork(spec, self.soft, options, normalization, torch.Generator()).to(device)
        self.flat = Flat(self.network)
        self.forward = acting(self.network, device)
        self.random = True

    initial = staticmethod(forgets)

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        outputs = self.forward(step.obs)
        if explore and self.random:
            return Acted(carry, self.soft.act_at_random(outputs, step.mask, rng), {})
        return Acted(carry, self.soft.act(outputs, step.mask, rng, explore), {})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)
        self.random = bool(self.network.random.item())

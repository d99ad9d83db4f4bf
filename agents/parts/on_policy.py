"""What learning from one's own latest steps is made of: networks, the policy that acts, advantages, rows.

family = stochastic(spec.actions)
network = ActorCritic(spec, family, config.network, config.normalize, shared=False, generator)
rows = rows_of(sample.rows, network, normalizer, discount=0.99, lambda_=0.95, device)
outputs, value = network(rows.obs)
loss = -rows.advantage * family.log_prob(outputs, rows.action, rows.mask)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import NetworkOptions, NormalizeOptions
from agents.maths.returns import gae
from agents.maths.stochastic import Stochastic
from agents.parts.networks import acting, normalize, torso_of
from agents.parts.normalizer import Normalizer
from agents.records import Acted, Carry, Unroll, forgets
from envs.api import Array, Spec, Step
from supervised.flat import Flat
from supervised.networks.heads import Gaussian, Value


class PolicyNetwork(nn.Module):
    """obs [B, *obs] -> outputs [B, K] of the policy head."""

    def __init__(
        self,
        spec: Spec,
        family: Stochastic,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.normalize = normalize(spec, normalization)
        self.torso, features = torso_of(options, spec, "orthogonal", generator)
        self.head = family.head(features, generator)

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.torso(self.normalize(obs)))


class ActorCritic(nn.Module):
    """obs [B, *obs] -> policy outputs [B, K] and values [B]. What acting needs are its first `acting` parameters."""

    def __init__(
        self,
        spec: Spec,
        family: Stochastic,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        shared: bool,
        generator: torch.Generator,
    ) -> None:
        """shared: policy and values have one torso."""
        super().__init__()
        self.policy = PolicyNetwork(spec, family, options, normalization, generator)
        self.acting = sum(parameter.numel() for parameter in self.policy.parameters())
        torso, features = torso_of(options, spec, "orthogonal", generator)
        self.torso = None if shared else torso
        self.head = Value(features, generator)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        obs = self.policy.normalize(obs)
        features = self.policy.torso(obs)
        return self.policy.head(features), self.head(features if self.torso is None else self.torso(obs))

    def value(self, obs: Tensor) -> Tensor:
        obs = self.policy.normalize(obs)
        return self.head((self.policy.torso if self.torso is None else self.torso)(obs))

    @torch.no_grad()
    def values(self, obs: Tensor, chunk: int = 16_384) -> Array:
        """On the host, of any number of observations."""
        return torch.cat([self.value(part) for part in obs.split(chunk)]).cpu().numpy()

    def deviation(self) -> float | None:
        """The mean standard deviation of continuous actions."""
        head = self.policy.head
        return head.log_std.exp().mean().item() if isinstance(head, Gaussian) else None


class StochasticPolicy:
    """Samples from the network's distribution when exploring, else takes its mode. No carry."""

    def __init__(
        self,
        spec: Spec,
        family: Stochastic,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        device: torch.device,
    ) -> None:
        self.family = family
        network = PolicyNetwork(spec, family, options, normalization, torch.Generator()).to(device)
        self.flat = Flat(network)
        self.forward = acting(network, device)

    initial = staticmethod(forgets)

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        action, log_prob = self.family.act(self.forward(step.obs), step.mask, rng, explore)
        return Acted(carry, action, {} if log_prob is None else {"log_prob": log_prob})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)


class Rows(NamedTuple):
    """What an update is made from, n rows on the learner's device."""

    obs: Tensor  # [n, *obs]
    mask: Tensor | None  # [n, A] bool
    action: Tensor  # [n] or [n, D]
    log_prob: Tensor  # [n] of the policy that acted
    advantage: Tensor  # [n]
    target: Tensor  # [n] advantage + value
    value: Tensor  # [n] before this update


def rows_of(
    unroll: Unroll,
    network: ActorCritic,
    normalizer: Normalizer,
    discount: float,
    lambda_: float,
    device: torch.device,
) -> Rows:
    """Values, advantages and targets of an unroll [T, B], flattened to n = T * B rows."""
    steps, count = unroll.reward.shape
    obs = torch.from_numpy(unroll.obs).to(device).flatten(0, 1)
    value = network.values(obs).reshape(steps + 1, count)
    _, shown = unroll.cut()
    cut = network.values(torch.from_numpy(shown).to(device)) if len(shown) else None
    advantage = advantages(unroll, normalizer.scale(unroll.reward), value, cut, discount, lambda_)

    def flat(array: Array) -> Tensor:
        return torch.from_numpy(array.reshape(steps * count, *array.shape[2:])).to(device)

    return Rows(
        obs=obs[: steps * count],
        mask=None if unroll.mask is None else flat(unroll.mask[:-1]),
        action=flat(unroll.action),
        log_prob=flat(unroll.extras["log_prob"]),
        advantage=flat(advantage),
        target=flat(advantage + value[:-1]),
        value=flat(value[:-1]),
    )


def advantages(
    unroll: Unroll, reward: Array, value: Array, cut: Array | None, discount: float, lambda_: float
) -> Array:
    """Generalized advantage estimates [T, B] float32.

    reward [T, B]: the unroll's, or scaled; value [T + 1, B] of its observations, cut [C] of what its truncated steps
    led to, if there are.
    """
    following = value[1:].copy()
    if cut is not None:
        following.reshape(-1)[unroll.cut()[0]] = cut
    discounts = np.where(unroll.terminated, 0, unroll.discount(discount)).astype(np.float32)
    return gae(reward, value[:-1], following, discounts, unroll.terminated | unroll.truncated, lambda_)


def explained_variance(rows: Rows) -> float:
    """How much of the targets' variance the values before the update explained: 1 is all, 0 none."""
    variance = rows.target.cpu().numpy().var()
    return float(1 - rows.advantage.cpu().numpy().var() / variance) if variance > 0 else 0.0

"""What learning from one's own latest steps is made of: networks, the policy that acts, advantages, rows.

family = stochastic(spec.actions)
network = ActorCritic(spec, family, config.network, config.normalize, shared=False, generator)
rows = rows_of(sample.rows, network, normalizer, discount=0.99, lambda_=0.95, device)
outputs, value = network(rows.obs)
loss = -rows.advantage * family.log_prob(outputs, rows.action, rows.mask)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from agents import records
from agents.config import NetworkOptions, NormalizeOptions
from agents.maths.returns import gae
from agents.maths.stochastic import Stochastic
from agents.parts.networks import acting, normalize, torso_of
from agents.parts.normalizer import Normalizer
from agents.parts.recalling import AGE, Recalled, recalled, remembering, values_along
from agents.records import Acted, Unroll, forgets
from envs.api import Array, Spec, Step
from supervised.flat import Flat
from supervised.networks.heads import Gaussian, Value
from supervised.networks.sequence import Carry, Recall


class PolicyNetwork(nn.Module):
    """obs [B, *obs] -> outputs [B, K] of the policy head."""

    def __init__(
        self,
        spec: Spec,
        family: Stochastic,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        generator: torch.Generator,
        recalls: bool = False,
    ) -> None:
        """recalls: its torso may be one that remembers; it is then shown `Recalled`, [T, B, *obs] -> [T * B, K]. Raises
        ValueError for such a torso where that isn't so, or in a game."""
        super().__init__()
        self.normalize = normalize(spec, normalization)
        self.torso, features = torso_of(options, spec, "orthogonal", generator, recalls=recalls)
        self.recalls = isinstance(self.torso, Recall)
        if self.recalls and spec.seats > 1:
            raise ValueError(
                f"network.torso={options.kind} remembers, but {spec.name} is played by both seats in turn, whose "
                "memories it would mix: use a torso that doesn't remember"
            )
        self.head = family.head(features, generator)

    def forward(self, obs: Tensor | Recalled) -> Tensor:
        return self.head(self.features(obs))

    def features(self, obs: Tensor | Recalled) -> Tensor:
        """[B, F], or [T * B, F]."""
        if isinstance(obs, Recalled):
            return self.remember(obs)[1].flatten(0, 1)
        return self.torso(self.normalize(obs))

    def remember(self, seen: Recalled) -> tuple[Carry, Tensor]:
        """What is remembered after these steps, and their features [T, B, F]."""
        found: tuple[Carry, Tensor] = self.torso(seen.carry, self.normalize(seen.obs), seen.first)
        return found

    def recall(self, seen: Recalled) -> tuple[Carry, Tensor]:
        """The same with outputs [T, B, K]."""
        carry, features = self.remember(seen)
        return carry, self.head(features)

    def deviation(self) -> float | None:
        """The mean standard deviation of continuous actions."""
        return self.head.log_std.exp().mean().item() if isinstance(self.head, Gaussian) else None


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
        """shared: policy and values have one torso. Raises ValueError where one that remembers isn't shared."""
        super().__init__()
        self.policy = PolicyNetwork(spec, family, options, normalization, generator, recalls=True)
        if self.policy.recalls and not shared:
            raise ValueError(
                f"network.torso={options.kind} remembers, and actors remember for the policy alone: let values have "
                "the same torso by network.shared=true"
            )
        self.acting = sum(parameter.numel() for parameter in self.policy.parameters())
        torso, features = torso_of(options, spec, "orthogonal", generator, recalls=shared)
        self.torso = None if shared else torso
        self.head = Value(features, generator)

    def forward(self, obs: Tensor | Recalled) -> tuple[Tensor, Tensor]:
        if self.torso is None:
            features = self.policy.features(obs)
            return self.policy.head(features), self.head(features)
        assert isinstance(obs, Tensor)
        obs = self.policy.normalize(obs)
        return self.policy.head(self.policy.torso(obs)), self.head(self.torso(obs))

    def value(self, obs: Tensor) -> Tensor:
        obs = self.policy.normalize(obs)
        return self.head((self.policy.torso if self.torso is None else self.torso)(obs))

    def recall(self, seen: Recalled) -> tuple[Carry, Tensor]:
        """What is remembered after these steps, and their values [T, B]."""
        carry, features = self.policy.remember(seen)
        return carry, self.head(features)

    def values(self, obs: Tensor) -> Array:
        """On the host, of any number of observations."""
        return in_chunks(self.value, obs)


@torch.no_grad()
def in_chunks(value: Callable[[Tensor], Tensor], obs: Tensor, chunk: int = 16_384) -> Array:
    """value(obs) [n] on the host, so many rows at a time."""
    return torch.cat([value(part) for part in obs.split(chunk)]).cpu().numpy()


class StochasticPolicy:
    """Samples from the network's distribution when exploring, else takes its mode. Its carry is the torso's.

    timed: it counts the steps of each episode, too, for `ages`.
    """

    def __init__(
        self,
        spec: Spec,
        family: Stochastic,
        options: NetworkOptions,
        normalization: NormalizeOptions,
        device: torch.device,
        timed: bool = False,
    ) -> None:
        self.family, self.timed = family, timed
        network = PolicyNetwork(spec, family, options, normalization, torch.Generator(), recalls=True).to(device)
        self.flat, self.network = Flat(network), network
        if network.recalls:
            self.forward = remembering(network.recall, device)
        else:
            alone = acting(network, device)
            self.forward = lambda carry, obs: (carry, alone(obs))

    def initial(self, batch: int) -> records.Carry:
        age = {AGE: np.zeros(batch, np.int64)} if self.timed else forgets(batch)
        if not self.network.recalls:
            return age
        assert isinstance(self.network.torso, Recall)
        return {**age, **{name: part.cpu().numpy() for name, part in self.network.torso.initial(batch).items()}}

    def act(self, carry: records.Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        carry, outputs = self.forward(carry, step.obs)
        action, log_prob = self.family.act(outputs, step.mask, rng, explore)
        if self.timed:
            carry = {**carry, AGE: carry[AGE] + 1}
        return Acted(carry, action, {} if log_prob is None else {"log_prob": log_prob})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)


@torch.no_grad()
def log_prob_of(family: Stochastic, network: PolicyNetwork, obs: Array, action: Array) -> Array:
    """log pi(action | obs) [n] float32 of a policy, all of whose actions are legal, on the host. Raises ValueError for
    a torso that remembers: single steps don't tell what."""
    if network.recalls:
        raise ValueError("what a policy that remembers does can't be told of single steps: use another network.torso")
    device = next(network.parameters()).device
    outputs = network(torch.from_numpy(obs).to(device))
    found: Array = family.log_prob(outputs, torch.from_numpy(action).to(device), None).cpu().numpy()
    return found


class Rows(NamedTuple):
    """What an update is made from, n rows on the learner's device."""

    obs: Tensor | Recalled  # [n, *obs], or of T steps of B rows, where n = T * B
    mask: Tensor | None  # [n, A] bool
    action: Tensor  # [n] or [n, D]
    log_prob: Tensor  # [n] of the policy that acted
    advantage: Tensor  # [n]
    target: Tensor  # [n] advantage + value
    value: Tensor  # [n] before this update

    @property
    def units(self) -> int:
        """What minibatches are cut from: n rows, or B that are remembered along."""
        return self.obs.first.shape[1] if isinstance(self.obs, Recalled) else len(self.log_prob)

    def pick(self, units: Tensor) -> Rows:
        """Those of some units [m]."""
        obs, index = self.obs, units
        if isinstance(obs, Recalled):
            steps, count = obs.first.shape
            index = (torch.arange(steps, device=units.device)[:, None] * count + units).flatten()
        columns = [None if column is None else column[index] for column in self[1:]]
        return Rows(obs.pick(units) if isinstance(obs, Recalled) else obs[index], *columns)  # type: ignore[arg-type]


class Values(Protocol):
    """What says what states are worth: a network of policy and values, or a baseline."""

    def values(self, obs: Tensor) -> Array:
        """obs [n, *obs] -> [n] float32, on the host."""
        ...


def rows_of(
    unroll: Unroll,
    critic: Values,
    normalizer: Normalizer,
    discount: float,
    lambda_: float,
    device: torch.device,
) -> Rows:
    """Values, advantages and targets of an unroll [T, B], flattened to n = T * B rows."""
    value, following = valued(unroll, critic, device)
    advantage = advantages(unroll, normalizer.scale(unroll.reward), value, following, discount, lambda_)
    return flattened(unroll, advantage, advantage + value, value, device)


def valued(unroll: Unroll, critic: Values, device: torch.device) -> tuple[Array, Array]:
    """Of each step [T, B] float32: the value of its observation, and of the true observation that it led to."""
    steps, count = unroll.reward.shape
    at, shown = unroll.cut()
    if isinstance(critic, ActorCritic) and critic.policy.recalls:
        value, cut = values_along(critic.recall, unroll, device)
        following = value[1:].copy()
        following.reshape(-1)[at] = cut
        return value[:-1], following
    value = critic.values(torch.from_numpy(unroll.obs).to(device).flatten(0, 1)).reshape(steps + 1, count)
    following = value[1:].copy()
    if len(shown):
        following.reshape(-1)[at] = critic.values(torch.from_numpy(shown).to(device))
    return value[:-1], following


def flattened(unroll: Unroll, advantage: Array, target: Array, value: Array, device: torch.device) -> Rows:
    """Rows of an unroll and of what was made of it, [T, B] each."""

    def flat(array: Array) -> Tensor:
        return torch.from_numpy(array.reshape(unroll.reward.size, *array.shape[2:])).to(device)

    return Rows(
        obs=recalled(unroll, device) if unroll.carry.keys() - {AGE} else flat(unroll.obs[:-1]),
        mask=None if unroll.mask is None else flat(unroll.mask[:-1]),
        action=flat(unroll.action),
        log_prob=flat(unroll.extras["log_prob"]),
        advantage=flat(advantage),
        target=flat(target),
        value=flat(value),
    )


def discounts(unroll: Unroll, gamma: float) -> Array:
    """What each step discounts by [T, B] float32, 0 where the episode terminated."""
    return np.where(unroll.terminated, 0, unroll.discount(gamma)).astype(np.float32)


def advantages(unroll: Unroll, reward: Array, value: Array, following: Array, discount: float, lambda_: float) -> Array:
    """Generalized advantage estimates [T, B] float32.

    reward [T, B]: the unroll's, or scaled; value and following [T, B]: of each step's observation, and of the one that
    it led to.
    """
    ended = unroll.terminated | unroll.truncated
    return gae(reward, value, following, discounts(unroll, discount), ended, lambda_)


def ages(unroll: Unroll) -> Array:
    """How many steps its episode had lasted before each step [T, B] int64, where a `timed` policy counted them; where
    nobody did, episodes are taken to begin with the unroll."""
    steps, count = unroll.reward.shape
    time = np.arange(steps)[:, None]
    begin = np.maximum.accumulate(np.where(unroll.first[:-1], time, -1))
    before = unroll.carry[AGE].reshape(count, -1).sum(1) if AGE in unroll.carry else np.zeros(count, np.int64)
    counted: Array = np.where(begin < 0, time + before, time - begin)
    return counted


def from_the_start(unroll: Unroll, rows: Rows, discount: float) -> Rows:
    """With advantages times gamma^t, t steps after the start of the episode: so they stand in the gradient of the
    discounted return (Sutton and Barto, section 13.3). Without it late states count as much as early ones."""
    factor = (discount ** ages(unroll)).astype(np.float32).reshape(-1)
    return rows._replace(advantage=rows.advantage * torch.from_numpy(factor).to(rows.advantage.device))


def explained_variance(error: Tensor, target: Tensor) -> float:
    """How much of the targets' variance values explained that missed them by `error` [n]: 1 is all, 0 none."""
    variance = target.cpu().numpy().var()
    return float(1 - error.cpu().numpy().var() / variance) if variance > 0 else 0.0

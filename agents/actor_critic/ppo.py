"""Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347), the clipped variant.

Each update sees what was just collected: values of all its observations in one batch, advantages by generalized
advantage estimation, then `epochs` passes in shuffled minibatches. Discrete, multi-discrete and continuous actions.

Differs from the paper: Adam over one flat vector with the whole gradient clipped by its norm; advantages normalized per
minibatch; an optional stop by approximate KL divergence which turns the rest of the update into no-ops.

Logs, as means over minibatches: train/loss, train/policy_gradient_loss, train/value_loss,
train/entropy_loss (minus the entropy), train/approx_kl, train/clip_fraction, train/gradient_norm; and
train/explained_variance, train/learning_rate, train/clip_range, train/std (continuous actions),
train/n_updates (epochs).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.actor_critic.config import PPO
from agents.api import Actor, Algorithm, Parts, State
from agents.losses import ppo_clip, value_loss, value_loss_clipped
from agents.means import Means
from agents.memory.latest import Latest
from agents.memory.ratio import EveryCollection
from agents.networks import acting, normalize, set_statistics, torso_of
from agents.records import Acted, Carry, Sample, Unroll
from agents.returns import gae
from agents.rollout import actor_of
from agents.schedules import value as scheduled
from agents.stochastic import Stochastic, stochastic
from envs.api import Array, Continuous, Spec, Step
from envs.normalize import Moments
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.flat import Adam, Flat, clip_by_norm, differentiate
from supervised.networks.heads import Value


class PolicyNetwork(nn.Module):
    """obs [B, *obs] -> outputs [B, K] of the policy head."""

    def __init__(self, config: PPO, spec: Spec, family: Stochastic, generator: torch.Generator) -> None:
        super().__init__()
        self.normalize = normalize(spec, config.normalize)
        self.torso, features = torso_of(config.network, spec, "orthogonal", generator)
        self.head = family.head(features, generator)

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.torso(self.normalize(obs)))


class ActorCritic(nn.Module):
    """obs [B, *obs] -> policy outputs [B, K] and values [B]. What acting needs comes first among its parameters."""

    def __init__(self, config: PPO, spec: Spec, family: Stochastic, generator: torch.Generator) -> None:
        super().__init__()
        self.policy = PolicyNetwork(config, spec, family, generator)
        torso, features = torso_of(config.network, spec, "orthogonal", generator)
        self.torso = None if config.network.shared else torso
        self.head = Value(features, generator)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        obs = self.policy.normalize(obs)
        features = self.policy.torso(obs)
        return self.policy.head(features), self.head(features if self.torso is None else self.torso(obs))

    def value(self, obs: Tensor) -> Tensor:
        obs = self.policy.normalize(obs)
        return self.head((self.policy.torso if self.torso is None else self.torso)(obs))


class Policy:
    """Samples from the network's distribution when exploring, else takes its mode. No carry."""

    def __init__(self, config: PPO, spec: Spec, device: torch.device) -> None:
        self.family = stochastic(spec.actions, config.network.log_std)
        network = PolicyNetwork(config, spec, self.family, torch.Generator()).to(device)
        self.flat = Flat(network)
        self.forward = acting(network, device)

    def initial(self, batch: int) -> Carry:
        return {}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        action, log_prob = self.family.act(self.forward(step.obs), step.mask, rng, explore)
        return Acted(carry, action, {} if log_prob is None else {"log_prob": log_prob})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)


class Rows(NamedTuple):
    """What the minibatches are cut from, n rows on the learner's device."""

    obs: Tensor  # [n, *obs]
    mask: Tensor | None  # [n, A] bool
    action: Tensor  # [n] or [n, D]
    log_prob: Tensor  # [n] of the policy that acted
    advantage: Tensor  # [n]
    target: Tensor  # [n] advantage + value
    value: Tensor  # [n] before this update


METRICS = (
    "loss",
    "policy_gradient_loss",
    "value_loss",
    "entropy_loss",
    "approx_kl",
    "clip_fraction",
    "gradient_norm",
)


class Learner:
    def __init__(self, config: PPO, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.device = config, device
        self.rng = seeds.generator("learner", "minibatches")
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.family = stochastic(spec.actions, config.network.log_std)
        self.network = ActorCritic(config, spec, self.family, generator).to(device)
        self.flat = Flat(self.network)
        self.acting = sum(p.numel() for p in self.network.policy.parameters())
        self.adam = Adam.zeros(self.flat.parameters)
        self.means = Means.zeros(METRICS, device)
        self.active = torch.ones((), device=device)  # 0 once the KL stop has struck
        self.explained_variance = 0.0
        self.observations = Moments(spec.obs_shape) if config.normalize.observations else None
        self.returns = Moments(()) if config.normalize.rewards else None
        self.continuous = isinstance(spec.actions, Continuous)
        self.updates = 0
        self.progress = 0.0
        self.gradient = differentiate(self.loss, functional=compiled)
        self.step = accelerate(self.minibatches, device, compiled)

    def update(self, sample: Sample) -> None:
        config = self.config.learner
        rows = self.rows(sample.rows)
        settings = torch.tensor(
            [scheduled(config.learning_rate, self.progress), scheduled(config.clip, self.progress)], device=self.device
        )
        self.active.fill_(1)
        n = len(rows.log_prob)
        batches = n // config.batch_size
        together = next(k for k in (4, 3, 2, 1) if batches % k == 0)
        state = (self.flat.parameters, self.adam, self.means, self.active)
        for _ in range(config.epochs):
            order = torch.from_numpy(self.rng.permutation(n)).to(self.device)
            for index in order.view(-1, together, config.batch_size):
                self.step(state, settings, index, *rows)
            self.updates += 1
            if config.target_kl is not None and not self.active:
                break

    def metrics(self) -> Mapping[str, float]:
        means = self.means.drain(METRICS)
        if not means:
            return {}
        metrics = {f"train/{name}": mean for name, mean in means.items()} | {
            "train/explained_variance": self.explained_variance,
            "train/learning_rate": scheduled(self.config.learner.learning_rate, self.progress),
            "train/clip_range": scheduled(self.config.learner.clip, self.progress),
            "train/n_updates": self.updates,
        }
        if self.continuous:
            log_std = self.network.policy.get_parameter("head.log_std")
            metrics["train/std"] = log_std.exp().mean().item()
        return metrics

    @torch.no_grad()
    def rows(self, unroll: Unroll) -> Rows:
        """Values, advantages and targets of an unroll [T, B], flattened to n = T * B rows."""
        config = self.config.learner
        steps, count = unroll.reward.shape
        obs = torch.from_numpy(unroll.obs).to(self.device).flatten(0, 1)
        value = self.values(obs).reshape(steps + 1, count)
        value_next = value[1:].copy()
        cut, shown = unroll.cut()
        if len(cut):
            value_next.reshape(-1)[cut] = self.values(torch.from_numpy(shown).to(self.device))
        reward = unroll.reward
        if self.returns is not None:
            reward = (reward / self.returns.deviation).clip(-10, 10).astype(np.float32)
        discount = np.where(unroll.terminated, 0, unroll.discount(config.discount)).astype(np.float32)
        ended = unroll.terminated | unroll.truncated
        advantage = gae(reward, value[:-1], value_next, discount, ended, config.gae_lambda)
        target = advantage + value[:-1]
        variance = target.var()
        self.explained_variance = float(1 - advantage.var() / variance) if variance > 0 else 0.0

        def flat(array: Array) -> Tensor:
            return torch.from_numpy(array.reshape(steps * count, *array.shape[2:])).to(self.device)

        return Rows(
            obs=obs[: steps * count],
            mask=None if unroll.mask is None else flat(unroll.mask[:-1]),
            action=flat(unroll.action),
            log_prob=flat(unroll.extras["log_prob"]),
            advantage=flat(advantage),
            target=flat(target),
            value=flat(value[:-1]),
        )

    def values(self, obs: Tensor, chunk: int = 16_384) -> Array:
        return torch.cat([self.network.value(part) for part in obs.split(chunk)]).cpu().numpy()

    def minibatches(
        self, state: tuple[Tensor, Adam, Means, Tensor], settings: Tensor, index: Tensor, *rows: Any
    ) -> None:
        """The closed step: for each row of `index` [k, batch_size], gradient, clipping and Adam, all in place."""
        for picked in index.unbind():
            columns: list[Any] = [None if column is None else column[picked] for column in rows]
            self.minibatch(*state, settings, Rows(*columns))

    def minibatch(
        self, parameters: Tensor, adam: Adam, means: Means, active: Tensor, settings: Tensor, batch: Rows
    ) -> None:
        config = self.config.learner
        learning_rate, clip = settings.unbind()
        gradient, metrics = self.gradient(parameters, clip, batch)
        gradient, norm = clip_by_norm(gradient, config.max_gradient_norm)
        seen = [*(metrics[name] for name in METRICS[:-1]), norm]
        if config.target_kl is None:
            means.add(seen)
            parameters.sub_(learning_rate * adam.step(gradient, config.adam_epsilon))
            return
        # The minibatch that exceeds the limit counts in the metrics, but neither it nor a later one moves the network.
        means.add(seen, active)
        active.mul_(metrics["approx_kl"] <= 1.5 * config.target_kl)
        moving = (parameters, *adam)
        before = [tensor.clone() for tensor in moving]
        parameters.sub_(learning_rate * adam.step(gradient, config.adam_epsilon))
        for tensor, old in zip(moving, before, strict=True):
            tensor.copy_(torch.where(active > 0, tensor, old))

    def loss(self, parameters: Tensor, clip: Tensor, batch: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config.learner
        outputs, value = self.flat.call(parameters, batch.obs)
        log_prob = self.family.log_prob(outputs, batch.action, batch.mask)
        advantage = batch.advantage
        if config.normalize_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        log_ratio = log_prob - batch.log_prob
        ratio = log_ratio.exp()
        policy_loss = ppo_clip(log_prob, batch.log_prob, advantage, clip).mean()
        if config.value_clip is None:
            critic_loss = value_loss(value, batch.target).mean()
        else:
            critic_loss = value_loss_clipped(value, batch.target, batch.value, config.value_clip).mean()
        entropy = self.family.entropy(outputs, batch.mask).mean()
        loss = policy_loss + config.value_coefficient * critic_loss - config.entropy_coefficient * entropy
        return loss, {
            "policy_gradient_loss": policy_loss,
            "value_loss": critic_loss,
            "entropy_loss": -entropy,
            # The estimator k3 of http://joschu.net/blog/kl-approx.html: unbiased and never negative.
            "approx_kl": (ratio - 1 - log_ratio).mean(),
            "clip_fraction": ((ratio - 1).abs() > clip).float().mean(),
        }

    def observe(self, steps: int, moments: list[State]) -> None:
        self.progress = min(steps / self.config.steps, 1.0)
        for news in moments:
            if self.observations is not None:
                self.observations.merge(news["observations"])
            if self.returns is not None:
                self.returns.merge(news["returns"])

    def weights(self) -> Array:
        if self.observations is not None and self.observations.count:
            set_statistics(self.network.policy.normalize, self.observations)
        return self.flat.weights(self.acting)

    def state_dict(self) -> State:
        return {
            "network": self.flat.weights(),
            "adam": self.adam.state_dict(),
            "rng": self.rng.bit_generator.state,
            "observations": {} if self.observations is None else self.observations.state_dict(),
            "returns": {} if self.returns is None else self.returns.state_dict(),
            "means": self.means.state_dict(),
            "explained_variance": self.explained_variance,
            "updates": self.updates,
            "progress": self.progress,
        }

    def load_state_dict(self, state: State) -> None:
        self.flat.load(state["network"])
        self.adam.load_state_dict(state["adam"])
        self.rng.bit_generator.state = state["rng"]
        if self.observations is not None:
            self.observations.load_state_dict(state["observations"])
        if self.returns is not None:
            self.returns.load_state_dict(state["returns"])
        self.means.load_state_dict(state["means"])
        self.explained_variance = state["explained_variance"]
        self.updates, self.progress = state["updates"], state["progress"]


def make(config: PPO, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps / config.learner.batch_size * config.learner.epochs
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    return Parts(learner, Latest(), EveryCollection())


def actor(config: PPO, index: int, incarnation: int) -> Actor:
    return actor_of(
        config,
        Policy,
        index,
        incarnation,
        observations=config.normalize.observations,
        returns=config.learner.discount if config.normalize.rewards else None,
    )


ALGORITHM = Algorithm[PPO](make=make, actor=actor, policy=Policy)

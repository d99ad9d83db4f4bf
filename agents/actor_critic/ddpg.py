"""Deep deterministic policy gradient (Lillicrap et al. 2016, https://arxiv.org/abs/1509.02971) for continuous actions.

With `learner.critics=2`, `learner.policy_delay=2` and `learner.smoothing=0.2` this is TD3 (Fujimoto et al. 2018,
https://arxiv.org/abs/1802.09477). Actions are learned in [-1, 1] and scaled to the bounds of the action space.

Differs from the paper: no weight decay, no batch normalization, the action enters the critic's first layer; Gaussian
exploration noise unless `noise.kind=ornstein_uhlenbeck`; uniformly random actions at the start.

Logs, as means over updates: train/critic_loss, train/actor_loss, train/q_mean, train/td_error; and
train/learning_rate, train/n_updates (of the critics).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.actor_critic.config import DDPG
from agents.api import Actor, Algorithm, Parts, State
from agents.explore import gaussian_noise, ornstein_uhlenbeck
from agents.losses import clipped_target, deterministic_policy_gradient, squared
from agents.means import Means
from agents.memory.choose import replay
from agents.networks import acting, normalize, set_statistics, torso_of
from agents.records import Acted, Carry, Sample
from agents.rollout import actor_of
from agents.schedules import value as scheduled
from agents.stochastic import bounds
from envs.api import Array, Continuous, Spec, Step
from envs.normalize import Moments
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.flat import Adam, Flat, differentiate
from supervised.networks.heads import Tanh, Value


class PolicyNetwork(nn.Module):
    """obs [B, *obs] -> action in [-1, 1], [B, D]. The buffer `random` says to act at random instead."""

    random: Tensor

    def __init__(self, config: DDPG, spec: Spec, generator: torch.Generator) -> None:
        super().__init__()
        if not isinstance(spec.actions, Continuous) or not np.isfinite(bounds(spec.actions)).all():
            raise ValueError(f"ddpg wants continuous actions between finite bounds, but {spec.name} has {spec.actions}")
        self.normalize = normalize(spec, config.normalize)
        self.torso, features = torso_of(config.network, spec, "fan_in", generator)
        self.head = Tanh(features, len(spec.actions.low), generator)
        self.register_buffer("random", torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.torso(self.normalize(obs)))


class Critic(nn.Module):
    """(normalized obs [B, F], action [B, D]) -> Q [B]."""

    def __init__(self, config: DDPG, spec: Spec, generator: torch.Generator) -> None:
        super().__init__()
        if len(spec.obs_shape) != 1:
            raise ValueError(
                f"ddpg's critics want observations that are vectors, but {spec.name} shows {spec.obs_shape}"
            )
        assert isinstance(spec.actions, Continuous)
        self.torso, features = torso_of(config.network, spec, "fan_in", generator, extra=len(spec.actions.low))
        self.head = Value(features, generator)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return self.head(self.torso(torch.cat([obs, action], -1)))


class Critics(nn.Module):
    """One critic, or twins: -> Q [K, B]."""

    def __init__(self, config: DDPG, spec: Spec, generator: torch.Generator) -> None:
        super().__init__()
        self.critics = nn.ModuleList(Critic(config, spec, generator) for _ in range(config.learner.critics))

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return torch.stack([critic(obs, action) for critic in self.critics])


class Policy:
    """The network's action; with noise when exploring, uniformly random while the weights say so."""

    def __init__(self, config: DDPG, spec: Spec, device: torch.device) -> None:
        self.network = PolicyNetwork(config, spec, torch.Generator()).to(device)
        assert isinstance(spec.actions, Continuous)
        low, high = bounds(spec.actions)
        self.center, self.half = (high + low) / 2, (high - low) / 2
        self.flat = Flat(self.network)
        self.forward = acting(self.network, device)
        self.noise = config.noise
        self.random = True

    def initial(self, batch: int) -> Carry:
        return {"noise": np.zeros((batch, len(self.half)), np.float32)}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        if explore and self.random:
            action = rng.uniform(-1, 1, carry["noise"].shape).astype(np.float32)
            return Acted(carry, self.center + self.half * action, {})
        action = self.forward(step.obs)
        if explore:
            if self.noise.kind == "ornstein_uhlenbeck":
                noise = ornstein_uhlenbeck(carry["noise"], self.noise.theta, self.noise.sigma, rng)
            else:
                noise = gaussian_noise(carry["noise"].shape, self.noise.sigma, rng)
            carry = {"noise": noise}
            action = (action + noise).clip(-1, 1)
        return Acted(carry, self.center + self.half * action, {})

    def load(self, weights: Array) -> None:
        self.flat.load(weights)
        self.random = bool(self.network.random.item())


class Batch(NamedTuple):
    obs: Tensor  # [n, F]
    action: Tensor  # [n, D] in [-1, 1]
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, F]
    noise: Tensor  # [n, D] smoothing of the target action


CRITIC_METRICS = ("critic_loss", "q_mean", "td_error")
POLICY_METRICS = ("actor_loss",)


class Learner:
    def __init__(self, config: DDPG, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.device = config, device
        self.rng = seeds.generator("learner", "smoothing")
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        self.network = PolicyNetwork(config, spec, generator).to(device)
        assert isinstance(spec.actions, Continuous)
        self.policy = Flat(self.network)
        self.critics = Flat(Critics(config, spec, generator).to(device))
        self.policy_target = self.policy.parameters.clone()
        self.critics_target = self.critics.parameters.clone()
        self.policy_adam = Adam.zeros(self.policy.parameters)
        self.critics_adam = Adam.zeros(self.critics.parameters)
        self.critic_means = Means.zeros(CRITIC_METRICS, device)
        self.policy_means = Means.zeros(POLICY_METRICS, device)
        low, high = bounds(spec.actions)
        self.center, self.half = (torch.tensor(x, device=device) for x in ((high + low) / 2, (high - low) / 2))
        self.observations = Moments(spec.obs_shape) if config.normalize.observations else None
        self.updates = 0
        self.steps = 0
        self.critic_gradient = differentiate(self.critic_loss, functional=compiled)
        self.policy_gradient = differentiate(self.policy_loss, functional=compiled)
        self.critic_step = accelerate(self.learn_critics, device, compiled)
        self.both_step = accelerate(self.learn_both, device, compiled)
        self.observe(0, [])

    def update(self, sample: Sample) -> None:
        config = self.config.learner
        rates = (scheduled(r, self.progress) for r in (config.learning_rate, config.policy_learning_rate))
        settings = torch.tensor([*rates], device=self.device)
        rows = [torch.from_numpy(column).to(self.device, non_blocking=True) for column in sample.rows[:5]]
        noise = torch.zeros_like(rows[1])
        if config.smoothing:
            noise = torch.from_numpy(self.rng.standard_normal(rows[1].shape, np.float32)).to(self.device)
        self.updates += 1
        step = self.critic_step if self.updates % config.policy_delay else self.both_step
        state = (
            (self.critics.parameters, self.critics_target, self.critics_adam, self.critic_means),
            (self.policy.parameters, self.policy_target, self.policy_adam, self.policy_means),
        )
        step(state, settings, *rows, noise)

    def learn_critics(self, state: tuple[tuple, tuple], settings: Tensor, *columns: Tensor) -> Batch:
        """Closed step: the critics alone."""
        (parameters, target, adam, means), (_, policy_target, _, _) = state
        batch = self.prepare(*columns)
        gradient, metrics = self.critic_gradient(parameters, target, policy_target, batch)
        parameters.sub_(settings[0] * adam.step(gradient, 1e-8))
        means.add([metrics["loss"], metrics["q_mean"], metrics["td_error"]])
        return batch

    def learn_both(self, state: tuple[tuple, tuple], settings: Tensor, *columns: Tensor) -> None:
        """Closed step: the critics, then the policy by the new critics, then both targets."""
        batch = self.learn_critics(state, settings, *columns)
        (critics, critics_target, _, _), (parameters, target, adam, means) = state
        gradient, metrics = self.policy_gradient(parameters, critics, batch)
        parameters.sub_(settings[1] * adam.step(gradient, 1e-8))
        means.add([metrics["loss"]])
        tau = self.config.learner.tau
        target.lerp_(parameters, tau)
        critics_target.lerp_(critics, tau)

    def prepare(
        self, obs: Tensor, action: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor, noise: Tensor
    ) -> Batch:
        config = self.config.learner
        noise = (noise * config.smoothing).clamp(-config.smoothing_clip, config.smoothing_clip)
        return Batch(obs, (action - self.center) / self.half, reward, discount, next_obs, noise)

    def critic_loss(
        self, parameters: Tensor, target: Tensor, policy_target: Tensor, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        normalize = self.network.normalize
        next_action = (self.policy.call(policy_target, batch.next_obs) + batch.noise).clamp(-1, 1)
        next_q = self.critics.call(target, normalize(batch.next_obs), next_action)  # [K, n]
        goal = clipped_target(batch.reward, batch.discount, next_q)
        q = self.critics.call(parameters, normalize(batch.obs), batch.action)
        error = goal - q
        # Summed over twins: each critic learns as if it were alone.
        return squared(error).mean(-1).sum(), {"q_mean": q.mean(), "td_error": error.abs().mean()}

    def policy_loss(self, parameters: Tensor, critics: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        action = self.policy.call(parameters, batch.obs)
        q = self.critics.call(critics, self.network.normalize(batch.obs), action)
        return deterministic_policy_gradient(q[0]).mean(), {}

    @property
    def progress(self) -> float:
        return min(self.steps / self.config.steps, 1.0)

    def observe(self, steps: int, moments: list[State]) -> None:
        self.steps = steps
        self.network.random.fill_(float(steps < self.config.random_steps))
        for news in moments:
            if self.observations is not None:
                self.observations.merge(news["observations"])

    def metrics(self) -> Mapping[str, float]:
        means = {**self.critic_means.drain(CRITIC_METRICS), **self.policy_means.drain(POLICY_METRICS)}
        return {f"train/{name}": mean for name, mean in means.items()} | {
            "train/learning_rate": scheduled(self.config.learner.learning_rate, self.progress),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        if self.observations is not None and self.observations.count:
            set_statistics(self.network.normalize, self.observations)
        return self.policy.weights()

    def state_dict(self) -> State:
        return {
            "policy": self.policy.weights(),
            "critics": self.critics.weights(),
            "policy_target": self.policy_target.cpu().numpy().copy(),
            "critics_target": self.critics_target.cpu().numpy().copy(),
            "policy_adam": self.policy_adam.state_dict(),
            "critics_adam": self.critics_adam.state_dict(),
            "critic_means": self.critic_means.state_dict(),
            "policy_means": self.policy_means.state_dict(),
            "observations": {} if self.observations is None else self.observations.state_dict(),
            "rng": self.rng.bit_generator.state,
            "updates": self.updates,
            "steps": self.steps,
        }

    def load_state_dict(self, state: State) -> None:
        self.policy.load(state["policy"])
        self.critics.load(state["critics"])
        self.policy_target.copy_(torch.from_numpy(state["policy_target"]))
        self.critics_target.copy_(torch.from_numpy(state["critics_target"]))
        self.policy_adam.load_state_dict(state["policy_adam"])
        self.critics_adam.load_state_dict(state["critics_adam"])
        self.critic_means.load_state_dict(state["critic_means"])
        self.policy_means.load_state_dict(state["policy_means"])
        if self.observations is not None:
            self.observations.load_state_dict(state["observations"])
        self.rng.bit_generator.state = state["rng"]
        self.updates, self.steps = state["updates"], state["steps"]


def make(config: DDPG, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps * config.learner.updates_per_step
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, updates, device))
    return Parts(learner, *replay(config.env, config.memory, config.learner, spec, seeds, config.steps))


def actor(config: DDPG, index: int, incarnation: int) -> Actor:
    return actor_of(
        config,
        Policy,
        index,
        incarnation,
        observations=config.normalize.observations,
    )


ALGORITHM = Algorithm[DDPG](make=make, actor=actor, policy=Policy)

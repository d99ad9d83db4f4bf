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
from typing import Any

import torch
from torch import Tensor

from agents.actor_critic.configs.ppo import PPO
from agents.api import Algorithm, Parts
from agents.experience.own_steps import actor, fed, policy
from agents.maths.losses import ppo_clip, value_loss, value_loss_clipped
from agents.parts.actor_critic import ActorCriticLearner
from agents.parts.on_policy import Rows, explained_variance, rows_of
from agents.parts.recalling import worth_compiling
from agents.records import Sample, Unroll
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.accelerate import accelerate
from supervised.trained import Found, TrainState


class Learner(ActorCriticLearner[PPO]):
    STATE = (*ActorCriticLearner.STATE, "rng")

    def __init__(self, config: PPO, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        super().__init__(config, spec, seeds, device, compiled, ["approx_kl", "clip_fraction"])
        self.rng = seeds.generator("learner", "minibatches")
        self.active = torch.ones((), device=device)  # 0 once the KL stop has struck
        self.step = accelerate(self.minibatches, device, compiled)

    def rows(self, unroll: Unroll) -> Rows:
        options = self.config.learner
        return rows_of(unroll, self.network, self.normalizer, options.discount, options.gae_lambda, self.device)

    def update(self, sample: Sample) -> None:
        options = self.config.learner
        rows = self.rows(sample.rows)
        self.explained_variance = explained_variance(rows.advantage, rows.target)
        settings = torch.tensor([self.at(options.learning_rate), self.at(options.clip)], device=self.device)
        self.active.fill_(1)
        n, batches = rows.units, len(rows.log_prob) // options.batch_size
        # A call costs a GPU dearly; on a CPU, where it doesn't, a program of one minibatch is compiled sooner.
        together = next(k for k in (4, 3, 2, 1) if batches % k == 0) if self.device.type == "cuda" else 1
        for _ in range(options.epochs):
            order = torch.from_numpy(self.rng.permutation(n)).to(self.device)
            for index in order.view(-1, together, n // batches):
                self.step((self.trained.state, self.active), settings, index, *rows)
            self.updates += 1
            if options.target_kl is not None and not self.active:
                break

    def minibatches(self, state: tuple[TrainState, Tensor], settings: Tensor, index: Tensor, *rows: Any) -> None:
        """The closed step: for each row of `index` [k, units], gradient, clipping and Adam, all in place."""
        for picked in index.unbind():
            self.minibatch(*state, settings, Rows(*rows).pick(picked))

    def minibatch(self, state: TrainState, active: Tensor, settings: Tensor, batch: Rows) -> None:
        limit = self.config.learner.target_kl
        learning_rate, clip = settings.unbind()
        if limit is None:
            self.trained.descend(state, learning_rate, clip, batch)
            return
        gradient, found = self.trained.look(state.parameters, clip, batch)
        # The minibatch that exceeds the limit counts in the metrics, but neither it nor a later one moves the network.
        self.trained.note(state, found, active)
        active.mul_(found["approx_kl"].mean() <= 1.5 * limit)
        self.trained.move(state, learning_rate, gradient, active)

    def loss(self, parameters: Tensor, clip: Tensor, batch: Rows) -> Found:
        """The terms of the paper's equation 9, [n] each, to be minimized. approx_kl, clip_fraction: [n]."""
        options = self.config.learner
        outputs, value = self.trained.flat.call(parameters, batch.obs)
        log_prob = self.family.log_prob(outputs, batch.action, batch.mask)
        advantage = batch.advantage
        if options.normalize_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        if options.value_clip is None:
            value_error = value_loss(value, batch.target)
        else:
            value_error = value_loss_clipped(value, batch.target, batch.value, options.value_clip)
        log_ratio = log_prob - batch.log_prob
        ratio = log_ratio.exp()
        return {
            "policy_gradient_loss": ppo_clip(log_prob, batch.log_prob, advantage, clip),
            "value_loss": value_error,
            "entropy_loss": -self.family.entropy(outputs, batch.mask),
        }, {
            # The estimator k3 of http://joschu.net/blog/kl-approx.html: unbiased and never negative.
            "approx_kl": ratio - 1 - log_ratio,
            "clip_fraction": ((ratio - 1).abs() > clip).float(),
        }

    def metrics(self) -> Mapping[str, float]:
        found = super().metrics()
        return {**found, "train/clip_range": self.at(self.config.learner.clip)} if found else {}


def make(config: PPO, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps / config.learner.batch_size * config.learner.epochs
    compiled = worth_compiling(config.compile, config.network, updates, device)
    learner = Learner(config, spec, seeds, device, compiled)
    return fed(learner, config, spec, seeds)


ALGORITHM = Algorithm[PPO](make=make, actor=actor, policy=policy)

"""REINFORCE (Williams 1992, https://doi.org/10.1007/BF00992696): the gradient of the return from whole episodes.

The mean over episodes of sum_t (G_t - b(s_t)) grad log pi(a_t|s_t) is followed by Adam, once for each collection of
`rollout.episodes`. G_t is the discounted return from t on, or what else `learner.credit` says; the baseline b is
nothing, the mean of earlier returns, or a network's value of the state, which learns from returns only after it was
subtracted from them. Discrete, multi-discrete and continuous actions.

Differs from the paper: Adam in place of plain steps; an optional entropy bonus; where a time limit cuts an episode off,
the baseline's value stands for what would have come.

Logs, as means over updates: train/loss, train/policy_gradient_loss, train/entropy_loss (minus the entropy),
train/gradient_norm (where `learner.max_gradient_norm` is set); train/value_loss or train/baseline; and
train/explained_variance (of the last update), train/learning_rate, train/std (continuous actions), train/n_updates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from agents.api import Actor, Algorithm, Parts
from agents.experience.own_steps import fed, policy
from agents.experience.rollout import actor_of
from agents.maths.losses import policy_gradient
from agents.parts.baselines import Baseline, ConstantBaseline, NetworkBaseline
from agents.parts.on_policy import Rows, ages, from_the_start
from agents.parts.policy_learner import PolicyLearner, standardized
from agents.policy.configs.reinforce import REINFORCE
from agents.records import Sample, Unroll, in_turn
from envs.api import Spec
from experiment.seeding import Seeds
from supervised.accelerate import pays_off
from supervised.trained import Found, Trained


class Learner(PolicyLearner[REINFORCE]):
    STATE = (*PolicyLearner.STATE, "trained")

    def __init__(self, config: REINFORCE, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        super().__init__(config, spec, seeds, device)
        options = config.learner
        self.trained = Trained(
            self.network,
            self.loss,
            {"policy_gradient_loss": 1.0, "entropy_loss": options.entropy_coefficient},
            max_gradient_norm=options.max_gradient_norm,
            adam_epsilon=options.adam_epsilon,
        )
        self.flat = self.trained.flat
        self.baseline = self.make_baseline(spec, seeds, compiled)

    def make_baseline(self, spec: Spec, seeds: Seeds, compiled: bool) -> Baseline:
        options, layer = self.config.baseline, self.network.normalize
        if options.kind == "learned":
            return NetworkBaseline(spec, self.config.network, options, layer, seeds, self.device, compiled)
        return ConstantBaseline(options.fraction if options.kind == "mean" else 0.0)

    def update(self, sample: Sample) -> None:
        options, unroll = self.config.learner, sample.rows
        rows = self.rows(unroll, options.discount, 1.0)
        credited = self.credited(unroll, rows)
        episodes = torch.tensor(float(unroll.first[:-1].sum()), device=self.device)
        rate = self.at(options.learning_rate)
        self.trained.update(rate, episodes, credited.obs, credited.mask, credited.action, credited.advantage)
        self.learned(rows)

    def credited(self, unroll: Unroll, rows: Rows) -> Rows:
        """With what each action is credited with in place of its advantage."""
        options = self.config.learner
        if options.credit == "whole":
            start = np.arange(len(rows.advantage)) - ages(unroll).reshape(-1)
            rows = rows._replace(advantage=rows.advantage[torch.from_numpy(start).to(self.device)])
        elif options.credit == "discounted":
            rows = from_the_start(unroll, rows, options.discount)
        return rows._replace(advantage=standardized(rows.advantage)) if options.normalize_advantage else rows

    def loss(
        self, parameters: Tensor, episodes: Tensor, obs: Tensor, mask: Tensor | None, action: Tensor, credit: Tensor
    ) -> Found:
        """Minus the return of an episode, as far as its gradient goes, 0-d; minus the entropy, [n]."""
        outputs = self.flat.call(parameters, obs)
        log_prob = self.family.log_prob(outputs, action, mask)
        return {
            "policy_gradient_loss": policy_gradient(log_prob, credit).sum() / episodes,
            "entropy_loss": -self.family.entropy(outputs, mask),
        }, {}

    def metrics(self) -> Mapping[str, float]:
        means = self.trained.drain("train/")
        rate = self.at(self.config.learner.learning_rate)
        return {**means, "train/learning_rate": rate, **super().metrics()} if means else {}


def make(config: REINFORCE, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    fits = config.steps / config.baseline.batch_size * config.baseline.epochs
    learner = Learner(config, spec, seeds, device, pays_off(config.compile, fits, device))
    return fed(learner, config, spec, seeds, in_turn)


def actor(config: REINFORCE, index: int, incarnation: int) -> Actor:
    return actor_of(
        config,
        policy,
        index,
        incarnation,
        observations=config.normalize.observations,
        returns=config.learner.discount if config.normalize.rewards else None,
        episodes=config.rollout.episodes,
    )


ALGORITHM = Algorithm[REINFORCE](make=make, actor=actor, policy=policy)

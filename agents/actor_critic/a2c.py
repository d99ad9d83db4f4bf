"""Advantage actor-critic, synchronous (Mnih et al. 2016, https://arxiv.org/abs/1602.01783).

All environments make a few steps, and then one gradient step is taken: advantages are n-step returns minus values, with
n from 1 at the end of what was collected up to all of it at its beginning; with `learner.gae_lambda=0` they are the
one-step TD error r + gamma V(s') - V(s). Discrete, multi-discrete and continuous actions.

Differs from the paper: its actors write to one network without waiting for each other, ours wait (`impala` doesn't);
Adam in place of RMSProp; policy and values share nothing unless `network.shared`. Its gradient and ours lack the factor
gamma^t of the discounted return's gradient unless `learner.discount_states`.

Logs, as means over updates: train/loss, train/policy_gradient_loss, train/value_loss, train/entropy_loss (minus the
entropy), train/gradient_norm; and train/explained_variance, train/learning_rate, train/std (continuous actions),
train/n_updates.
"""

from __future__ import annotations

import torch

from agents.actor_critic.configs.a2c import A2C
from agents.api import Algorithm, Parts
from agents.experience.own_steps import acting_by, fed
from agents.maths.stochastic import stochastic
from agents.parts.actor_critic import ActorCriticLearner
from agents.parts.on_policy import Rows, StochasticPolicy, from_the_start, rows_of
from agents.parts.recalling import worth_compiling
from agents.records import Sample, Unroll
from envs.api import Spec
from experiment.seeding import Seeds


class Learner(ActorCriticLearner[A2C]):
    def rows(self, unroll: Unroll) -> Rows:
        options = self.config.learner
        rows = rows_of(unroll, self.network, self.normalizer, options.discount, options.gae_lambda, self.device)
        return from_the_start(unroll, rows, options.discount) if options.discount_states else rows

    def update(self, sample: Sample) -> None:
        self.descend(self.rows(sample.rows))


def make(config: A2C, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    updates = config.steps / (config.rollout.steps * config.env.count)
    compiled = worth_compiling(config.compile, config.network, updates, device)
    learner = Learner(config, spec, seeds, device, compiled)
    return fed(learner, config, spec, seeds)


def policy(config: A2C, spec: Spec, device: torch.device) -> StochasticPolicy:
    family, timed = stochastic(spec.actions), config.learner.discount_states
    return StochasticPolicy(spec, family, config.network, config.normalize, device, timed)


actor = acting_by(policy)
ALGORITHM = Algorithm[A2C](make=make, actor=actor, policy=policy)

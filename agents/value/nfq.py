"""Neural fitted Q-iteration (Riedmiller 2005, https://doi.org/10.1007/11564096_32): Q-learning as regressions in a row.

After each collection the targets y = R + discount * max_a Q(s', a) of all transitions so far are made and held fixed,
the network is fitted to them, and this again: no target network is needed. What is learned from may as well be a log
that nobody adds to (`agents/experience/logged.py`).

Differs from the paper: Adam on shuffled minibatches in place of Rprop on all rows; a refit goes on from the last one's
weights unless `learner.restart`; no artificial transitions that hint at the goal; targets are bounded if asked.

Logs, as means over steps of Adam: train/loss, train/q_mean (of the actions taken); and train/target_mean (of the last
refit), train/rows, train/refits, train/learning_rate, train/epsilon, train/n_updates (steps of Adam).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from agents.api import Actor, Algorithm, Parts
from agents.experience.memory.choose import row_store
from agents.experience.memory.ratio import EveryCollection
from agents.experience.memory.replay import Replay
from agents.experience.memory.whole import Whole
from agents.experience.rewards.make import make_rewards
from agents.experience.rewards.rewards import Rewards
from agents.experience.rollout import actor_of
from agents.maths.losses import max_target, squared
from agents.maths.schedules import value as scheduled
from agents.parts.action_values import EpsilonGreedy, QNetwork
from agents.parts.batches import shuffled
from agents.parts.normalizer import Normalizer
from agents.parts.state import Assembled
from agents.records import Round, Sample
from agents.value.configs.nfq import NFQ
from envs.api import Array, Spec
from experiment.seeding import Seeds
from supervised.accelerate import pays_off
from supervised.trained import Found, Trained, tensors


class Everything(NamedTuple):
    """All transitions, on the learner's device."""

    obs: Tensor  # [n, *obs]
    action: Tensor  # [n] int64
    reward: Tensor  # [n]
    discount: Tensor  # [n]
    next_obs: Tensor  # [n, *obs]
    next_mask: Tensor | None  # [n, A] bool


class Learner(Assembled):
    STATE = ("trained", "normalizer", "rng", "refits", "updates", "rows", "target_mean")

    def __init__(self, config: NFQ, spec: Spec, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.spec, self.device = config, spec, device
        self.rng = seeds.generator("learner", "batches")
        self.network = self.new_network(seeds.integer("learner", "network")).to(device)
        self.trained = Trained(self.network, self.loss, {"loss": 1.0}, ["q_mean"], compiled=compiled)
        self.normalizer = Normalizer(self.network.normalize)
        self.refits = self.updates = self.rows = 0
        self.target_mean = 0.0
        self.begin_round(Round(0, 0))  # schedules begin before there is anything to learn from

    def new_network(self, seed: int) -> QNetwork:
        config = self.config
        return QNetwork(self.spec, config.network, config.normalize, False, torch.Generator().manual_seed(seed))

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)
        self.network.epsilon.fill_(scheduled(self.config.epsilon, self.progress))
        self.normalizer.merge(round.moments)
        self.normalizer.write()

    @property
    def rate(self) -> float:
        return scheduled(self.config.learner.learning_rate, self.progress)

    def update(self, sample: Sample) -> None:
        rows = Everything(*tensors(sample.rows[:6], self.device))
        for _ in range(self.config.learner.refits):
            self.refit(rows)
        self.rows = len(rows.reward)

    def refit(self, rows: Everything) -> None:
        """Make the targets by the network as it is, and fit the network to them."""
        goal = self.targets(rows)
        self.target_mean = goal.mean().item()
        if self.config.learner.restart:
            self.restart()
        options = self.config.learner
        batches = shuffled(self.rng, len(goal), options.updates, min(options.batch_size, len(goal)))
        for index in torch.from_numpy(batches).to(self.device):
            self.trained.update(self.rate, rows.obs[index], rows.action[index], goal[index])
            self.updates += 1
        self.refits += 1

    @torch.no_grad()
    def targets(self, rows: Everything) -> Tensor:
        """r + discount * max Q(s', a) [n], within the bounds."""
        options = self.config.learner
        goal = max_target(rows.reward, rows.discount, self.network(rows.next_obs), rows.next_mask)
        bounded = options.lowest is not None or options.highest is not None
        return goal.clamp(options.lowest, options.highest) if bounded else goal

    def restart(self) -> None:
        """New random weights, and an Adam that remembers nothing."""
        self.trained.restart(self.new_network(int(self.rng.integers(2**63))))

    def loss(self, parameters: Tensor, obs: Tensor, action: Tensor, goal: Tensor) -> Found:
        """Half the squared error [n]. q_mean [n]."""
        q = self.trained.flat.call(parameters, obs).gather(-1, action.unsqueeze(-1)).squeeze(-1)
        return {"loss": squared(goal - q)}, {"q_mean": q}

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/") | {
            "train/target_mean": self.target_mean,
            "train/rows": self.rows,
            "train/refits": self.refits,
            "train/learning_rate": self.rate,
            "train/epsilon": self.network.epsilon.item(),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        return self.trained.flat.weights()


def make(config: NFQ, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    options = config.learner
    rounds = config.steps / (config.rollout.steps * config.env.count)
    compiled = pays_off(config.compile, rounds * options.refits * options.updates, device)
    models = make_rewards(config, spec, seeds)
    table = row_store(config.env, config.memory.capacity, options.discount, options.n_step, spec, Rewards(models))
    memory = Replay(table, Whole(), options.batch_size, seeds.generator("memory"))
    return Parts(Learner(config, spec, seeds, device, compiled), memory, EveryCollection(), models)


def policy(config: NFQ, spec: Spec, device: torch.device) -> EpsilonGreedy:
    return EpsilonGreedy(spec, config.network, config.normalize, False, device)


def actor(config: NFQ, index: int, incarnation: int) -> Actor:
    return actor_of(config, policy, index, incarnation, observations=config.normalize.observations)


ALGORITHM = Algorithm[NFQ](make=make, actor=actor, policy=policy)

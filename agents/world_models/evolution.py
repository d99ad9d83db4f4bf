"""Controllers are judged, and the next generation is drawn: the parts of `agents.courses.training.Training`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from agents.api import State
from agents.contenders import UniformPolicy
from agents.experience.rollout import Rollout, RolloutActor, make_env, restart
from agents.parts.state import Assembled
from agents.records import Episodes, Experience, Round, Sample
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.mind import MindPolicy, mind_of
from agents.world_models.strategy import CMA
from envs.api import Array
from experiment.seeding import Seeds
from supervised.flat import Flat


class Judged(NamedTuple):
    candidate: Array  # [n] int64, its number in the generation
    value: Array  # [n] float64, mean return


class Generation:
    """The memory: what all actors have judged since the last sample."""

    def __init__(self) -> None:
        self.parts: list[Judged] = []

    def add(self, experience: Experience) -> None:
        self.parts.append(experience.rows)

    def sample(self) -> Sample:
        """In the order of the generation."""
        parts, self.parts = self.parts, []
        candidate, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(candidate)
        return Sample(Judged(candidate[order], value[order]))

    def update(self, sample: Sample, priority: object) -> None:
        """A generation is judged once."""

    def state_dict(self) -> State:
        return {str(number): part._asdict() for number, part in enumerate(self.parts)}

    def load_state_dict(self, state: State) -> None:
        self.parts = [Judged(**state[str(number)]) for number in range(len(state))]


class Evolution(Assembled):
    """The learner. Its weights are those of a `MindPolicy` with the mean controller, and behind them the generation
    that is to be judged."""

    STATE = ("mind", "strategy", "generations", "values")

    def __init__(self, mind: Flat, strategy: CMA) -> None:
        self.mind, self.strategy = mind, strategy
        self.generations, self.values = 0, np.empty(0)  # of the last generation

    def update(self, sample: Sample) -> None:
        self.values = sample.rows.value
        self.strategy.tell(self.values)
        self.generations += 1

    def metrics(self) -> Mapping[str, float]:
        if not len(self.values):
            return {}
        return {
            "train/value": float(self.values.mean()),
            "train/best": float(self.values.max()),
            "train/sigma": self.strategy.sigma,
            "train/generations": self.generations,
        }

    def weights(self) -> Array:
        self.mind.module.get_parameter("controller").copy_(torch.from_numpy(self.strategy.mean))
        return np.concatenate([self.mind.weights(), self.strategy.ask().astype(np.float32).ravel()])

    def begin_round(self, round: Round) -> None:
        """Nothing moves with time."""


class Still:
    """A learner that learns nothing, for who collects what is learned from later."""

    def update(self, sample: Sample) -> None:
        """Nothing."""

    def metrics(self) -> Mapping[str, float]:
        return {}

    def weights(self) -> Array:
        return np.empty(0, np.float32)

    def begin_round(self, round: Round) -> None:
        """Nothing moves with time."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass


class AtRandom(UniformPolicy):
    def load(self, weights: Array) -> None:
        """There is nothing to take over."""


class WorldActor:
    """Plays at random as long as it is given no weights, and then judges its share of each generation: the number of
    the actor, and every so many further on."""

    def __init__(self, config: WorldModels, index: int, incarnation: int) -> None:
        self.config, self.index, count = config, index, config.env.count // config.runtime.actors
        self.env, names = make_env(config.env, count), ("actor", index, incarnation)
        self.seeds = Seeds(config.seed)
        rng = self.seeds.generator(*names, "policy")
        rollout = Rollout(self.env, AtRandom(self.env.spec.actions), self.seeds.integer(*names, "env"), rng)
        self.play = RolloutActor(rollout, config.play.length, index, reward_clip=config.env.reward_clip)
        self.policy = MindPolicy(mind_of(config, self.env.spec), torch.device("cpu"))
        self.generation: torch.Tensor | None = None  # [N, P]

    def load(self, weights: Array, version: int) -> None:
        self.play.load(weights, version)
        if len(weights):
            self.policy.load(weights)
            size = self.policy.mind.controller.numel()
            self.generation = torch.from_numpy(weights[len(self.policy.flat.vector) :].reshape(-1, size).copy())

    def collect(self) -> Experience:
        return self.play.collect() if self.generation is None else self.judge(self.generation)

    def judge(self, generation: torch.Tensor) -> Experience:
        """Each of its controllers by as many episodes; those are dealt to the rows before the first step, so that short
        ones are not preferred."""
        own = np.arange(self.index, len(generation), self.config.runtime.actors)
        tasks, count = own.repeat(self.config.controller.rollouts), self.env.count
        most = self.config.env.reward_clip or np.inf
        returns, lengths = np.zeros(len(tasks)), np.zeros(len(tasks), np.int64)
        at = np.arange(count)  # the task of each row
        step = self.env.reset(self.seeds.integer("controller", "env", self.index, self.play.version))
        carry = self.policy.initial(count)
        while (going := at < len(tasks)).any():
            controllers = generation[tasks[np.where(going, at, 0)]]
            acted = self.policy.act_each(controllers, carry, step.obs)
            step = self.env.step(acted.action)
            returns[at[going]] += step.reward[going, 0].clip(-most, most)
            lengths[at[going]] += 1
            ended = step.terminated | step.truncated
            carry = restart(acted.carry, self.policy.initial(count), ended) if ended.any() else acted.carry
            at = at + count * (going & ended)
        values = returns.reshape(len(own), -1).mean(1)
        episodes = Episodes(returns.tolist(), lengths.tolist())
        return Experience(Judged(own, values), int(lengths.sum()), episodes, self.play.version, self.index)

    def state_dict(self) -> State:
        """A generation is judged from its own seed: where one is, nothing has to be kept, and the actor begins anew."""
        return self.play.state_dict() if self.generation is None else {}

    def load_state_dict(self, state: State) -> None:
        self.play.load_state_dict(state)

    def close(self) -> None:
        self.play.close()

"""Monte-Carlo CFR with a `runtime`: actors sample the compiled tree, each on a copy of the table, and a learner joins
these.

An actor starts from the published regrets, makes `iterations` iterations with the kernels of `mccfr`, and brings home
by how much its regrets and averages grew. The table grows by the mean over actors. With one actor that is `mccfr`; with
K it is `mccfr` that learns late what the others found: K * `iterations` iterations are made between synchronizations,
and each actor knows of its own alone. docs/mccfr.md has what that costs.

The mean, not the sum: an actor goes on learning from the published regrets at the pace of one. If actors were all alike
the mean would be what each of them found, and the sum would be as if they had gone K times as far.

With linear weights iteration t counts t times, and t is an actor's: the K that are made side by side count alike.
Sums are float64; they are published as float32, which moves a policy by some 1e-7 of itself.

Logs game/nash_conv, game/exploitability and game/value of the average policy; train/iteration, which is t.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agents.api import Actor, Enter, Parts, State
from agents.experience.memory.ratio import EveryCollection
from agents.records import Episodes, Experience, Round, Sample
from agents.regret.best_response import measures
from agents.regret.configs.mccfr import MCCFR
from agents.regret.policies import normalized
from agents.regret.sampling import Iterations, require_two_seats
from agents.regret.tree import GameTree, compile_tree
from envs.api import Array, GameSpec
from envs.games.make import make_game
from experiment.seeding import Seeds

if TYPE_CHECKING:
    import torch


class Growth(NamedTuple):
    """By how much regrets and averages grew, for each sequence."""

    regret: Array  # [S] float64
    average: Array  # [S] float64


class Learner:
    """The table: `regret` and `average`, float64 [S], in units of what one actor finds."""

    def __init__(self, config: MCCFR, tree: GameTree) -> None:
        assert config.runtime is not None
        self.actors, self.iteration = config.runtime.actors, 0
        self.regret, self.average = np.zeros((2, tree.sequences))

    def update(self, sample: Sample) -> None:
        self.regret += sample.rows.regret / self.actors
        self.average += sample.rows.average / self.actors

    def begin_round(self, round: Round) -> None:
        self.iteration = round.steps // self.actors

    def metrics(self) -> Mapping[str, float]:
        return {"train/iteration": self.iteration}

    def weights(self) -> Array:
        """[2 S + 1]: regrets, averages, and t, which as float32 is exact to 16.7 million and close enough beyond."""
        return np.concatenate([self.regret, self.average, [self.iteration]]).astype(np.float32)

    def state_dict(self) -> State:
        return {"regret": self.regret.copy(), "average": self.average.copy(), "iteration": self.iteration}

    def load_state_dict(self, state: State) -> None:
        self.regret[:], self.average[:] = state["regret"], state["average"]
        self.iteration = state["iteration"]


class Sum:
    """A memory: what came since the last sample, added up in order of arrival."""

    def __init__(self, tree: GameTree) -> None:
        self.sums = Growth(*np.zeros((2, tree.sequences)))

    def add(self, experience: Experience) -> None:
        for own, more in zip(self.sums, experience.rows, strict=True):
            own += more

    def sample(self) -> Sample:
        found, self.sums = self.sums, Growth(*map(np.zeros_like, self.sums))
        return Sample(found)

    def update(self, sample: Sample, priority: torch.Tensor | None) -> None:
        """There are no priorities."""

    def state_dict(self) -> State:
        return {name: column.copy() for name, column in self.sums._asdict().items()}

    def load_state_dict(self, state: State) -> None:
        self.sums = Growth(**{name: state[name].copy() for name in Growth._fields})


class Sampler:
    """An actor."""

    def __init__(self, config: MCCFR, tree: GameTree, index: int, seed: int) -> None:
        self.count, self.index = config.iterations, index
        exploration = config.exploration if config.sampling == "outcome" else None
        self.advance = Iterations(tree, exploration, config.weighting == "linear")
        self.random = np.array([seed], np.uint64)

    def load(self, weights: Array, version: int) -> None:
        self.regret, self.version, self.done = np.split(weights[:-1], 2)[0], version, int(weights[-1])

    def collect(self) -> Experience:
        start = self.regret.astype(np.float64)
        regret, average = start.copy(), np.zeros_like(start)
        self.advance(regret, average, self.random, self.done, self.count)
        return Experience(Growth(regret - start, average), self.count, Episodes([], []), self.version, self.index)

    def state_dict(self) -> State:
        return {"random": self.random.copy()}

    def load_state_dict(self, state: State) -> None:
        self.random[:] = state["random"]

    def close(self) -> None:
        """Nothing is held."""


class TableExploitability:
    """NashConv of the average policy (`agents.api.Evaluation`), by best responses in the whole tree."""

    def __init__(self, tree: GameTree) -> None:
        self.tree = tree

    def __call__(self, weights: Array, steps: int) -> Mapping[str, float]:
        average = np.split(weights[:-1], 2)[1].astype(np.float64)
        return measures(self.tree, normalized(self.tree, average))

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing is remembered."""


# As a run ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _tree(name: str, memory_bytes: int) -> GameTree:
    """One for all parts of a run in a process. Raises ValueError for a game that isn't of two, MemoryError for a tree
    beyond `memory_bytes`."""
    game = make_game(name)
    require_two_seats(game.spec.name, game.spec.seats)
    return compile_tree(game, memory_bytes)


def make(config: MCCFR, spec: GameSpec, seeds: Seeds, device: torch.device) -> Parts:
    """Raises ValueError for a game that isn't of two, MemoryError for a tree beyond `memory_bytes`."""
    tree = _tree(config.game, config.memory_bytes)
    return Parts(Learner(config, tree), Sum(tree), EveryCollection())


def evaluation(config: MCCFR, seeds: Seeds, enter: Enter) -> TableExploitability:
    """Raises ValueError for a game that isn't of two, MemoryError for a tree beyond `memory_bytes`."""
    return TableExploitability(_tree(config.game, config.memory_bytes))


def actor(config: MCCFR, index: int, incarnation: int) -> Actor:
    seed = Seeds(config.seed).integer("actor", index, incarnation)
    return Sampler(config, _tree(config.game, config.memory_bytes), index, seed)

"""The four roles of a training run, readable in three minutes.

    fleet.publish(learner.weights(), version=0)
    while steps < budget:
        for experience in fleet.collect():
            memory.add(experience);  steps += experience.steps
        for _ in range(ratio.due(steps)):
            sample = memory.sample()
            memory.update(sample, learner.update(sample))
        fleet.publish(learner.weights(), version := version + 1)

An algorithm is a module that ends with `ALGORITHM = Algorithm(...)`: what the platform can ask of it. Its config is a
frozen model in a module of its own, so that configs are checked without loading torch. `registry.py` lists both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from agents.config import Experiment
from agents.records import Acted, Carry, Experience, Lived, Round, Sample, Unroll
from envs.api import Array, Game, Positions, Spec, Step
from experiment.course import Course, Stateful
from experiment.course import State as State  # part of every role, and so of this page
from experiment.seeding import Seeds

if TYPE_CHECKING:
    import torch

C = TypeVar("C", bound=Experiment)


class Policy(Protocol):
    """Carry in, carry out: feed-forward and recurrent policies are one type."""

    def initial(self, batch: int) -> Carry:
        """What it remembers at the beginning of an episode, for so many rows."""
        ...

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        """Choose for B rows. What is given is left as it is."""
        ...

    def load(self, weights: Array) -> None:
        """Take over a learner's `weights()`."""
        ...


class Actor(Stateful, Protocol):
    """A policy and its world."""

    def load(self, weights: Array, version: int) -> None: ...

    def collect(self) -> Experience: ...

    def close(self) -> None: ...


class Memory(Stateful, Protocol):
    def add(self, experience: Experience) -> None: ...

    def sample(self) -> Sample: ...

    def update(self, sample: Sample, priority: torch.Tensor | None) -> None: ...


class RewardModel(Stateful, Protocol):
    """What steps are worth beside, or in place of, the world's reward: judged anew whenever they are learned from."""

    def learn(self, unroll: Unroll) -> None:
        """Take in what was just collected, before it is learned from."""
        ...

    def judge(self, steps: Lived) -> Array:
        """Rewards [n] float32 in place of `steps.reward`."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """By names that no other model has."""
        ...


class Learner(Stateful, Protocol):
    def update(self, sample: Sample) -> torch.Tensor | None:
        """Learn from a sample, without waiting for the device. Returns the new priority [n] of its rows, if any."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Means over the updates since the last call, on the host. Empty if there were none."""
        ...

    def weights(self) -> Array:
        """Everything that acting needs, as one flat float32 array."""
        ...

    def begin_round(self, round: Round) -> None:
        """Called once after each collection, before the updates that are due: schedules and normalizers move here."""
        ...


class Source(Stateful, Protocol):
    """Where a learner's experience comes from: the actors of a run, wherever they live, or episodes that were kept."""

    def publish(self, weights: Array, version: int) -> None: ...

    def collect(self) -> list[Experience]: ...

    def metrics(self) -> Mapping[str, float]: ...

    def close(self) -> None: ...


class Ratio(Stateful, Protocol):
    """Samples per insert: how many updates are due now that so many steps were made?"""

    def due(self, steps: int) -> int: ...


class Evaluation(Stateful, Protocol):
    """How far a learner has come, by measurements that learning does not disturb."""

    def __call__(self, weights: Array, steps: int) -> Mapping[str, float]: ...


NO_REWARDS: Mapping[str, RewardModel] = {}


class Parts(NamedTuple):
    """What actors feed. They themselves are made by the algorithm's `actor`, which a remote process calls by itself."""

    learner: Learner
    memory: Memory
    ratio: Ratio
    rewards: Mapping[str, RewardModel] = NO_REWARDS  # by name; the memory judges by them


class Solver(Stateful, Protocol):
    """Solves a game or an MDP by iterations, without actors."""

    def iterate(self, n: int) -> None:
        """n more iterations. n calls of 1 give the same as 1 call of n."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """What is known without effort."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """How far the policy is from equilibrium, or from the best one."""
        ...


class Player(Protocol):
    """Plays one game, any number of positions at once, and never explores. All that a match knows of who plays.

    Carry in, carry out, as with a policy; who remembers nothing says `begin = staticmethod(forgets)`.
    """

    name: str

    def begin(self, n: int) -> Carry:
        """What it remembers at the beginning of n games, in each as one of the seats."""
        ...

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        """Actions [n] int64 for whoever is to move in each of n >= 1 positions; none is over or up to chance."""
        ...


def fresh(player: Player, positions: Positions, rng: np.random.Generator) -> Array:
    """The player's actions [n] in positions by themselves, without what came before them."""
    return player.choose(player.begin(len(positions)), positions, rng)[1]


Enter = Callable[[str, Game], Player]  # who plays under a name of the arena


@dataclass(frozen=True)
class Algorithm(Generic[C]):
    """What the platform can ask of an algorithm; None: it has no such thing. `state` is a checkpoint's.

    It goes on in one of three ways: actors feed what `make` returns, a `solver` iterates, or it has a `course` of its
    own, which may be made of others' (`build`). One that has both of the first two is a solver where its config has no
    `runtime`.
    """

    make: Callable[[C, Any, Seeds, torch.device], Parts] | None = None  # (config, spec of the world, seeds, device)
    actor: Callable[[C, int, int], Actor] | None = None  # (config, index, incarnation); called in Ray's processes too
    evaluation: Callable[[C, Seeds, Enter], Evaluation] | None = None  # None: episodes or matches of the policy
    solver: Callable[[C, Seeds], Solver] | None = None
    course: Callable[[C, Seeds, Callable[[Experiment], Course]], Course] | None = None  # (config, seeds, build)
    policy: Callable[[C, Spec, torch.device], Policy] | None = None  # acts in an environment
    table: Callable[[C, State], Array] | None = None  # (config, state): probabilities [S, A], to act in a finite MDP
    player: Callable[[C, Game, State, str], Player] | None = None  # (config, game, state, name): plays a game
    searcher: Callable[[C, Game, State, str, int], Player] | None = None  # the same with so many simulations

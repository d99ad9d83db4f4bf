"""The four roles of a training run, readable in three minutes.

    fleet.publish(learner.weights(), version=0)
    while steps < budget:
        for experience in fleet.collect():
            memory.add(experience);  steps += experience.steps
        learner.begin_round(Round(version, steps, moments))
        for _ in range(ratio.due(steps)):
            sample = memory.sample()
            memory.update(sample, learner.update(sample))
        fleet.publish(learner.weights(), version := version + 1)

An algorithm is a module that ends with `ALGORITHM = Algorithm(...)`: what the platform can ask of it. Its config is a
frozen model in a module of its own, so that configs are checked without loading torch. `registry.py` lists both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from agents.config import Experiment
from envs.api import Array, Game, Positions, Spec, Step
from experiment.course import Course, Stateful
from experiment.course import State as State  # part of every role, and so of this page
from experiment.seeding import Seeds

if TYPE_CHECKING:
    import torch

Carry = Any  # what a policy remembers from step to step: None, or a NamedTuple of arrays [B, ...]
C = TypeVar("C", bound=Experiment)


class Transition(NamedTuple):
    """n rows for learning from memory. `reward` sums k <= n steps; `discount` = gamma**k * (not terminated)."""

    obs: Array  # [n, *obs]
    action: Array  # [n], [n, D]
    reward: Array  # [n] float32, sum of gamma**i * r over k steps
    discount: Array  # [n] float32
    next_obs: Array  # [n, *obs] the true observation k steps later, never one of the next episode
    next_mask: Array | None  # [n, A] bool


class Unroll(NamedTuple):
    """T consecutive steps of B rows. Observations are raw: normalization is a layer of the network."""

    obs: Array  # [T + 1, B, *obs]; obs[t + 1] belongs to the next episode where the row ended at t
    mask: Array | None  # [T + 1, B, A] bool
    action: Array  # [T, B] or [T, B, D]
    log_prob: Array | None  # [T, B] float32 of the policy that acted
    reward: Array  # [T, B] float32
    terminated: Array  # [T, B] bool
    truncated: Array  # [T, B] bool, never together with terminated
    cut_obs: Array  # [K, *obs] true final observation of each truncated step, in the order of cut_at
    cut_at: Array  # [K] int64, t * B + b
    cut_mask: Array | None = None  # [K, A] bool, what would have been legal at cut_obs; None where mask is
    turn: Array | None = None  # [T, B] float32, +1 where the same seat moves next, -1 where its opponent does

    def discount(self, gamma: float) -> Array:
        """What each step discounts by [T, B] float64, ends not counted. Where two seats play for opposite rewards each
        step is seen by who moves: what comes after the opponent's move is worth the opposite."""
        return np.full(self.reward.shape, gamma) if self.turn is None else gamma * self.turn.astype(np.float64)


class Episodes(NamedTuple):
    """The episodes that ended during a collection, in order: undiscounted returns and lengths."""

    returns: list[float]
    lengths: list[int]


class Experience(NamedTuple):
    """What an actor brings home."""

    rows: Any  # a NamedTuple of arrays: Unroll, Transition, ...
    steps: int  # environment steps made for it
    episodes: Episodes
    version: int  # of the weights that acted
    actor: int
    moments: State | None = None  # observation and return moments of these steps, where the run normalizes
    measures: Mapping[str, float] | None = None  # metrics of the actor's own; their means over experiences are logged


class Round(NamedTuple):
    """What goes on between a collection and the next: as many updates as are due."""

    number: int  # from 0; what acted in a synchronous run were the weights of this version
    steps: int  # environment steps so far
    moments: Sequence[State] = ()  # of observations and returns, from each experience that brought some

    def progress(self, budget: int) -> float:
        """How much of a run of so many steps is over, 0 to 1, for schedules."""
        return min(self.steps / budget, 1.0)


class Sample(NamedTuple):
    rows: Any  # a NamedTuple of arrays
    index: Array | None = None  # type: ignore[assignment]  # [n] where the rows lie in memory (hides tuple.index)
    weight: Array | None = None  # [n] float32 importance weights, max 1


class Policy(Protocol):
    """Carry in, carry out: feed-forward and recurrent policies are one type."""

    def initial(self, batch: int) -> Carry: ...

    def act(self, carry: Carry, step: Step, rng: Any, explore: bool) -> tuple[Carry, Array, Array | None]:
        """Choose for B rows. Returns the next carry, the actions, and log-probabilities [B] if it learns from them."""
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


class Parts(NamedTuple):
    """What actors feed. They themselves are made by the algorithm's `actor`, which a remote process calls by itself."""

    learner: Learner
    memory: Memory
    ratio: Ratio


class Solver(Stateful, Protocol):
    """Solves a game by iterations, without actors."""

    def iterate(self, n: int) -> None:
        """n more iterations. n calls of 1 give the same as 1 call of n."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """What is known without effort."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """How far the policy is from equilibrium."""
        ...


class Player(Protocol):
    """Plays one game, any number of positions at once, and never explores. All that a match knows of who plays."""

    name: str

    def choose(self, positions: Positions, rng: np.random.Generator) -> Array:
        """Actions [n] int64 for whoever is to move in each of n >= 1 positions; none is over or up to chance."""
        ...


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
    player: Callable[[C, Game, State, str], Player] | None = None  # (config, game, state, name): plays a game
    searcher: Callable[[C, Game, State, str, int], Player] | None = None  # the same with so many simulations

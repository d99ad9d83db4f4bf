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

An algorithm is a module with `make` (learner, memory, ratio), `policy` and `actor`; its config is a frozen model in
its family's `config.py`, so that configs are checked without loading torch. `registry.py` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from envs.api import Array, GameSpec, Positions, Spec, Step

if TYPE_CHECKING:
    import torch

Carry = Any  # what a policy remembers from step to step: None, or a NamedTuple of arrays [B, ...]
State = dict[str, Any]  # nested: dicts with string keys; arrays, numbers, strings, None and lists at the leaves


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


class Actor(Protocol):
    """A policy and its world."""

    def load(self, weights: Array, version: int) -> None: ...

    def collect(self) -> Experience: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...

    def close(self) -> None: ...


class Memory(Protocol):
    def add(self, experience: Experience) -> None: ...

    def sample(self) -> Sample: ...

    def update(self, sample: Sample, priority: torch.Tensor | None) -> None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Learner(Protocol):
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

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Fleet(Protocol):
    """The actors of a run, wherever they live."""

    def publish(self, weights: Array, version: int) -> None: ...

    def collect(self) -> list[Experience]: ...

    def metrics(self) -> Mapping[str, float]: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...

    def close(self) -> None: ...


class Ratio(Protocol):
    """Samples per insert: how many updates are due now that so many steps were made?"""

    def due(self, steps: int) -> int: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Evaluation(Protocol):
    """How far a learner has come, by measurements that learning does not disturb."""

    @property
    def spec(self) -> Spec | GameSpec:
        """Of the world that is learned."""
        ...

    def __call__(self, weights: Array, steps: int) -> Mapping[str, float]: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Parts(NamedTuple):
    """What an algorithm's `make` returns. Actors are made by its `actor`, which a remote process calls by itself."""

    learner: Learner
    memory: Memory
    ratio: Ratio


class Solver(Protocol):
    """Solves a game by iterations, without actors. A module with `make(config, seeds) -> Solver`."""

    def iterate(self, n: int) -> None:
        """n more iterations. n calls of 1 give the same as 1 call of n."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """What is known without effort."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """How far the policy is from equilibrium."""
        ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Player(Protocol):
    """Plays one game, any number of positions at once, and never explores. All that a match knows of who plays.

    A module of a game's algorithm has `player(config, game, state, name)`, made of a checkpoint's state.
    """

    name: str

    def choose(self, positions: Positions, rng: np.random.Generator) -> Array:
        """Actions [n] int64 for whoever is to move in each of n >= 1 positions; none is over or up to chance."""
        ...

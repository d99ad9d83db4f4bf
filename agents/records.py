"""What travels through a run, as NamedTuples of arrays: what was acted, what was lived through, what is learned from.

    acted = policy.act(carry, step, rng, explore=True)      # Acted
    unroll, episodes = rollout.collect(128)                 # Unroll: 128 steps of every row, side by side
    both = concatenate(unroll, rollout.collect(128)[0])     # 256 steps
    late = drop(both, 128)                                  # the second half again
    wide = side_by_side([unroll, other])                    # rows of several actors as if they were one's

The axes of an Unroll are known here alone (`AXES`): whoever adds a field says once how it is joined and cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from envs.api import Array
from experiment.course import State

Carry = Mapping[str, Array]  # what a policy remembers from step to step, each [B, ...]
NOTHING: Mapping[str, Array] = {}


def forgets(n: int) -> Carry:
    """What is remembered by who remembers nothing."""
    return NOTHING


class Acted(NamedTuple):
    """What a policy says about B rows."""

    carry: Carry  # for the next step
    action: Array  # [B] or [B, D]
    extras: Mapping[str, Array]  # [B, ...] to be kept beside the action, such as log_prob; empty when not exploring


class Transition(NamedTuple):
    """n rows for learning from memory. `reward` sums k <= n steps; `discount` = gamma**k * (not terminated)."""

    obs: Array  # [n, *obs]
    action: Array  # [n], [n, D]
    reward: Array  # [n] float32, sum of gamma**i * r over k steps
    discount: Array  # [n] float32
    next_obs: Array  # [n, *obs] the true observation k steps later, never one of the next episode
    next_mask: Array | None  # [n, A] bool
    mask: Array | None = None  # [n, A] bool, what was legal at obs


class Unroll(NamedTuple):
    """T consecutive steps of B rows. Observations are raw: normalization is a layer of the network."""

    obs: Array  # [T + 1, B, *obs]; obs[t + 1] belongs to the next episode where the row ended at t
    mask: Array | None  # [T + 1, B, A] bool
    first: Array  # [T + 1, B] bool, obs[t] opens an episode: what was remembered before it doesn't count
    action: Array  # [T, B] or [T, B, D]
    reward: Array  # [T, B] float32
    terminated: Array  # [T, B] bool
    truncated: Array  # [T, B] bool, never together with terminated
    final_obs: Array  # [K, *obs] the last observation of each episode that ended, in the order of final_at
    final_at: Array  # [K] int64, t * B + b of the step that ended it, ascending
    final_mask: Array | None = None  # [K, A] bool, what would have been legal at final_obs; None where mask is
    turn: Array | None = None  # [T, B] float32, +1 where the same seat moves next, -1 where its opponent does
    extras: Mapping[str, Array] = NOTHING  # [T, B, ...] what the policy said beside its actions, such as log_prob
    carry: Carry = NOTHING  # [B, ...] what it remembered at t = 0; with two seats [B, P, ...]

    def cut(self) -> tuple[Array, Array]:
        """Of each truncated step t * B + b, and the true observation behind it [C, *obs]: what is bootstrapped from."""
        cut = self.truncated.reshape(-1)[self.final_at]
        return self.final_at[cut], self.final_obs[cut]

    def discount(self, gamma: float) -> Array:
        """What each step discounts by [T, B] float64, ends not counted. Where two seats play for opposite rewards each
        step is seen by who moves: what comes after the opponent's move is worth the opposite."""
        return np.full(self.reward.shape, gamma) if self.turn is None else gamma * self.turn.astype(np.float64)


class Lived(NamedTuple):
    """n steps, each by itself: what a reward is judged by."""

    obs: Array  # [n, *obs]
    action: Array  # [n] or [n, D]
    reward: Array  # [n] float32
    next_obs: Array  # [n, *obs] true, also where the episode ended
    terminated: Array  # [n] bool


class Episodes(NamedTuple):
    """The episodes that ended during a collection, in order: undiscounted returns and lengths."""

    returns: list[float]
    lengths: list[int]


class Experience(NamedTuple):
    """What an actor brings home."""

    rows: Any  # a NamedTuple of arrays: Unroll, Moves, ...
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


def arrays(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    """Every array in a record by its name, such as `Unroll.rows.extras.log_prob`; what is no array is left out."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from arrays(f"{name}.{key}", part)
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        yield from arrays(name, value._asdict())


# Axes ----------------------------------------------------------------------------------------------------------------

EDGES, STEPS, ROWS, ENDS = "T + 1, B", "T, B", "B", "K"  # of what is joined and cut alike
AXES = {
    "obs": EDGES, "mask": EDGES, "first": EDGES, "action": STEPS, "reward": STEPS, "terminated": STEPS,
    "truncated": STEPS, "turn": STEPS, "extras": STEPS, "carry": ROWS, "final_obs": ENDS, "final_at": ENDS,
    "final_mask": ENDS,
}  # fmt: skip


def mapped(change: Callable[..., Array], *values: Any) -> Any:
    """`change` of arrays, of every array of mappings with the same keys, or None of None."""
    if values[0] is None:
        return None
    if isinstance(values[0], Mapping):
        return {name: change(*(value[name] for value in values)) for name in values[0]}
    return change(*values)


def each(change: Callable[..., Any], *unrolls: Unroll) -> Unroll:
    """An Unroll of what `change(axes, field, field, ...)` makes of each field of some others."""
    return Unroll(**{name: change(AXES[name], *fields) for name, fields in zip(Unroll._fields, zip(*unrolls))})


def concatenate(earlier: Unroll, later: Unroll) -> Unroll:
    """Two unrolls of the same rows, one after the other; where the first closes the second opens."""
    later = later._replace(final_at=later.final_at + earlier.reward.size)

    def join(axes: str, a: Any, b: Any) -> Any:
        if axes == ROWS:
            return a
        return mapped(lambda a, b: np.concatenate([a[:-1] if axes == EDGES else a, b]), a, b)

    return each(join, earlier, later)


def drop(unroll: Unroll, steps: int) -> Unroll:
    """The unroll without its first `steps` steps. What was remembered later than at its beginning is not known."""
    offset = steps * unroll.reward.shape[1]
    kept = unroll.final_at >= offset

    def cut(axes: str, a: Any) -> Any:
        if axes == ROWS:
            return {} if steps else a
        return mapped(lambda a: a[kept] if axes == ENDS else a[steps:], a)

    left = each(cut, unroll)
    return left._replace(final_at=left.final_at - offset)


def head(unroll: Unroll, steps: int) -> Unroll:
    """The first `steps` steps of an unroll."""
    kept = unroll.final_at < steps * unroll.reward.shape[1]
    until = {EDGES: steps + 1, STEPS: steps, ROWS: None}

    def cut(axes: str, a: Any) -> Any:
        return mapped(lambda a: a[kept] if axes == ENDS else a[: until[axes]], a)

    return each(cut, unroll)


def in_turn(unrolls: Sequence[Unroll]) -> Unroll:
    """Unrolls of whole episodes one after the other, as if the same rows had made them all."""
    return reduce(concatenate, unrolls)


def side_by_side(unrolls: Sequence[Unroll]) -> Unroll:
    """Unrolls of T steps joined along their rows; `final_at` is renumbered for, and ascends in, the wider result."""
    if len(unrolls) == 1:
        return unrolls[0]
    lengths = [len(unroll.reward) for unroll in unrolls]
    if len(set(lengths)) > 1:
        raise ValueError(f"unrolls of different lengths can't be joined: {lengths} steps")
    widths = [unroll.reward.shape[1] for unroll in unrolls]
    offsets = np.concatenate([[0], np.cumsum(widths)])
    renumbered = [
        unroll._replace(final_at=unroll.final_at // width * offsets[-1] + offset + unroll.final_at % width)
        for unroll, width, offset in zip(unrolls, widths, offsets[:-1], strict=True)
    ]
    order = np.argsort(np.concatenate([unroll.final_at for unroll in renumbered]))

    def join(axes: str, *fields: Any) -> Any:
        joined = mapped(lambda *parts: np.concatenate(parts, axis=1 if axes in (EDGES, STEPS) else 0), *fields)
        return mapped(lambda a: a[order], joined) if axes == ENDS else joined

    return each(join, *renumbered)


def lived(unroll: Unroll) -> Lived:
    """The T * B steps of an unroll: step (t, b) at t * B + b."""
    next_obs = unroll.obs[1:].reshape(unroll.reward.size, *unroll.obs.shape[2:]).copy()
    next_obs[unroll.final_at] = unroll.final_obs

    def flat(array: Array) -> Array:
        return array.reshape(unroll.reward.size, *array.shape[2:])

    return Lived(flat(unroll.obs[:-1]), flat(unroll.action), flat(unroll.reward), next_obs, flat(unroll.terminated))


def state_of(unroll: Unroll) -> State:
    """As a nested state without what is None, for a checkpoint."""
    return {name: mapped(np.copy, field) for name, field in unroll._asdict().items() if field is not None}


def from_state(state: State) -> Unroll:
    fields: dict[str, Any] = {name: state.get(name) for name in Unroll._fields}
    return Unroll(**fields)


# Faults --------------------------------------------------------------------------------------------------------------

DTYPES = {  # where one is certain
    "mask": "bool", "first": "bool", "terminated": "bool", "truncated": "bool", "final_mask": "bool",
    "reward": "float32", "turn": "float32", "final_at": "int64",
}  # fmt: skip
MAY_LACK = ("mask", "final_mask", "turn")


def faults(unroll: Unroll) -> list[str]:
    """What shows that nobody lived through an unroll, for one that comes from elsewhere: shapes and types that don't
    agree, and where they do, what its fields say of each other. Empty if there is nothing."""
    return list(_malformed(unroll)) or list(_contradictions(unroll))


def _malformed(unroll: Unroll) -> Iterator[str]:
    named = dict(_arrays(unroll))
    absent = [name for name, array in named.items() if not isinstance(array, np.ndarray)]
    if absent or named["reward"].ndim != 2 or not named["reward"].size or named["final_at"].ndim != 1:
        yield f"{', '.join(absent) or 'reward or final_at'} can't be read as steps"
        return
    steps, rows = unroll.reward.shape
    lengths = {EDGES: (steps + 1, rows), STEPS: (steps, rows), ROWS: (rows,), ENDS: unroll.final_at.shape}
    for name, array in named.items():
        field = name.partition(".")[0]
        front, dtype = lengths[AXES[field]], DTYPES.get(field, array.dtype.name)
        if array.shape[: len(front)] != front or array.dtype != dtype:
            yield f"{name} is {array.dtype} {list(array.shape)}, expected {dtype} [{AXES[field]}, ...] = {list(front)}"


def _arrays(unroll: Unroll) -> Iterator[tuple[str, Any]]:
    """Every array by its name, those of mappings as `extras.log_prob`; without what may be None."""
    for name, field in unroll._asdict().items():
        if name in ("extras", "carry"):
            parts = field if isinstance(field, Mapping) else {"?": None}
            yield from ((f"{name}.{key}", array) for key, array in parts.items())
        elif field is not None or name not in MAY_LACK:
            yield name, field


def _contradictions(unroll: Unroll) -> Iterator[str]:
    ended = unroll.terminated | unroll.truncated
    if (unroll.terminated & unroll.truncated).any():
        yield "a step is both terminated and truncated"
    if not np.array_equal(unroll.final_at, np.flatnonzero(ended)):
        yield "final_at is not where episodes end"
    if not np.array_equal(unroll.first[1:], ended):
        yield "episodes don't begin where the ones before them end"
    if not np.isfinite(unroll.reward).all():
        yield "a reward is not finite"
    for name, shown, final in (("obs", unroll.obs, unroll.final_obs), ("mask", unroll.mask, unroll.final_mask)):
        if _kind(shown, 2) != _kind(final, 1):
            yield f"final_{name} is not of the kind of {name}"


def _kind(array: Array | None, axes: int) -> tuple[Any, ...]:
    """Type and shape of what lies behind the first axes."""
    return () if array is None else (array.dtype, array.shape[axes:])

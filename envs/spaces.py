"""What Gymnasium's spaces become here: observations are one array per row, actions one of three kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete


class UnsupportedEnv(ValueError):
    """The environment that was asked for cannot be made; the message says why and what to do."""


class Observation(NamedTuple):
    """How one row's observation is written into its row of the batch."""

    shape: tuple[int, ...]
    dtype: str  # "float32" or "uint8"
    write: Callable[[Array, Any], None] | None  # (row of the batch, what the world showed); None: plain assignment
    key: str | None  # where the observation lies in a Dict that also carries "action_mask"


class Choice(NamedTuple):
    """How a batch of actions becomes what each row's world is given."""

    actions: Actions
    rows: Callable[[Array], Any]  # legal batch -> one action per row


def observation(space: spaces.Space[Any], name: str) -> Observation:
    """The encoding of `space`: Box as it is, Discrete and MultiDiscrete one-hot, MultiBinary as 0 and 1.

    Raises UnsupportedEnv for any other space.
    """
    if isinstance(space, spaces.Dict):
        keys = [key for key in ("observation", "obs") if key in space.spaces]
        if len(keys) != 1 or set(space.spaces) != {keys[0], "action_mask"}:
            raise _refusal(space, name)
        return observation(space.spaces[keys[0]], name)._replace(key=keys[0])
    if isinstance(space, spaces.Box):
        image = space.dtype == np.uint8 and len(space.shape) >= 2
        return Observation(tuple(space.shape), "uint8" if image else "float32", None, None)
    if isinstance(space, spaces.MultiBinary):
        return Observation(tuple(space.shape), "float32", None, None)
    if isinstance(space, spaces.Discrete):
        return Observation((int(space.n),), "float32", _one_hot([int(space.n)], [int(space.start)]), None)
    if isinstance(space, spaces.MultiDiscrete):
        sizes = np.asarray(space.nvec).ravel().tolist()
        return Observation((sum(sizes),), "float32", _one_hot(sizes, np.asarray(space.start).ravel().tolist()), None)
    raise _refusal(space, name)


def choice(space: spaces.Space[Any], name: str) -> Choice:
    """The kind of action of `space` and the translation to it. Raises UnsupportedEnv if there is none."""
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        if start == 0:
            return Choice(Discrete(int(space.n)), lambda batch: batch.tolist())
        return Choice(Discrete(int(space.n)), lambda batch: (batch + start).tolist())
    if isinstance(space, spaces.MultiDiscrete):
        shape, dtype, offset = space.shape, space.dtype, np.asarray(space.start).ravel()
        sizes = tuple(np.asarray(space.nvec).ravel().tolist())
        return Choice(MultiDiscrete(sizes), lambda batch: (batch + offset).astype(dtype).reshape(len(batch), *shape))
    if isinstance(space, spaces.MultiBinary):
        bits = space.shape
        return Choice(
            MultiDiscrete((2,) * int(np.prod(bits))), lambda batch: batch.astype(np.int8).reshape(len(batch), *bits)
        )
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        box, kind = space.shape, space.dtype
        low, high = np.ravel(space.low).tolist(), np.ravel(space.high).tolist()
        least, most = np.array(low, kind), np.array(high, kind)
        # clip makes a new array: a world may keep what it is given
        return Choice(
            Continuous(tuple(low), tuple(high)),
            lambda batch: np.clip(batch.astype(kind, copy=False), least, most).reshape(len(batch), *box),
        )
    raise UnsupportedEnv(
        f"{name}: actions {space} are not supported (Discrete, MultiDiscrete, MultiBinary and floating-point Box are); "
        "register a wrapped version with such actions, for example through gymnasium.wrappers.TransformAction"
    )


def mask_width(actions: Actions) -> int:
    """The number of entries of a mask: n, or the sum of the sizes. 0 for continuous actions, which have none."""
    if isinstance(actions, Discrete):
        return actions.n
    return sum(actions.sizes) if isinstance(actions, MultiDiscrete) else 0


def mask_row(mask: Any, width: int) -> Array:
    """A world's own mask, [width]: an array, or a tuple of one array per choice as MultiDiscrete.sample takes it.

    Raises ValueError if it is absent or of another width.
    """
    flat = np.concatenate([np.ravel(part) for part in mask]) if isinstance(mask, tuple) else np.ravel(mask)
    if mask is None or len(flat) != width:
        raise ValueError(f"action_mask is {mask}, not {width} entries as in the first reset")
    return flat


def shows_mask(shown: Any, more: Mapping[str, Any], encoding: Observation) -> Any:
    """The legal actions that a world shows in its observation or beside it, else None."""
    return more.get("action_mask") if encoding.key is None else shown["action_mask"]


def _one_hot(sizes: list[int], starts: list[int]) -> Callable[[Array, Any], None]:
    offsets = np.cumsum([0, *sizes[:-1]])
    size, start = np.asarray(sizes), np.asarray(starts)

    def write(row: Array, value: Any) -> None:
        place = np.ravel(value) - start
        if place.shape != size.shape or (place < 0).any() or (place >= size).any():
            raise ValueError(f"observation {value} is outside its space: sizes {sizes} from {starts}")
        row[...] = 0
        row[place + offsets] = 1

    return write


def _refusal(space: spaces.Space[Any], name: str) -> UnsupportedEnv:
    return UnsupportedEnv(
        f"{name}: observations {space} are not supported (Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of "
        "exactly 'observation' and 'action_mask' are); register a version wrapped in "
        "gymnasium.wrappers.FlattenObservation in Python and use its id"
    )

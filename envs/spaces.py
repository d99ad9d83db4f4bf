"""What Gymnasium's spaces become here: observations are one array per row, actions one of three kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete
from envs.shown import LARGEST, Unfit, indices, numbers

MOST = 1_000_000  # entries of a one-hot observation, or actions of one choice: a network has weights for each

Fill = Callable[[Array, Any], None]  # (entries of one row, what the world showed)


class UnsupportedEnv(ValueError):
    """The environment that was asked for cannot be made; the message says why and what to do."""


class Observation(NamedTuple):
    """How what a world shows is written into its row of a batch. Whatever does not fit its space raises Unfit."""

    shape: tuple[int, ...]
    dtype: str  # "float32" or "uint8"
    write: Callable[[Array, int, Any], None]  # (batch [B, *shape], row, what the world showed)
    masked: bool = False  # a Dict that carries "action_mask" too


class Choice(NamedTuple):
    """How a batch of actions becomes what each row's world is given."""

    actions: Actions
    rows: Callable[[Array], Any]  # legal batch -> one action per row


def observation(space: spaces.Space[Any], name: str) -> Observation:
    """The encoding of `space`: Box and MultiBinary as they are, everything else as Gymnasium's `flatten` has it.

    So Discrete and MultiDiscrete are one-hot, and the parts of a Tuple or Dict lie one after the other. A uint8
    Box of two axes or more is a picture: it stays uint8, and its channels come first, as torch has them. "action_mask"
    in a Dict is no part of the observation. Raises UnsupportedEnv for a space of no fixed size, or of too large a one.
    """
    if isinstance(space, spaces.Dict) and "action_mask" in space.spaces:
        return _beside_a_mask(space, name)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return _as_it_is(space)
    width, fill = _flat(space, name)

    def write(batch: Array, row: int, shown: Any) -> None:
        fill(batch[row], shown)

    return Observation((width,), "float32", write)


def _beside_a_mask(space: spaces.Dict, name: str) -> Observation:
    """A Dict whose other keys are the observation: a single one that is named so by itself, else all of them."""
    rest = {key: part for key, part in space.spaces.items() if key != "action_mask"}
    key = next(iter(rest)) if len(rest) == 1 and not {"observation", "obs"}.isdisjoint(rest) else None
    inner = observation(spaces.Dict(rest) if key is None else rest[key], name)

    def write(batch: Array, row: int, shown: Any) -> None:
        inner.write(batch, row, {name: shown[name] for name in shown if name in rest} if key is None else shown[key])

    return inner._replace(write=write, masked=True)


def _as_it_is(space: spaces.Box | spaces.MultiBinary) -> Observation:
    shape, own = tuple(space.shape), np.dtype(space.dtype)
    dtype = "uint8" if own == np.uint8 and len(shape) >= 2 else "float32"
    turned = dtype == "uint8" and len(shape) == 3 and shape[2] in (1, 3, 4) and shape[0] > 4

    def write(batch: Array, row: int, shown: Any) -> None:
        if getattr(shown, "dtype", None) is not own or shown.shape != shape:
            shown = numbers(shown, shape, dtype)
        batch[row] = shown

    def write_turned(batch: Array, row: int, shown: Any) -> None:
        batch[row] = numbers(shown, shape, dtype).transpose(2, 0, 1)

    if turned:
        return Observation((shape[2], *shape[:2]), dtype, write_turned)
    return Observation(shape or (1,), dtype, write)


def _flat(space: spaces.Space[Any], name: str) -> tuple[int, Fill]:
    """The number of entries of `space`, and what fills them."""
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return _numeric(tuple(space.shape))
    if isinstance(space, spaces.Discrete):
        return _one_hot([int(space.n)], [int(space.start)], name)
    if isinstance(space, spaces.MultiDiscrete):
        return _one_hot(np.ravel(space.nvec).tolist(), np.ravel(space.start).tolist(), name)
    if isinstance(space, spaces.Tuple):
        return _parts(dict(enumerate(space.spaces)), name)
    if isinstance(space, spaces.Dict):
        return _parts(space.spaces, name)
    if isinstance(space, spaces.Text | spaces.OneOf):
        return _by_gymnasium(space)
    raise UnsupportedEnv(
        f"{name}: observations {space} have no fixed size, which networks want: register a version of it in Python, "
        "wrapped in a gymnasium.ObservationWrapper that makes a Box of them, and use its id"
    )


def _numeric(shape: tuple[int, ...]) -> tuple[int, Fill]:
    def fill(row: Array, shown: Any) -> None:
        row[...] = numbers(shown, shape, "float32").ravel()

    return prod(shape), fill


def _one_hot(sizes: list[int], starts: list[int], name: str) -> tuple[int, Fill]:
    if sum(sizes) > MOST:
        raise UnsupportedEnv(
            f"{name}: its observations would be one-hot vectors of {sum(sizes):,} entries, more than {MOST:,}: "
            "register a version of it in Python, wrapped in a gymnasium.ObservationWrapper that shows less"
        )
    offsets = np.cumsum([0, *sizes[:-1]])
    size, start = np.asarray(sizes), np.asarray(starts)

    def fill(row: Array, shown: Any) -> None:
        place = indices(shown, size, start)
        row[...] = 0
        row[place + offsets] = 1

    return sum(sizes), fill


def _parts(inner: Mapping[Any, spaces.Space[Any]], name: str) -> tuple[int, Fill]:
    """The parts of a Tuple, by number, or of a Dict, by key."""
    flat = {key: _flat(part, name) for key, part in inner.items()}
    edges = np.cumsum([0, *(width for width, _ in flat.values())]).tolist()

    def fill(row: Array, shown: Any) -> None:
        found = shown if isinstance(shown, Mapping) else dict(enumerate(shown))
        if found.keys() != flat.keys():
            raise Unfit(f"the observation has the parts {list(found)}, its space {list(flat)}")
        for (key, (_, fill_part)), start, end in zip(flat.items(), edges, edges[1:]):
            fill_part(row[start:end], found[key])

    return edges[-1], fill


def _by_gymnasium(space: spaces.Text | spaces.OneOf) -> tuple[int, Fill]:
    def fill(row: Array, shown: Any) -> None:
        if not space.contains(shown):
            raise Unfit(f"the observation is {shown!r}, which is outside its space {space}")
        row[...] = spaces.flatten(space, shown)

    return spaces.flatdim(space), fill


def choice(space: spaces.Space[Any], name: str) -> Choice:
    """The kind of action of `space` and the translation to it. Raises UnsupportedEnv if there is none."""
    if isinstance(space, spaces.Discrete):
        if space.n > MOST:
            raise UnsupportedEnv(
                f"{name}: there are {int(space.n):,} actions, more than {MOST:,}: no network has so many"
            )
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
        low = np.where(space.low <= -LARGEST, -np.inf, space.low).ravel().tolist()  # the largest number there is means
        high = np.where(space.high >= LARGEST, np.inf, space.high).ravel().tolist()  # that there is no bound
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

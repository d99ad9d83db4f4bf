"""What a world may show and pay: every value is looked at as it will be used, at resets and at steps alike.

What does not fit is Unfit, whose message says what was found and what was expected. Nothing is cut, rounded to another
kind of number, or stretched to a shape in silence; that real numbers are rounded to float32 is how networks take them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.api import Array

LARGEST = float(np.finfo(np.float32).max)  # of the rewards that float32 holds


class Unfit(ValueError):
    """A world showed, paid or said what it may not."""


def numbers(shown: Any, shape: tuple[int, ...], dtype: str) -> Array:
    """An observation of this shape, ready to be written as `dtype`: "float32", or "uint8" for values that it holds."""
    array = _array(shown)
    if array is None or array.dtype.kind not in "biuf":
        raise Unfit(f"the observation is {_brief(shown)}, expected real numbers")
    if array.shape != shape:
        raise Unfit(f"the observation has the shape {list(array.shape)}, not {list(shape)} as its space says")
    if dtype == "uint8" and array.dtype != np.uint8:
        lost = (array < 0) | (array > 255) | (array != np.floor(array))
        if lost.any():
            raise Unfit(f"the observation is {array.dtype} and holds {array[lost][0]}, but its space says uint8")
    return array


def indices(shown: Any, sizes: Array, starts: Array) -> Array:
    """A choice of each of `sizes`, counted from 0, of an observation that counts from `starts`."""
    array = _array(shown)
    if array is not None and array.size == sizes.size and array.dtype.kind in "biu":
        place: Array = array.ravel().astype(np.int64) - starts
        if ((place >= 0) & (place < sizes)).all():
            return place
    raise Unfit(
        f"the observation is {_brief(shown)}, which is outside its space: sizes {sizes.tolist()} from {starts.tolist()}"
    )


def amount(paid: Any) -> float:
    """A reward."""
    array = _array(paid)
    if array is None or array.shape or array.dtype.kind not in "biuf":
        raise Unfit(f"the reward is {_brief(paid)}, expected one real number, such as float(reward)")
    reward = float(array)
    if not abs(reward) <= LARGEST:
        raise Unfit(f"the reward is {reward}" + (", which is too large for float32" if np.isfinite(reward) else ""))
    return reward


def flag(said: Any, name: str) -> bool:
    """Whether an episode is `name`: terminated or truncated."""
    if isinstance(said, bool | np.bool):
        return bool(said)
    array = _array(said)
    if array is None or array.shape or array.dtype.kind not in "iuf" or array not in (0, 1):
        raise Unfit(f"{name} is {_brief(said)}, expected True or False")
    return bool(array)


def mask_row(mask: Any, width: int) -> Array:
    """Legal actions, bool [width]; a mask is an array, or one for each choice as MultiDiscrete.sample takes it."""
    flat = _array(np.concatenate([np.ravel(part) for part in mask]) if isinstance(mask, tuple) else mask)
    if flat is None or flat.size != width:
        raise Unfit(f"action_mask is {_brief(mask)}, not {width} entries as in the first reset")
    flat = flat.ravel()
    if flat.dtype.kind != "b" and not (flat.dtype.kind in "iuf" and ((flat == 0) | (flat == 1)).all()):
        raise Unfit(f"action_mask is {_brief(mask)}, expected 1 for each legal action and 0 for the others")
    return flat.astype(bool)


def _array(value: Any) -> Array | None:
    """As numpy sees it; None where it sees no array, such as in lists of different lengths."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return None


def _brief(value: Any) -> str:
    """As Python writes it, with the shape of an array, on one line of at most 80 characters."""
    text = " ".join(repr(value).split())
    text = text if len(text) <= 80 else text[:77] + "..."
    return f"{text} of shape {list(value.shape)}" if getattr(value, "shape", ()) else text

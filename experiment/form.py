"""Whether a state has the form of another: the same names, kinds of values, dtypes and axes, whatever the numbers.

    take_over(course, saved)

So one look tells what no loader of a part need ask: whether a file that is well-formed holds what its reader expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from experiment.course import Stateful


def take_over(part: Stateful, state: Mapping[str, Any]) -> None:
    """Load a state into what was just made. Raises ValueError where it is not of the form of what it has now."""
    require_form(state, part.state_dict())
    part.load_state_dict(dict(state))


def require_form(state: Any, form: Any, path: str = "state") -> None:
    """Raise ValueError, with the path, where `state` is not of the form of `form`.

    What `form` has no name for, or None, is not known yet; a list without items is one of numbers. The first axis of an
    array and the length of a list may be others, since memories grow.
    """
    if form is None:
        return
    if isinstance(form, Mapping):
        _require(isinstance(state, Mapping), state, path, "names with values")
        if missing := form.keys() - state.keys():
            raise ValueError(f"{path} lacks {', '.join(sorted(missing))}, and has {', '.join(sorted(state))}")
        for name, part in state.items():
            require_form(part, form.get(name), f"{path}/{name}")
    elif isinstance(form, list | tuple):
        _require(isinstance(state, list | tuple), state, path, "a list")
        whole = len(form) == len(state)
        for index, part in enumerate(state):
            _require(bool(form) or not isinstance(part, str), part, f"{path}/{index}", "a number")
            require_form(part, form[index] if whole else form[0] if form else None, f"{path}/{index}")
    elif isinstance(form, np.ndarray | np.generic) and not isinstance(form, float):
        alike = isinstance(state, np.ndarray | np.generic) and state.dtype == form.dtype and state.ndim == form.ndim
        rest = form.shape[1:]
        _require(alike and (not form.size or state.shape[1:] == rest), state, path, _axes(np.asarray(form)))
    else:
        kind = float if isinstance(form, float) else type(form)
        _require(type(state) is kind, state, path, kind.__name__)


def _require(holds: bool, state: Any, path: str, expected: str) -> None:
    if not holds:
        found = _axes(state) if isinstance(state, np.ndarray) else f"{type(state).__name__} {state!r:.40}"
        raise ValueError(f"{path} is {found}, expected {expected}")


def _axes(array: Any) -> str:
    return f"{array.dtype} {list(array.shape)}"

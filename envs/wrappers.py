"""Gymnasium's own wrappers by name, as a config asks for them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium

from envs.spaces import UnsupportedEnv

REFUSED = {  # what a run could not go on from, or has in another way
    "NormalizeObservation": "its statistics are of all episodes, and aren't saved: set normalize.observations=true",
    "NormalizeReward": "its statistics are of all episodes, and aren't saved: set normalize.rewards=true, where it is",
    "Autoreset": "rows that end restart by themselves: leave it out",
    **dict.fromkeys(
        ("TransformAction", "TransformObservation", "TransformReward"),
        "it wants a function, which no config holds: register a wrapped version in a module that you --import",
    ),
}


def wrapped(world: Any, asked: Sequence[Mapping[str, Any]], id: str) -> Any:
    """The environment in these wrappers, the first one innermost: each a mapping of its `name` and its arguments, in
    which lists stand for tuples. Raises UnsupportedEnv where there is none of that name, or it can't be made so."""
    for options in asked:
        name, arguments = str(options.get("name")), {key: options[key] for key in options if key != "name"}
        make = _wrapper(name, id)
        try:
            world = make(world, **{key: _untied(value) for key, value in arguments.items()})
        except (Exception, SystemExit) as error:
            wanted = list(inspect.signature(make).parameters)[1:]
            raise UnsupportedEnv(
                f"{id}: wrapper {name} can't be made with {arguments}: {type(error).__name__}: {error}; "
                f"its arguments are {', '.join(wanted) or 'none'}"
            ) from error
    return world


def _wrapper(name: str, id: str) -> type[gymnasium.Wrapper[Any, Any, Any, Any]]:
    if name in REFUSED:
        raise UnsupportedEnv(f"{id}: wrapper {name} is refused: {REFUSED[name]}")
    known = [each for each in gymnasium.wrappers.__all__ if each[0].isupper() and each not in REFUSED]
    if name not in known:
        near = difflib.get_close_matches(name, known, 3, 0.6) or known
        raise UnsupportedEnv(f"{id}: Gymnasium has no wrapper {name!r}; there is {', '.join(near)}")
    try:
        found: type[gymnasium.Wrapper[Any, Any, Any, Any]] = getattr(gymnasium.wrappers, name)
    except Exception as error:  # those for other arrays than numpy's need packages of their own
        raise UnsupportedEnv(f"{id}: wrapper {name} can't be loaded: {error}") from error
    return found


def _untied(value: Any) -> Any:
    return tuple(map(_untied, value)) if isinstance(value, list) else value

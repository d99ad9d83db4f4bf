"""The state of what is made of parts.

STATE = ("trained", "normalizer", "rng", "updates")
def state_dict(self) -> State:
    return state_of(self, STATE)
def load_state_dict(self, state: State) -> None:
    restore(self, STATE, state)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from agents.api import State


def state_of(owner: Any, names: Iterable[str]) -> State:
    """What these attributes need to go on: generators, what has a `state_dict`, arrays and plain values."""
    return {name: _saved(getattr(owner, name)) for name in names}


def restore(owner: Any, names: Iterable[str], state: State) -> None:
    """Give them back what `state_of` took. Raises ValueError where the state is of other parts than these."""
    names = tuple(names)
    if state.keys() != set(names):
        raise ValueError(
            f"a state of {', '.join(sorted(state))} was saved by another version of {type(owner).__module__}, which "
            f"now consists of {', '.join(sorted(names))}: go on with the version that saved it"
        )
    for name in names:
        part = getattr(owner, name)
        if isinstance(part, np.random.Generator):
            part.bit_generator.state = state[name]
        elif hasattr(part, "load_state_dict"):
            part.load_state_dict(state[name])
        else:
            setattr(owner, name, state[name])


def _saved(part: Any) -> Any:
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    if isinstance(part, np.ndarray):
        return part.copy()
    return part.state_dict() if hasattr(part, "state_dict") else part

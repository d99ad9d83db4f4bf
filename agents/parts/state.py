"""The state of what is made of parts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from agents.api import State


class Assembled:
    """Its state is that of the attributes that STATE names: generators, what has a `state_dict`, arrays, plain values.

    class Learner(Assembled):
        STATE = ("trained", "normalizer", "rng", "updates")
    """

    STATE: ClassVar[tuple[str, ...]]

    def state_dict(self) -> State:
        return {name: _saved(getattr(self, name)) for name in self.STATE}

    def load_state_dict(self, state: State) -> None:
        """Take over what `state_dict` gave. Raises ValueError where the state is of other parts than these."""
        if state.keys() != set(self.STATE):
            raise ValueError(
                f"a state of {', '.join(sorted(state))} was saved by another version of {type(self).__module__}, which "
                f"now consists of {', '.join(sorted(self.STATE))}: go on with the version that saved it"
            )
        for name in self.STATE:
            part = getattr(self, name)
            if isinstance(part, np.random.Generator):
                part.bit_generator.state = state[name]
            elif hasattr(part, "load_state_dict"):
                part.load_state_dict(state[name])
            else:
                setattr(self, name, state[name])


def _saved(part: Any) -> Any:
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    if isinstance(part, np.ndarray):
        return part.copy()
    return part.state_dict() if hasattr(part, "state_dict") else part

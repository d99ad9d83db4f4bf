"""State machines: what comes next is decided by the state and the input, and each state shows an output.

    machine = latch()
    machine.run(["slow", "fast", "slow"])               # ["standing", "moving", "moving"]
    machine.mdp()                                       # as a Markov process, in which inputs are actions

s_t = f(s_{t-1}, x_t), y_t = g(s_t): what a recurrent network computes, too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from envs.tabular.mdp import MDP

Name = Hashable


@dataclass(frozen=True)
class StateMachine:
    """Raises ValueError where f or g leaves something open, or leads out of the states."""

    following: Mapping[tuple[Name, Name], Name]  # f: (state, input) -> state
    start: Name
    output: Mapping[Name, Name] | None = None  # g: state -> output; None: the state itself

    def __post_init__(self) -> None:
        states = dict.fromkeys(state for state, _ in self.following)
        inputs = dict.fromkeys(given for _, given in self.following)
        if lacking := [pair for pair in product(states, inputs) if pair not in self.following]:
            raise ValueError(f"a machine knows what follows every state and input, but not what follows {lacking[0]}")
        if strange := [state for state in (self.start, *self.following.values()) if state not in states]:
            raise ValueError(f"{strange[0]!r} is no state of the machine: it has {', '.join(map(repr, states))}")
        if self.output is not None and (silent := [state for state in states if state not in self.output]):
            raise ValueError(f"state {silent[0]!r} has no output")

    def run(self, inputs: Iterable[Name]) -> list[Name]:
        """The output after each input."""
        state, shown = self.start, []
        for given in inputs:
            state = self.following[state, given]
            shown.append(state if self.output is None else self.output[state])
        return shown

    def mdp(self) -> MDP:
        """As a Markov process without rewards, in which nothing is left to chance."""
        return MDP.of("machine", {pair: [(1.0, after, 0.0)] for pair, after in self.following.items()}, {self.start: 1})


def latch() -> StateMachine:
    """Who is standing sets off at `fast`, and keeps moving."""
    return StateMachine(
        {
            ("standing", "slow"): "standing",
            ("standing", "fast"): "moving",
            ("moving", "slow"): "moving",
            ("moving", "fast"): "moving",
        },
        "standing",
    )

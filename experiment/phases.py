"""Courses one after another, as one: each is made when its turn comes, of those that are done.

    Phases([
        Phase("fit", 1_000, lambda done: Fit(...)),
        Phase("control", 50_000, lambda done: Training(... done["fit"] ...)),
    ])

Steps are counted over all phases, each in its own unit. Metrics carry the name of their phase in front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from experiment.course import Course, State
from experiment.form import take_over

if TYPE_CHECKING:
    from experiment.metrics import Picture

Value = TypeVar("Value")
Make = Callable[[Mapping[str, Course]], Course]


class Phase(NamedTuple):
    name: str
    steps: int  # after which the next one's turn comes
    make: Make  # given the finished courses by name


class Phases:
    """A course (`experiment.course.Course`). What is finished is closed, and stays as it was."""

    unit = "steps"

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.phases = phases
        self.done: dict[str, Course] = {}
        self.now = phases[0].make(self.done)

    @property
    def phase(self) -> Phase:
        """The one under way; in the end the last one."""
        return self.phases[len(self.done)]

    @property
    def _is_last(self) -> bool:
        return len(self.done) + 1 == len(self.phases)

    @property
    def before(self) -> int:
        """Steps of the finished courses."""
        return sum(course.steps for course in self.done.values())

    @property
    def steps(self) -> int:
        return self.before + self.now.steps

    def begin(self) -> None:
        self.now.begin()

    def advance(self, until: int) -> None:
        """What is due where a phase ends is still its own: the next one is made when its first step is asked for."""
        if self.now.steps >= self.phase.steps and not self._is_last:
            self._turn()
            self.now.begin()
        until -= self.before
        self.now.advance(until if self._is_last else min(until, self.phase.steps))

    def _turn(self) -> None:
        self.now.close()
        self.done[self.phase.name] = self.now
        self.now = self.phase.make(self.done)

    def news(self) -> float | None:
        return self.now.news()

    def metrics(self) -> Mapping[str, float]:
        return self._named(self.now.metrics())

    def evaluate(self) -> Mapping[str, float | Picture | str]:
        return self._named(self.now.evaluate())

    def _named(self, metrics: Mapping[str, Value]) -> Mapping[str, Value]:
        return {f"{self.phase.name}/{name}": value for name, value in metrics.items()}

    def close(self) -> None:
        self.now.close()

    def state_dict(self) -> State:
        """The weights of the phase under way stand where those of other runs do: that is what acts."""
        states = {name: course.state_dict() for name, course in self.done.items()}
        now = self.now.state_dict()
        acting = {"weights": now.pop("weights")} if "weights" in now else {}
        return acting | {"phases": states | {self.phase.name: now}}

    def load_state_dict(self, state: State) -> None:
        states = state["phases"]
        acting = {"weights": state["weights"]} if "weights" in state else {}
        for _ in range(len(states) - 1):
            take_over(self.now, states[self.phase.name])
            self._turn()
        take_over(self.now, states[self.phase.name] | acting)

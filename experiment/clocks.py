"""When something is due: a clock is a question about the steps made.

should_save = Every(10_000)
while steps < budget:
    steps += more()
    if should_save(steps):
        save()
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Timetable(NamedTuple):
    """When a run ends, and what is due on the way: intervals in steps, 0 for at the end only."""

    budget: int
    log: int = 0
    evaluate: int = 0
    save: int = 0
    doubling: bool = False  # evaluate after 1, 2, 4, 8, ... steps too


class Every:
    """`should_log(steps)` is true when a multiple of `interval` was reached since it was last asked.

    Interval 0 never comes; with `doubling` 1, 2, 4, 8, ... come too. Several at once count as one.
    """

    def __init__(self, interval: int, doubling: bool = False) -> None:
        if interval < 0:
            raise ValueError(f"an interval is 0 (never) or more steps, not {interval}")
        self._interval, self._doubling = interval, doubling
        self._asked = 0  # the steps when it was last asked

    def __call__(self, steps: int) -> bool:
        due, self._asked = self.due(steps), steps
        return due

    def due(self, steps: int) -> bool:
        """The same, but it doesn't count as asked."""
        return any(due <= steps for due in self._next(self._asked))

    def asked(self, steps: int) -> bool:
        """Whether it was asked at so many steps."""
        return self._asked == steps

    def following(self, steps: int, otherwise: int) -> int:
        """When it is due next, after so many steps; `otherwise` where it never is."""
        return min(self._next(steps), default=otherwise)

    def _next(self, steps: int) -> list[int]:
        due = [(steps // self._interval + 1) * self._interval] if self._interval else []
        return [*due, 1 << steps.bit_length()] if self._doubling else due

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self._asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._asked = state["asked"]


class Clocks:
    """When a run writes metrics, measures itself and saves."""

    def __init__(self, timetable: Timetable) -> None:
        self.budget = timetable.budget
        self.should_log, self.should_save = Every(timetable.log), Every(timetable.save)
        self.should_evaluate = Every(timetable.evaluate, timetable.doubling)

    def must_measure(self, steps: int) -> bool:
        """Whether a measurement is due, at the end of the budget in any case, until `should_evaluate` is asked."""
        clock = self.should_evaluate
        return clock.due(steps) or (steps >= self.budget and not clock.asked(steps))

    def pause(self, steps: int) -> int:
        """The next number of steps at which something is due."""
        return min(self.budget, *(clock.following(steps, self.budget) for clock in self._clocks().values()))

    def state_dict(self) -> dict[str, Any]:
        return {name: clock.state_dict() for name, clock in self._clocks().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, clock in self._clocks().items():
            clock.load_state_dict(state[name])

    def _clocks(self) -> dict[str, Every]:
        return {"log": self.should_log, "evaluate": self.should_evaluate, "save": self.should_save}

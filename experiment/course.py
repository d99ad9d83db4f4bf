"""What goes on step by step under a run, and the one loop that drives it.

    course = ...                                            # actors with a learner, a solver, a fit, phases of these
    with closing(course), Run(directory, dump(config), resume=False) as run:
        drive(course, run, Timetable(budget=100_000, log=5_000), keep)

`keep(steps, state)` writes a checkpoint. Where a run goes on, its course has taken over the state before the run is
entered, so that a state that doesn't fit is refused before anything on the disk is touched:

    course.load_state_dict(state)
    with closing(course), Run(directory, dump(config), resume=True) as run:
        drive(course, run, timetable, keep, state)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from experiment.clocks import Clocks, Timetable
from experiment.run import Progress, Run

State = dict[str, Any]  # nested: dicts with string keys; arrays, numbers, strings, None and lists at the leaves


class Stateful(Protocol):
    """What can be saved, and can go on from what was saved as if it had never stopped."""

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Course(Stateful, Protocol):
    """What goes on under a run. Its state's keys are its own, but not "metrics" and "clocks"."""

    unit: str  # what a step is, such as "iterations"

    @property
    def steps(self) -> int:
        """Made so far."""
        ...

    def begin(self) -> None:
        """Called once before the first `advance`, after a state was loaded."""
        ...

    def advance(self, until: int) -> None:
        """At least one step. What can stop anywhere does so at `until` at the latest, everything else where it can.

        Raises Failure where it can't go on although what was learned is worth saving.
        """
        ...

    def news(self) -> float | None:
        """What a progress bar shows: the return of the last episode."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Of the steps since the last call; known without effort."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """How far it has come, by measurements that don't disturb it."""
        ...

    def close(self) -> None: ...


class Failure(RuntimeError):
    """A course can't go on. Its state is good, and is saved."""


def drive(
    course: Course, run: Run, timetable: Timetable, keep: Callable[[int, State], object], state: State | None = None
) -> None:
    """On from where the course is, until the budget is spent or a signal asks to stop; what was learned is kept.

    state: of the checkpoint that the course has loaded; None at the beginning of a run. Raises Failure, after saving.
    """
    clocks, seconds = Clocks(timetable), 0.0

    def save() -> None:
        told = {"metrics": run.metrics.state_dict(), "clocks": clocks.state_dict()}
        keep(course.steps, course.state_dict() | told)

    if state is None:
        save()  # so that whatever comes, the run can go on
    else:
        run.metrics.load_state_dict(state["metrics"])
        clocks.load_state_dict(state["clocks"])
    course.begin()
    began, first = time.perf_counter(), course.steps
    with Progress(timetable.budget, first, run.console) as progress:
        while course.steps < timetable.budget and run.stop_signal is None:
            before = time.perf_counter()
            try:
                course.advance(clocks.pause(course.steps))
            except Failure:
                save()
                raise
            seconds += time.perf_counter() - before
            steps, done = course.steps, course.steps >= timetable.budget
            if clocks.should_log(steps) or done:
                times = {
                    "time/total_timesteps": steps,
                    "time/fps": (steps - first) / max(seconds, 1e-9),
                    "time/time_elapsed": time.perf_counter() - began,
                }
                run.metrics.write(steps, times | dict(course.metrics()))
            if clocks.should_evaluate(steps) or done:
                run.metrics.write(steps, course.evaluate())
            if clocks.should_save(steps) or done:
                save()
            progress.update(steps, course.news())
    if course.steps < timetable.budget:
        save()

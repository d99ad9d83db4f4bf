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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiment.clocks import Clocks, Timetable
from experiment.metrics import was_written
from experiment.run import Failure as Failure  # which a course may raise
from experiment.run import Progress, Run
from experiment.saving import Saving
from experiment.stop import Stopped

if TYPE_CHECKING:
    from experiment.metrics import Picture

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

        Raises Failure where it can't go on although what was learned is worth saving; and where what was learned is
        not finite any more FloatingPointError(reason, batch), batch being what was learned from last, arrays by name.
        """
        ...

    def news(self) -> float | None:
        """What a progress bar shows: the return of the last episode."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Of the steps since the last call; known without effort."""
        ...

    def evaluate(self) -> Mapping[str, float | Picture | str]:
        """How far it has come, by measurements that don't disturb it, and pictures and texts to look at. Raises
        `experiment.stop.Stopped` where it is told to stop."""
        ...

    def close(self) -> None: ...


def drive(
    course: Course, run: Run, timetable: Timetable, keep: Callable[[int, State], object], state: State | None = None
) -> None:
    """On from where the course is, until the budget is spent or a signal asks to stop; what was learned is kept.

    state: of the checkpoint that the course has loaded; None at the beginning of a run. What is due is saved before it
    is measured: a run that is stopped while it measures itself does so when it goes on.

    Raises RunError where nothing can be saved, and nothing was begun; Failure where the run can't go on.
    """
    clocks = Clocks(timetable)
    if state is None:
        save = Saving(course, run, clocks, keep)
        save.begin()
    else:
        run.metrics.load_state_dict(state["metrics"])
        clocks.load_state_dict(state["clocks"])
        save = Saving(course, run, clocks, keep, course.steps)
    course.begin()
    try:
        with Progress(timetable.budget, course.steps) as progress, suppress(Stopped):
            _drive(course, run, clocks, save, progress)
        if save.steps < course.steps:
            save(last=True)
    except FloatingPointError as error:
        raise save.divergence(error) from error


def _drive(course: Course, run: Run, clocks: Clocks, save: Saving, progress: Progress) -> None:
    began, first, seconds = time.perf_counter(), course.steps, 0.0
    while run.stop_signal is None:
        if clocks.must_measure(course.steps):
            measured = course.evaluate()
            run.metrics.write(course.steps, measured)
            save.best(measured)
            clocks.should_evaluate(course.steps)
        if course.steps >= clocks.budget:
            return
        before = time.perf_counter()
        try:
            course.advance(clocks.pause(course.steps))
        except Failure as error:
            raise save.failure(error) from error
        seconds += time.perf_counter() - before
        steps, done = course.steps, course.steps >= clocks.budget
        if clocks.should_log(steps) or done:
            times = {
                "time/total_timesteps": steps,
                "time/fps": (steps - first) / max(seconds, 1e-9),
                "time/time_elapsed": time.perf_counter() - began,
            }
            run.metrics.write(steps, times | dict(course.metrics()))
        if clocks.should_save(steps) or done:
            save(last=done)
        progress.update(steps, course.news())


def require_loop(state: State) -> None:
    """Raise LookupError, TypeError or ValueError unless a state holds what `drive` adds to a course's."""
    clocks, metrics = state["clocks"], state["metrics"]
    numbers = [*(clocks[name]["asked"] for name in ("log", "evaluate", "save")), metrics["step"], metrics["offset"]]
    if not all(type(number) is int for number in numbers):
        raise ValueError(f"its metrics and clocks hold what is no whole number: {numbers}")


def is_over(directory: Path, state: State, steps: int, budget: int) -> bool:
    """Whether a run that has saved this state has nothing left to do: no step, and no measurement of the last one.

    Raises what `require_loop` does.
    """
    require_loop(state)
    measured = state["clocks"]["evaluate"]["asked"] == steps or was_written(directory, state["metrics"])
    return steps >= budget and measured

"""The one loop, on courses small enough to reckon by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from experiment.clocks import Timetable
from experiment.course import Course, Failure, State, drive, is_over
from experiment.phases import Phase, Phases
from experiment.run import Run
from experiment.stop import unless_stopped


class Counting:
    """Adds up the numbers of its steps; `stride` steps at once, wherever it was asked to stop, or 0: as asked."""

    unit = "counts"

    def __init__(self, stride: int = 0, fails_at: int = -1) -> None:
        self.stride, self.fails_at = stride, fails_at
        self.steps = self.total = self.begun = self.closed = 0

    def begin(self) -> None:
        self.begun += 1

    def advance(self, until: int) -> None:
        for _ in range(self.stride or until - self.steps):
            if self.steps == self.fails_at:
                raise Failure("no further")
            self.steps += 1
            self.total += self.steps

    def news(self) -> float | None:
        return None

    def metrics(self) -> Mapping[str, float]:
        return {"total": self.total}

    def evaluate(self) -> Mapping[str, float]:
        return {"evaluated": self.total}

    def close(self) -> None:
        self.closed += 1

    def state_dict(self) -> State:
        return {"steps": self.steps, "total": self.total}

    def load_state_dict(self, state: State) -> None:
        self.steps, self.total = state["steps"], state["total"]


class Kept:
    """Every state that was saved, by its steps."""

    def __init__(self) -> None:
        self.states: list[tuple[int, State]] = []

    def __call__(self, steps: int, state: State) -> None:
        self.states.append((steps, copy.deepcopy(state)))


def driven(
    course: Course, directory: Path, timetable: Timetable, state: State | None = None, stop_at: int | None = None
) -> tuple[Kept, list[dict[str, Any]]]:
    """A run from beginning to end, or until a signal that comes with the save at `stop_at`."""
    keep = Kept()
    with Run(directory, "", resume=state is not None, console="nothing") as run:

        def save(steps: int, now: State) -> None:
            keep(steps, now)
            if steps == stop_at:
                run.stop_signal = 15

        drive(course, run, timetable, save, state)
    file = directory / "metrics.jsonl"
    return keep, [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_what_is_due_is_done_and_nothing_else(tmp_path: Path) -> None:
    keep, lines = driven(Counting(), tmp_path, Timetable(budget=20, log=5, evaluate=8, save=10))
    assert [steps for steps, _ in keep.states] == [0, 10, 20]
    assert [(line["step"], line["total"]) for line in lines if "total" in line] == [
        (5, 15),
        (10, 55),
        (15, 120),
        (20, 210),
    ]
    assert [(line["step"], line["evaluated"]) for line in lines if "evaluated" in line] == [
        (8, 36),
        (16, 136),
        (20, 210),
    ]


def test_a_course_with_a_stride_of_its_own_is_looked_at_where_it_stops(tmp_path: Path) -> None:
    keep, lines = driven(Counting(stride=6), tmp_path, Timetable(budget=20, log=5, save=10))
    assert [steps for steps, _ in keep.states] == [0, 12, 24]
    assert [line["step"] for line in lines if "total" in line] == [6, 12, 18, 24]


def test_a_failure_is_saved_and_then_raised(tmp_path: Path) -> None:
    course = Counting(fails_at=7)
    keep = Kept()
    with (
        pytest.raises(Failure, match="no further\nwhat was learned in 7 counts is saved in "),
        Run(tmp_path, "", resume=False, console="nothing") as run,
    ):
        drive(course, run, Timetable(budget=20, log=5), keep)
    assert [(steps, state["total"]) for steps, state in keep.states] == [(0, 0), (7, 28)]


def test_a_signal_ends_the_run_after_saving(tmp_path: Path) -> None:
    keep, _ = driven(Counting(), tmp_path, Timetable(budget=20, save=5), stop_at=5)
    assert [steps for steps, _ in keep.states] == [0, 5]


class Measured(Counting):
    """A signal comes in the midst of the measurement at `stop_at`. It knows what it was measured at before."""

    def __init__(self, run: Run | None = None, stop_at: int = -1) -> None:
        super().__init__()
        self.run, self.stop_at, self.last = run, stop_at, 0

    def evaluate(self) -> Mapping[str, float]:
        if self.steps == self.stop_at and self.run is not None:
            self.run.stop_signal = 15
        unless_stopped()
        before, self.last = self.last, self.total
        return {"evaluated": self.total, "before": before}

    def state_dict(self) -> State:
        return super().state_dict() | {"last": self.last}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.last = state["last"]


@pytest.mark.parametrize(("stop_at", "saved"), [(8, [0, 8]), (16, [0, 10, 16]), (20, [0, 10, 20])])
def test_a_measurement_that_is_given_up_is_made_when_the_run_goes_on(
    stop_at: int, saved: list[int], tmp_path: Path
) -> None:
    """Whatever was due was saved before it, at the end of the run too; nothing is measured twice or elsewhere."""
    timetable = Timetable(budget=20, log=5, evaluate=8, save=10)
    _, lines = driven(Measured(), tmp_path / "straight", timetable)
    keep = Kept()
    with Run(tmp_path / "parts", "", resume=False, console="nothing") as run:
        drive(Measured(run, stop_at), run, timetable, keep)
    assert [steps for steps, _ in keep.states] == saved
    state = keep.states[-1][1]
    assert not is_over(tmp_path / "parts", state, stop_at, 20)
    course = Measured()
    course.load_state_dict(state)
    keep, more = driven(course, tmp_path / "parts", timetable, state)
    assert untimed(more) == untimed(lines)
    if stop_at < 20:
        state = keep.states[-1][1]
    assert is_over(tmp_path / "parts", state, 20, 20)
    assert not is_over(tmp_path / "parts", state, 20, 21)


# Phases --------------------------------------------------------------------------------------------------------------


class Doubled(Counting):
    """Counts on from twice what the first phase found."""

    def __init__(self, done: Mapping[str, Any]) -> None:
        super().__init__(stride=3)
        self.total = 2 * done["first"].total


def two_phases() -> Phases:
    return Phases([Phase("first", 8, lambda done: Counting()), Phase("second", 9, Doubled)])


def untimed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if not name.startswith("time/")} for line in lines]


TIMETABLE = Timetable(budget=17, log=5, evaluate=8, save=2)


def test_each_phase_is_made_of_what_those_before_it_found(tmp_path: Path) -> None:
    course = two_phases()
    _, lines = driven(course, tmp_path, TIMETABLE)
    first, second = course.done["first"], course.now
    assert isinstance(first, Counting) and isinstance(second, Doubled)
    assert (first.total, second.total) == (36, 72 + 45)
    assert (first.begun, first.closed, second.begun, second.closed) == (1, 1, 1, 0)
    told = [(line["step"], name) for line in untimed(lines) for name in line if name != "step"]
    assert told == [
        (5, "first/total"),
        (8, "first/evaluated"),
        (11, "second/total"),
        (17, "second/total"),
        (17, "second/evaluated"),
    ]


@pytest.mark.parametrize("stop_at", [0, 2, 4, 6, 8, 11, 14])
def test_phases_that_were_stopped_anywhere_end_as_if_they_had_not_been(stop_at: int, tmp_path: Path) -> None:
    straight, lines = driven(two_phases(), tmp_path / "straight", TIMETABLE)
    keep, _ = driven(two_phases(), tmp_path / "parts", TIMETABLE, stop_at=stop_at)
    state = keep.states[-1][1]
    course = two_phases()
    course.load_state_dict(state)
    resumed, more = driven(course, tmp_path / "parts", TIMETABLE, state)
    assert untimed(more) == untimed(lines)
    for name in ("phases", "clocks"):
        assert resumed.states[-1][1][name] == straight.states[-1][1][name]


def test_a_finished_phase_that_is_not_restored_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: the second phase is made of a first one that has found nothing."""
    keep, _ = driven(two_phases(), tmp_path, TIMETABLE)
    at_the_turn = next(state for steps, state in keep.states if steps == 8)
    course = two_phases()
    course.load_state_dict(at_the_turn | {"phases": {"first": {"steps": 8, "total": 0}}})
    course.advance(17)
    assert isinstance(course.now, Doubled)
    assert course.now.total != 72 + 6


def test_the_weights_of_the_phase_under_way_are_those_of_the_run() -> None:
    class Acting(Counting):
        def state_dict(self) -> State:
            return super().state_dict() | {"weights": [1, 2]}

    course = Phases([Phase("first", 1, lambda done: Counting()), Phase("second", 9, lambda done: Acting())])
    assert "weights" not in course.state_dict()
    course.advance(9)
    course.advance(9)
    state = course.state_dict()
    assert state["weights"] == [1, 2] and "weights" not in state["phases"]["second"]

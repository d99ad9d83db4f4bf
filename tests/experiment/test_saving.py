"""Runs whose numbers, disk or directory go: what is kept of them, and what they say."""

from __future__ import annotations

import errno
import shutil
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from experiment import checkpoint
from experiment.checkpoint import newest
from experiment.clocks import Clocks, Timetable
from experiment.course import Failure, drive
from experiment.run import Run, RunError
from experiment.saving import Saving
from tests.experiment.test_course import Counting

TIMETABLE = Timetable(budget=60, save=10)


def at(step: int, happens: Callable[[], Any]) -> Counting:
    """A course in whose midst something happens."""

    class Surprised(Counting):
        def advance(self, until: int) -> None:
            super().advance(until)
            if self.steps == step:
                happens()

    return Surprised()


def driven(course: Counting, directory: Path, timetable: Timetable = TIMETABLE) -> Run:
    with Run(directory, "a: 1\n", resume=False, console="nothing") as run:
        drive(course, run, timetable, partial(checkpoint.save, run.checkpoints, about={}))
    return run


def saved(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "checkpoints").iterdir())


# Numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), np.float32("nan"), np.array([0, np.inf, 1])])
def test_a_state_that_is_not_finite_is_not_saved(broken: Any, tmp_path: Path) -> None:
    class Diverging(Counting):
        def state_dict(self) -> dict[str, Any]:
            weights = broken if self.steps == 30 else np.zeros(3)
            return super().state_dict() | {"fleet": {"world": float("inf")}, "learner": {"parts": [1, weights]}}

    with pytest.raises(
        Failure, match=r"^state/learner/parts/1 is not finite after 30 counts, .*can go on from step 20"
    ):
        driven(Diverging(), tmp_path)
    assert saved(tmp_path) == ["step_000000000", "step_000000010", "step_000000020"]
    assert newest(tmp_path / "checkpoints")[1]["fleet"] == {"world": float("inf")}, (
        "what a world does is its own affair"
    )


def test_what_was_learned_from_last_is_kept_beside(tmp_path: Path) -> None:
    batch = {"obs": np.full((2, 3), np.inf, np.float32), "action": np.arange(2)}

    def diverge() -> None:
        raise FloatingPointError("the loss is nan", batch)

    with pytest.raises(Failure, match=r"^the loss is nan after 20 counts.* is in .*diverged_000000020.safetensors"):
        driven(at(20, diverge), tmp_path)
    assert saved(tmp_path) == ["step_000000000", "step_000000010"]
    found = safetensors.numpy.load_file(tmp_path / "diverged_000000020.safetensors")
    assert found.keys() == batch.keys()
    for name, array in batch.items():
        np.testing.assert_array_equal(found[name], array)


# The disk -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A disk that is full while we say so."""
    state, write = {"full": False}, checkpoint._write_file

    def attempt(path: Path, pieces: Any) -> dict[str, Any]:
        if state["full"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, pieces)

    monkeypatch.setattr(checkpoint, "_write_file", attempt)
    return state


def full(disk: dict[str, bool], steps: Mapping[int, bool]) -> Counting:
    """A course before some of whose checkpoints the disk gets full (True) or is emptied (False)."""

    class Filling(Counting):
        def advance(self, until: int) -> None:
            super().advance(until)
            disk["full"] = steps.get(self.steps, disk["full"])

    return Filling()


def test_a_run_that_cannot_save_its_beginning_leaves_nothing(tmp_path: Path, disk: dict[str, bool]) -> None:
    disk["full"] = True
    with pytest.raises(RunError, match="can't begin: .*step 0 can't be written: .*No space left"):
        driven(Counting(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_while_the_disk_is_full_now_and_then(tmp_path: Path, disk: dict[str, bool]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        driven(full(disk, {10: True, 30: False, 40: True, 60: False}), tmp_path)
    told = [str(warning.message) for warning in caught]
    assert [("step 10 can't" in a, "(1 of 3 failures" in a, "(2 of 3" in a) for a in told] == [
        (True, True, False),
        (False, False, True),
        (False, True, False),
        (False, False, True),
    ]
    assert saved(tmp_path) == ["step_000000000", "step_000000030", "step_000000060"]


@pytest.mark.parametrize(
    ("steps", "stops", "kept"), [({20: True}, "step 40 can't", 10), ({60: True}, "step 60 can't", 50)]
)
def test_it_stops_after_three_failures_in_a_row_or_when_there_is_no_later_chance(
    steps: dict[int, bool], stops: str, kept: int, tmp_path: Path, disk: dict[str, bool]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Failure, match=f"{stops} be written: .*what was learned after step {kept} is lost"):
            driven(full(disk, steps), tmp_path)
    assert saved(tmp_path)[-1] == f"step_{kept:09d}"


# The directory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["deleted", "moved", "replaced", "emptied"])
def test_a_directory_that_has_gone_ends_the_run_at_its_next_save(fate: str, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def go() -> None:
        if fate == "moved":
            run.rename(tmp_path / "elsewhere")
            return
        shutil.rmtree(run)
        if fate in ("replaced", "emptied"):
            run.mkdir()
        if fate == "replaced":
            (run / "LOCK").write_text("1\n")

    with pytest.raises(Failure, match="run was deleted, moved or replaced under the run; .* after step 10 is lost"):
        driven(at(20, go), run)
    assert not (run / "checkpoints").exists(), "it is not made anew"
    if fate == "moved":
        assert saved(tmp_path / "elsewhere") == ["step_000000000", "step_000000010"]


# The best -------------------------------------------------------------------------------------------------------------


def test_the_best_weights_are_kept_beside_the_newest(tmp_path: Path) -> None:
    class Weighty(Counting):
        def state_dict(self) -> dict[str, Any]:
            return super().state_dict() | {"weights": np.full(2, self.steps, np.float32)}

    course, kept = Weighty(), []
    with Run(tmp_path / "run", "a: 1\n", resume=False, console="nothing") as run:
        saving = Saving(course, run, Clocks(TIMETABLE), partial(checkpoint.save, run.checkpoints, about={"config": {}}))
        saving.begin()
        for score in (1.0, 3.0, 2.0, float("nan"), 3.0, 4.0):
            course.steps += 1
            saving.best({"eval/mean_reward": score})
            state, about = checkpoint.load(run.directory / "best")
            kept.append((about["score"], about["steps"]))
            np.testing.assert_array_equal(state["weights"], about["steps"])
        saving.best({"train/loss": 9.0})
    assert kept == [(1.0, 1), (3.0, 2), (3.0, 2), (3.0, 2), (3.0, 2), (4.0, 6)]
    assert not list((tmp_path / "run").glob(".tmp*"))


def test_a_disk_that_is_full_leaves_the_best_one_as_it_was(tmp_path: Path, disk: dict[str, bool]) -> None:
    course = Counting()
    course.state_dict = lambda: {"weights": np.zeros(2)}  # type: ignore[method-assign]
    with Run(tmp_path / "run", "a: 1\n", resume=False, console="nothing") as run:
        saving = Saving(course, run, Clocks(TIMETABLE), partial(checkpoint.save, run.checkpoints, about={"config": {}}))
        saving.begin()
        saving.best({"arena/rating": 1.0})
        disk["full"] = True
        with pytest.warns(UserWarning, match="the best checkpoint stays as it was"):
            saving.best({"arena/rating": 2.0})
        assert checkpoint.described(run.directory / "best")["score"] == 1.0

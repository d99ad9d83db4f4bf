"""When a run is saved, and what becomes of it when it can't be."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from experiment.checkpoint import StorageError, described, replace, require_finite, write_arrays
from experiment.clocks import Clocks
from experiment.run import Failure, Run, RunError

if TYPE_CHECKING:
    from experiment.course import Course

SCORES = ("eval/mean_reward", "arena/rating")  # of which more is better
ATTEMPTS = 3  # in a row that may fail, each when a checkpoint is due


class Saving:
    """Saves a course by `keep(steps, state)`, and knows when that has last succeeded."""

    def __init__(
        self, course: Course, run: Run, clocks: Clocks, keep: Callable[[int, dict[str, Any]], object], steps: int = -1
    ) -> None:
        """steps: those of the checkpoint that a run goes on from."""
        self.course, self.run, self.clocks, self.keep = course, run, clocks, keep
        self.steps, self.failed = steps, 0  # the steps that are saved; failures since then

    def begin(self) -> None:
        """Save for the first time, so that whatever comes, the run can go on.

        Raises RunError, and leaves nothing, where the disk doesn't take it, or it is not finite.
        """
        try:
            self._write()
        except (StorageError, FloatingPointError) as error:
            self.run.withdraw()
            raise RunError(f"a run can't begin: {error}") from error

    def __call__(self, last: bool = False) -> None:
        """Raises FloatingPointError where the state is not finite, and Failure where there is no place to save it: the
        directory has gone, or the disk has failed too often, which at the `last` opportunity is once."""
        if not self.run.is_here:
            raise Failure(f"{self.run.directory} was deleted, moved or replaced under the run; {self._lost}")
        try:
            self._write()
        except StorageError as error:
            self.failed += 1
            if last or self.failed == ATTEMPTS:
                raise Failure(f"{error}; {self._lost}") from error
            counted = f"{self.failed} of {ATTEMPTS} failures in a row that end it"
            warnings.warn(f"{error}; the run goes on, and tries again at the next one ({counted})", stacklevel=2)

    def best(self, measured: Mapping[str, Any]) -> None:
        """Keep the weights that were measured, as the checkpoint `best`, where none of this run had a higher score. It
        acts and isn't gone on from. Warns where the disk doesn't take it."""
        name = next((name for name in SCORES if name in measured), None)
        place = self.run.directory / "best"
        if name is None or not measured[name] > described(place).get("score", -math.inf) or not self.run.is_here:
            return
        state, about = self.course.state_dict(), described(self.run.checkpoints)
        if "weights" not in state or not about:
            return
        score = {"score": float(measured[name]), "metric": name, "steps": self.course.steps}
        try:
            replace(place, self.course.steps, {"weights": state["weights"]}, about | score)
        except StorageError as error:
            warnings.warn(f"{error}; the best checkpoint stays as it was", stacklevel=2)

    def failure(self, error: Failure) -> Failure:
        """Of a course that can't go on, once its state, which is good, is saved."""
        self(last=True)
        return Failure(f"{error}\nwhat was learned in {self._made} is saved in {self.run.checkpoints}")

    def divergence(self, error: FloatingPointError) -> Failure:
        """Of a course whose numbers are no more: its state is not saved, but what made it so is."""
        reason, batch = (*error.args, {})[:2]
        told = f"{reason} after {self._made}, of which nothing is saved"
        if batch and self.run.is_here:
            file = self.run.directory / f"diverged_{self.course.steps:09d}.safetensors"
            try:
                write_arrays(file, batch)
                told += f"; what was learned from last is in {file}"
            except StorageError as unwritten:
                told += f"; {unwritten}"
        return Failure(f"{told}; the run can go on from step {self.steps}, with a smaller step size")

    def _write(self) -> None:
        told = {"metrics": self.run.metrics.state_dict(), "clocks": self.clocks.state_dict()}
        state = self.course.state_dict() | told
        require_finite(state)
        self.keep(self.course.steps, state)
        self.steps, self.failed = self.course.steps, 0

    @property
    def _made(self) -> str:
        return f"{self.course.steps} {self.course.unit}"

    @property
    def _lost(self) -> str:
        return f"what was learned after step {self.steps} is lost"

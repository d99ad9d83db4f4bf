"""A run's directory, its lock, its signals and its progress bar.

with Run(directory, dump(config), resume=False) as run, Progress(budget) as progress:
    while steps < budget and run.stop_signal is None:
        ...
        progress.update(steps, episode_return)
    save(run.checkpoints, steps, state, about)
sys.exit(exit_code(run))
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from experiment.metrics import Metrics, Shown
from experiment.origin import FILE, note
from experiment.stop import asking


class RunError(RuntimeError):
    """A run can't begin in this directory; nothing has been started."""


class Failure(RuntimeError):
    """A run can't go on. The message says why; what `drive` raises says too what of it is saved."""


class Run:
    """The directory of a run, from entering to leaving. Entering raises RunError if the run can't be kept there.

    directory     holds config.yaml, origin.jsonl, metrics.jsonl, TensorBoard events, checkpoints/ and LOCK
    metrics       where metrics are written; closed on leaving
    checkpoints   the directory of checkpoints, which the first one makes
    stop_signal   number of the signal that asks us to save and leave, or None; a second one ends the process at once
                  (where Python allows to listen: in the main thread)
    """

    metrics: Metrics

    def __init__(self, directory: Path, config_text: str, resume: bool, console: Shown = "tables") -> None:
        self.directory = Path(directory)
        self.checkpoints = self.directory / "checkpoints"
        self.stop_signal: int | None = None
        self._config_text = config_text
        self._resume = resume
        self._console: Shown = console
        self._lock = -1  # the open file
        self._leaving = ExitStack()

    def __enter__(self) -> Run:
        self._require_free()
        with ExitStack() as entered:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                self._lock = entered.enter_context(_locked(self.directory / "LOCK"))
                self._require_free()  # a run may have come and gone before the lock was ours
                _replace(self.directory / "config.yaml", self._config_text)
                note(self.directory)
            except OSError as error:
                if self._lock >= 0 and not self._resume:
                    self.withdraw()
                raise RunError(f"{self.directory}: no run can be kept here: {error}") from error
            self.metrics = Metrics(self.directory, self._console, self._config_text)
            entered.callback(self.metrics.close)
            entered.enter_context(asking(lambda: self.stop_signal is not None))
            if threading.current_thread() is threading.main_thread():
                entered.enter_context(_listening(self._stop))
            self._leaving = entered.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._leaving.close()

    @property
    def is_here(self) -> bool:
        """Whether the directory is still the one that was entered: nobody has deleted, moved or replaced it."""
        try:
            return os.path.samestat(os.stat(self.directory / "LOCK"), os.fstat(self._lock))
        except OSError:
            return False

    def withdraw(self) -> None:
        """Leave nothing of a run that could not begin. A directory stays if there is something else in it."""
        with suppress(OSError):
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            for name in (".tmp-config.yaml", "config.yaml", FILE, "LOCK"):
                (self.directory / name).unlink(missing_ok=True)
            self.directory.rmdir()

    def _require_free(self) -> None:
        kept = [name for name in ("config.yaml", "metrics.jsonl", "checkpoints") if (self.directory / name).exists()]
        if self._resume and "config.yaml" not in kept:
            raise RunError(f"{self.directory}: holds no run to resume (there is no config.yaml)")
        if kept and not self._resume:
            raise RunError(f"{self.directory}: already holds a run ({kept[0]}); resume it or name another directory")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stop_signal is not None:
            if sys.__stdout__ is not None and sys.__stdout__.isatty():
                os.write(1, b"\x1b[?25h")  # give back the cursor that a progress bar hides
            os._exit(128 + number)
        self.stop_signal = number


def exit_code(run: Run) -> int:
    """0, or 130 / 143 when SIGINT / SIGTERM has stopped the run."""
    return 0 if run.stop_signal is None else 128 + run.stop_signal


def new_directory(begins: str, runs: str | Path = "runs") -> Path:
    """A name for the directory of a run that nobody has yet: runs/BEGINS-DATE-TIME."""
    name = Path(runs) / f"{begins}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = name, 1
    while path.exists():
        number += 1
        path = name.with_name(f"{name.name}-{number}")
    return path


def command(main: Callable[[], int]) -> None:
    """Leave with what a script's `main` returns. Ctrl-C at start-up is 130, a reader that has left (`| head`) is 0.

    A warning is one line."""
    warnings.formatwarning = lambda message, *where: f"warning: {message}\n"
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more at its end
        code = 0
    sys.exit(code)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold a lock that the operating system gives back when the process ends, however it ends: the open file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise RunError(f"{path.parent}: is in use by process {holder}, which holds {path.name}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _listening(stop: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """SIGINT and SIGTERM call `stop`; afterwards they do what they did before."""
    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def _replace(path: Path, text: str) -> None:
    """Write a file that is there in full or not at all."""
    temporary = path.with_name(f".tmp-{path.name}")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class Progress:
    """A bar with steps per second, time left and the current return; only on a terminal, else nothing is printed.

    `start` is where the bar begins: the steps that a resumed run has already made. An update costs less than a
    microsecond, but for the four per second that are drawn.
    """

    def __init__(self, total: int, start: int = 0) -> None:
        self._total = total
        self._start = start
        self._shown = sys.stdout.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._drawn_at = 0.0

    def __enter__(self) -> Progress:
        if self._shown:
            self._open()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(self, steps: int, episode_return: float | None = None) -> None:
        """Show that `steps` are done in all, and the return of the last episodes if there is a new one."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._drawn_at < _REDRAW and steps < self._total:
            return
        self._drawn_at = now
        if episode_return is not None:
            self._bar.update(self._task, episode_return=f"return {episode_return:.4g}")
        self._bar.update(self._task, completed=steps)
        speed = self._bar.tasks[0].speed
        self._bar.update(self._task, speed="" if speed is None else f"{speed:,.0f} steps/s", refresh=True)

    def _open(self) -> None:
        import rich
        from rich import progress

        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[episode_return]}"),
            console=rich.get_console(),  # where the tables of metrics are printed too, above the bar
            auto_refresh=False,  # or a thread of its own would take time from training
        )
        self._task = self._bar.add_task("", total=self._total, completed=self._start, speed="", episode_return="")
        self._bar.start()


_REDRAW = 0.25  # seconds

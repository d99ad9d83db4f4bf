"""One write goes to metrics.jsonl, to TensorBoard and to the console; none of them can stop training.

    metrics = Metrics(run_directory, console="tables")
    metrics.write(steps, {"rollout/ep_rew_mean": 21.5, "train/loss": 0.3})
    metrics.write(steps, {"eval/samples": picture})         # [H, W, C] uint8, of 1 or 3 channels: TensorBoard alone
    metrics.write(steps, {"eval/text": "What is it?"})      # so is text

The step is the number of environment steps. A metric that has no value is left out; NaN and infinity are no values.
A sink that fails (the disk is full, TensorBoard isn't there) is reported once and gets no more writes.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsFloat

from experiment.events import Events

if TYPE_CHECKING:  # `--help` needs no numpy
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
Values = Mapping[str, int | float]
Shown = Literal["tables", "lines", "nothing"]  # on the console
LINES = "metrics.jsonl"


class Sink(Protocol):
    def write(self, step: int, values: Values) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Metrics:
    """The metrics of a run whose directory exists. Nothing is opened before the first write.

    config_text: YAML that TensorBoard shows, and sorts runs by. latest: the last value of each name that was written.
    """

    def __init__(self, directory: Path, console: Shown, config_text: str = "") -> None:
        self._lines = _Lines(Path(directory) / LINES)
        self._events = Events(Path(directory), config_text)
        self._sinks: dict[str, Sink] = {LINES: self._lines, "TensorBoard": self._events}
        if console != "nothing":
            self._sinks["console"] = _Tables() if console == "tables" else _OneLine()
        self.latest: dict[str, int | float] = {}
        self._step = -1  # of the last write
        self._valueless: set[str] = set()

    def write(self, step: int, values: Mapping[str, SupportsFloat | Picture | str]) -> None:
        """Values are numbers, 0-d arrays or tensors, pictures, or texts. Warns of each name once that has come without
        a value."""
        pictures: Any = {name: value for name, value in values.items() if getattr(value, "ndim", 0) == 3}
        if pictures:
            self._attempt("TensorBoard", lambda _: self._events.show(int(step), pictures))
        texts: Any = {name: value for name, value in values.items() if isinstance(value, str)}
        if texts:
            self._attempt("TensorBoard", lambda _: self._events.tell(int(step), texts))
        numbers: Any = {name: value for name, value in values.items() if name not in pictures and name not in texts}
        plain = {name: value if type(value) is int else float(value) for name, value in numbers.items()}
        finite = {name: value for name, value in plain.items() if math.isfinite(value)}
        for name in plain.keys() - finite.keys() - self._valueless:
            self._valueless.add(name)
            warnings.warn(f"metric {name} was {plain[name]} at step {step}, and is left out when so", stacklevel=2)
        if finite:
            for sink in list(self._sinks):
                self._attempt(sink, lambda sink: sink.write(int(step), finite))
            self._step = int(step)
            self.latest |= finite

    def flush(self) -> None:
        for sink in list(self._sinks):
            self._attempt(sink, lambda sink: sink.flush())

    def close(self) -> None:
        for sink in list(self._sinks):
            self._attempt(sink, lambda sink: sink.close())

    def state_dict(self) -> dict[str, Any]:
        """How far the metrics have come, once they are on the disk."""
        self.flush()
        return {"step": self._step, "offset": self._lines.offset}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Forget what was written after `state_dict`: these steps will be made again."""
        self._step = state["step"]
        self._attempt(LINES, lambda _: self._lines.cut(state["offset"]))
        self._attempt("TensorBoard", lambda _: self._events.purge(state["step"] + 1))

    def _attempt(self, name: str, action: Callable[[Sink], None]) -> None:
        if (sink := self._sinks.get(name)) is None:
            return
        try:
            action(sink)
        except Exception as error:  # whatever it is, training is worth more than its record
            del self._sinks[name]
            with suppress(Exception):
                sink.close()
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"{name} has failed and gets no more metrics: {reason}", stacklevel=3)


def was_written(directory: Path, state: Mapping[str, Any]) -> bool:
    """Whether a run has written metrics since `Metrics.state_dict` gave this state."""
    lines = directory / LINES
    return lines.exists() and lines.stat().st_size > state["offset"]


class _Lines:
    """One JSON object per write. `offset` is the length in bytes of all complete lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.offset = path.stat().st_size if path.exists() else 0

    def write(self, step: int, values: Values) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        line = json.dumps({"step": step, **values}).encode() + b"\n"
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.truncate(self._path, self.offset)
            raise OSError("the disk took only a part of a line")
        self.offset += written

    def cut(self, offset: int) -> None:
        self.close()
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < offset:
            warnings.warn(f"{self._path} has lost lines since the checkpoint was written", stacklevel=5)
        elif size > offset:
            os.truncate(self._path, offset)
        self.offset = min(size, offset)

    def flush(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Tables:
    """A table in the manner of Stable-Baselines3: names below the heading of their group."""

    def write(self, step: int, values: Values) -> None:
        import rich
        from rich.box import ROUNDED
        from rich.table import Table
        from rich.text import Text

        groups: dict[str, list[tuple[str, str]]] = {}
        for name, value in _worth_showing(values).items():
            group, _, leaf = name.rpartition("/")
            groups.setdefault(group, []).append((leaf, number(value)))
        table = Table("name", "value", title=f"step {step:,}", box=ROUNDED, show_header=False, title_justify="left")
        for group, rows in groups.items():
            if group:
                table.add_row(Text(f"{group}/", style="bold"), "")
            for leaf, text in rows:
                table.add_row(Text(f"   {leaf}" if group else leaf), text)
        rich.get_console().print(table)  # the console that a progress bar shares, so that it stays below

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _OneLine:
    """Returns, evaluations and the speed, on one line; everything where there are none of them."""

    def write(self, step: int, values: Values) -> None:
        import rich

        shown = _worth_showing(values)
        first = {name: v for name, v in shown.items() if name.startswith(("rollout/", "eval/")) or name == "time/fps"}
        parts = [f"{name.rpartition('/')[2]} {number(value)}" for name, value in (first or shown).items()]
        rich.get_console().print(f"step {step:,}: {', '.join(parts)}", markup=False, highlight=False, soft_wrap=True)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def number(value: int | float) -> str:
    """Four digits at least, and a comma behind each thousand."""
    return f"{value:,.0f}" if isinstance(value, int) or 1_000 <= abs(value) < 1e12 else f"{value:.4g}"


def _worth_showing(values: Values) -> Values:
    """Without what a fleet that is on time, and whole, says of itself: nothing."""
    return {name: value for name, value in values.items() if value or not name.startswith("fleet/")}

"""Training, as `scripts/train.py` and `sparring.train` do it.

with ExitStack() as stack:
    ready = prepare(stack, config, directory, resume=False, shown="tables")
    carry_out(ready, config)
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experiment import extensions
from experiment.config import ConfigError, override, read

if TYPE_CHECKING:
    from agents.config import Experiment
    from experiment.course import Course, State
    from experiment.metrics import Shown
    from experiment.run import Run
    from sparring.trained_run import TrainedRun

CONFIGS = Path(__file__).parent / "configs"  # those of the clone, and in a wheel a copy of them


class Over(Exception):
    """A run that was to be resumed has nothing left to do."""


class Ready(NamedTuple):
    """A run that was entered and a course that may begin."""

    course: Course
    run: Run
    state: State | None  # of the checkpoint that the course goes on from
    allowed: list[str]  # what has changed since, a line each
    keep: Callable[[int, State], object]  # writes a checkpoint


def prepare(stack: ExitStack, config: Experiment, directory: Path, resume: bool, shown: Shown) -> Ready:
    """Build what the config asks for, and enter its run; `stack` closes both.

    Raises Over; ValueError, MemoryError, ConnectionError, EnvError, RunError or CheckpointError where it can't begin.
    """
    from agents.admission import admit
    from agents.courses.record import changes, save
    from agents.restore import doubting, go_on, load_checkpoint
    from experiment.config import dump
    from experiment.course import is_over
    from experiment.run import Run

    state, allowed = None, list[str]()
    if resume:
        saved, state, about = load_checkpoint(directory / "checkpoints")
        forbidden, allowed = changes(config, saved, about)
        if forbidden:
            raise ConfigError(forbidden)
        with doubting(about["path"]):
            over = is_over(directory, state, about["steps"], config.steps)
        if over:
            raise Over(f"{about['path']} has made all {config.steps} steps; to go on, set steps to more")
    admit(config)
    from agents.wiring import build, program  # and torch

    course = stack.enter_context(closing(build(config)))
    if state is not None:
        go_on(course, state, about)
    run = stack.enter_context(Run(directory, dump(config), resume, shown))
    return Ready(course, run, state, allowed, partial(save, run, config, program=program(course)))


def carry_out(ready: Ready, config: Experiment) -> None:
    """To the end, or until a signal asks to stop. Raises RunError and Failure as `experiment.course.drive` does."""
    from agents.wiring import timetable
    from experiment.course import drive

    drive(ready.course, ready.run, timetable(config), ready.keep, ready.state)


def train(
    config: str | Path | Mapping[str, Any],
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    shown: Shown = "lines",
    **overrides: Any,
) -> TrainedRun:
    """Train, and return the run. Ctrl-C, or a notebook's stop, saves and ends it early.

    config: a YAML file, the name of one that comes along, such as "ppo/cartpole", or its mapping of keys to values.
    run_dir: where the run is kept (default: a new directory in runs/). resume: go on with the run in there; steps may
    be raised. overrides: steps=20_000, learner={"discount": 0.99}, or {"learner.discount": 0.99} after two asterisks.

    Raises ConfigError for what is wrong with the config, and what `prepare` and `carry_out` raise.
    """
    from experiment.run import new_directory
    from sparring.trained_run import load

    whole = configured(config, **overrides)
    directory = Path(run_dir) if run_dir is not None else new_directory(f"{whole.algorithm}-{_stem(config)}")
    if resume:
        extensions.require(directory)
    with ExitStack() as stack:
        carry_out(prepare(stack, whole, directory, resume, shown), whole)
    return load(directory)


def configured(config: str | Path | Mapping[str, Any], **overrides: Any) -> Experiment:
    """The effective config that `train` would use. Raises ConfigError."""
    from agents.registry import parse

    raw = config if isinstance(config, Mapping) else read(located(config))
    return parse(override(raw, list(_assignments(overrides))))


def located(config: str | Path) -> Path:
    """The file of this name: as a path, else among the configs that come along. Raises ConfigError for a name of none.

    What ends in .yaml is a path.
    """
    path = Path(config)
    if path.suffix == ".yaml" or path.is_file():
        return path
    known = {f"{file.parent.name}/{file.stem}": file for file in sorted(CONFIGS.glob("*/*.yaml"))}
    if str(config) not in known:
        near = difflib.get_close_matches(str(config), known, 1)
        way_out = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigError([f"{config}: there is no such file and no config of this name; {way_out}"])
    return known[str(config)]


def use(*modules: str) -> None:
    """Import modules of one's own that register environments, games, algorithms or players: `--import` of the commands.

    Runs remember them, and Ray's actors load them. Raises ConfigError for one that fails.
    """
    extensions.load(list(dict.fromkeys([*extensions.loaded(), *modules])))


def _stem(config: str | Path | Mapping[str, Any]) -> str:
    return "config" if isinstance(config, Mapping) else Path(config).stem


def _assignments(overrides: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """As at the command line: sections reach down to their keys, so that what isn't named stays."""
    for key, value in overrides.items():
        if isinstance(value, Mapping) and value:
            yield from _assignments(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"

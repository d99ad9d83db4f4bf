"""Train an agent: python scripts/train.py CONFIG.yaml [key=value ...] [--run-dir DIR] [--resume] [--dry-run] [--debug]

A config of configs/ goes by its name, too: `train.py ppo/cartpole`.

Every key of the config can be overridden: learner.learning_rate=1e-3 runtime.kind=ray runtime.actors=4.
`train.py CONFIG.yaml --help` lists the keys of that config's algorithm; with --debug the run takes seconds. With
--import MODULE code of your own may bring environments, games and algorithms.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from agents.registry import ALGORITHMS, algorithm, debugged, parse
from experiment import extensions
from experiment.config import ConfigError, describe, dump, override, read
from experiment.metrics import number
from experiment.run import command
from sparring.training import Over, carry_out, located, prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.config import Experiment
    from experiment.metrics import Shown


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG.yaml", help="what to train, and how")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config")
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help="where the run is kept (default: a new one in runs/)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --run-dir from its newest checkpoint"
    )
    extensions.offer(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the effective config and stop")
    parser.add_argument(
        "--debug", action="store_true", help="a run of seconds in runs/debug-..., to see whether everything works"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print no metrics: the progress bar stays, on a terminal")
    shown.add_argument("--lines", action="store_true", help="print a line of metrics at a time, in place of a table")
    parser.add_argument(
        "--help", "-h", action="store_true", help="print this, and every key of the algorithm of CONFIG.yaml"
    )
    asked, unknown = parser.parse_known_intermixed_args(argv)
    if unknown:
        key, value = (*unknown[0].lstrip("-").split("=", 1), *unknown[1:], "VALUE")[:2]
        way_out = f"a key of the config is set as {key.replace('-', '_')}={value}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}; {way_out}")
    if asked.config is not None and "=" in asked.config.name and not asked.config.exists():
        asked.overrides.insert(0, str(asked.config))
        asked.config = None
    if asked.help:
        parser.print_help()
    return asked


def explain(config: Path | None) -> None:
    """Print the keys of the config's algorithm, or say which algorithms there are."""
    if config is None:
        print(f"\nalgorithms: {', '.join(ALGORITHMS)}")
        return
    name = read(config).get("algorithm")
    print(f"\nkeys of {name}:")
    for option in describe(algorithm(name).config):
        print(f"  {option.key}  ({option.type}; default {option.default})\n      {option.help}")


def configured(asked: argparse.Namespace) -> Experiment:
    """The effective config. A run that is resumed brings its own; overrides apply to it too."""
    source = asked.config
    if source is None and asked.resume and asked.run_dir is not None:
        source = asked.run_dir / "config.yaml"
    if source is None:
        raise ConfigError(["CONFIG.yaml is missing (or --resume with --run-dir DIR)"])
    if asked.resume and asked.run_dir is None:
        raise ConfigError(["--resume needs --run-dir DIR"])
    if asked.resume:
        extensions.require(asked.run_dir)
    if asked.resume and asked.debug:
        raise ConfigError(["--debug begins a run of its own: leave --resume out"])
    if asked.resume and not (asked.run_dir / "config.yaml").is_file():
        raise ConfigError(
            [f"{asked.run_dir}: holds no run to resume (there is no config.yaml); begin one without --resume"]
        )
    raw = read(source)
    config = parse(override(raw, asked.overrides))
    return parse(override(raw, [*debugged(config), *asked.overrides])) if asked.debug else config


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    try:
        extensions.load(asked.imports)
        asked.config = None if asked.config is None else located(asked.config)
        if asked.help:
            explain(asked.config)
            return 0
        config = configured(asked)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if asked.dry_run:
        print(dump(config), end="")
        return 0
    return train(config, asked)


def train(config: Experiment, asked: argparse.Namespace) -> int:
    from envs.api import EnvError
    from experiment.checkpoint import CheckpointError
    from experiment.course import Failure
    from experiment.origin import told
    from experiment.run import RunError, exit_code, new_directory

    kind = "debug-" if asked.debug else ""
    directory = asked.run_dir or new_directory(f"{kind}{config.algorithm}-{asked.config.stem}")
    before = told(directory)
    shown: Shown = "nothing" if asked.quiet else "lines" if asked.lines else "tables"
    with ExitStack() as stack:
        try:
            ready = prepare(stack, config, directory, asked.resume, shown)
        except Over as over:
            print(over)
            return 0
        except (ValueError, MemoryError, ConnectionError, EnvError, RunError, CheckpointError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(f"run directory: {directory}\nwatch it: tensorboard --logdir {directory}", flush=True)
        if asked.debug:
            print(f"debug: {' '.join(debugged(config))}", flush=True)
        if before:
            print(f"trained before by {before}", flush=True)
        if ready.allowed:
            print("\n".join(["resumed with changes:", *ready.allowed]), flush=True)
        try:
            carry_out(ready, config)
        except (RunError, Failure) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2 if isinstance(error, RunError) else 1
        course, run = ready.course, ready.run
        made = f"{course.steps} of {config.steps} steps"
        if course.steps > config.steps:
            made = f"{course.steps} steps, as collections are whole, where {config.steps} were asked for,"
        print(f"{made} are saved in {run.checkpoints}")
        print(farewell(config, directory, run.metrics.latest, done=course.steps >= config.steps))
        return exit_code(run)


def farewell(config: Experiment, directory: Path, latest: Mapping[str, float], done: bool) -> str:
    """The result of a run, and what to type next."""
    measured = {name: value for name, value in latest.items() if name.startswith("eval/")}
    result = ", ".join(f"{name} {number(value)}" for name, value in measured.items())
    after = f"python scripts/train.py --resume --run-dir {directory}"
    if done:
        alone = config.world.kind == "env"
        after = f"python scripts/evaluate.py {directory}" if alone else f"tensorboard --logdir {directory}"
    return f"{f'result: {result}' if result else 'no evaluation yet'}\nnext: {after}"


if __name__ == "__main__":
    command(main)

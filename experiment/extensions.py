"""Code that the person at the keyboard names with `--import MODULE`. A config never names any.

    offer(parser)                   # the option of every command
    load(asked.imports)             # before anything else: the modules register worlds, games, algorithms, players
    require(Path("runs/bridge"))    # a run that was made with a module asks for it again

A run's checkpoints remember `loaded()` by name, and that is named when it is missing; they never import anything. Ray's
actors load the same modules before they read their config.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from experiment.config import ConfigError

_loaded: list[str] = []


def offer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="code of your own that registers an environment, a game, an algorithm or a player; may be given again",
    )


def load(names: Sequence[str]) -> None:
    """Import these modules in order, in place of those of an earlier call: they are what this command works with.

    Modules are looked for as always, and then in the current directory. Raises ConfigError for one that fails.
    """
    _loaded.clear()
    if names and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for name in names:
        try:
            import_module(name)
        except (Exception, SystemExit) as error:
            raise ConfigError([f"--import {name}: {type(error).__name__}: {error}"]) from error
        _loaded.append(name)


def loaded() -> list[str]:
    """The modules of the last `load`."""
    return list(_loaded)


def require(path: Path) -> None:
    """Raises ConfigError where a run or checkpoint was made with modules that aren't loaded."""
    from experiment.checkpoint import described  # late, so that `--help` needs no numpy

    missing = [name for name in described(path).get("imports", []) if name not in _loaded]
    if missing:
        flags = " ".join(f"--import {name}" for name in missing)
        raise ConfigError([f"{path} was made with code that isn't part of Sparring: say {flags} here too"])

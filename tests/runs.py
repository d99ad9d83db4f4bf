"""Tiny training runs, and how to compare what they leave behind."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from agents.config import Learning
from agents.registry import ALGORITHMS
from experiment.checkpoint import newest
from scripts.train import main

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "train.py"
WALL_CLOCK = (  # the metrics that no two runs share
    "time/fps", "time/time_elapsed", "time/games_per_second", "time/evaluations_per_second", "fleet/waiting"
)  # fmt: skip

EVERY = {
    "logging": {"every": 100},
    "evaluation": {"every": 250, "episodes": 2},
    "checkpoint": {"every": 150, "keep": 99},
    "runtime": {"actors": 2},
    "seed": 3,
}


def tiny(*families: str) -> dict[str, dict[str, Any]]:
    """The tiny runs of the algorithms in these rooms, by name."""
    return {
        run: {"algorithm": name} | config
        for name, entry in ALGORITHMS.items()
        if entry.module.split(".")[1] in families
        for run, config in entry.small["tiny"].items()
    }


def acting(runs: dict[str, dict[str, Any]], acts: bool) -> dict[str, dict[str, Any]]:
    """Those of them that have actors, or have none."""
    return {
        run: config
        for run, config in runs.items()
        if issubclass(ALGORITHMS[config["algorithm"]].config, Learning) == acts
    }


IMITATION = tiny("imitation")
RUNS = tiny("policy", "actor_critic", "value", "alphazero") | acting(IMITATION, True)
SOLVERS, TABLES, FITS, DREAMS = tiny("regret"), tiny("tabular"), tiny("fitting"), tiny("world_models")
CLONES = acting(IMITATION, False)
APART = SOLVERS | TABLES | FITS | DREAMS | CLONES  # what is no loop of actors and a learner


def raw(name: str, **changes: Any) -> dict[str, Any]:
    """The config of a tiny run; `changes` replace whole sections, or keys of those that are mappings in both."""
    config = copy.deepcopy(EVERY | RUNS[name] if name in RUNS else APART[name])
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = config[key] | value if both else value
    return config


def spelt(algorithm: str, changes: dict[str, Any]) -> dict[str, Any]:
    """A config that is given as changes `of` a tiny run, or as a whole."""
    name, changed = changes.get("of"), {key: value for key, value in changes.items() if key != "of"}
    return {"algorithm": algorithm} | changed if name is None else raw(name, **changed)


def write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path


def train(config: dict[str, Any], directory: Path, *more: str) -> int:
    """A run in this process."""
    file = write(directory.with_name(f"{directory.name}.yaml"), config)
    return main([str(file), "--run-dir", str(directory), "--quiet", *more])


def command(*arguments: str | Path) -> list[str]:
    """A run in another process."""
    return [sys.executable, str(SCRIPT), *map(str, arguments), "--quiet"]


def call(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def state(directory: Path) -> dict[str, Any]:
    """The newest checkpoint's state. How long metrics.jsonl was is left out: wall-clock metrics vary in length."""
    _, found, about = newest(directory / "checkpoints")
    del found["metrics"]["offset"]
    return found | {"about": {"steps": about["steps"]}}


def lines(directory: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    read = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in WALL_CLOCK} for line in read]


def differences(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Where two states differ, bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key in a and key in b:
                yield from differences(a[key], b[key], f"{path}/{key}")
            else:
                yield f"{path}/{key} is in one only"
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, f"{path}/{index}")
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            yield f"{path}: arrays differ"
    elif type(a) is not type(b) or a != b:
        yield f"{path}: {a!r} is not {b!r}"


def assert_same_run(one: Path, other: Path) -> None:
    assert list(differences(state(one), state(other))) == []
    assert lines(one) == lines(other)

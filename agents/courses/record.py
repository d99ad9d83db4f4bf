"""What a run leaves behind, and whether a later one may go on from it. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.api import State
from agents.config import Experiment
from experiment import checkpoint
from experiment.run import Run

# What a checkpoint's state has the shape of, or would lose its meaning with.
FIXED = (
    "algorithm",
    "env",
    "game",
    "seed",
    "network",
    "normalize",
    "noise",
    "memory.capacity",
    "memory.prioritized",
    "average",
    "learner.n_step",
    "learner.critics",
    "runtime.actors",
)


def save(run: Run, config: Experiment, steps: int, state: State, **about: Any) -> Path:
    """Write a checkpoint of the run, delete those beyond `checkpoint.keep`, and return where it lies.

    `about` goes into the manifest beside algorithm, config, steps and versions of libraries.
    """
    told = {
        "algorithm": config.algorithm,
        "config": config.model_dump(mode="json"),
        "steps": steps,
        "libraries": {name: version(name) for name in ("numba", "numpy", "torch")},
    }
    path = checkpoint.save(run.checkpoints, steps, state, told | about)
    checkpoint.prune(run.checkpoints, config.checkpoint.keep)
    return path


def changes(config: Experiment, saved: Experiment) -> tuple[list[str], list[str]]:
    """How the config of a run that goes on differs, one line each: what keeps it from going on, and what doesn't."""

    def leaves(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
        if not isinstance(values, dict) or not values:
            yield prefix, values
            return
        for name, value in values.items():
            yield from leaves(value, f"{prefix}.{name}" if prefix else name)

    before, now = (dict(leaves(c.model_dump(mode="json"))) for c in (saved, config))
    forbidden, allowed = [], []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if any(key == fixed or key.startswith(f"{fixed}.") for fixed in FIXED):
            forbidden.append(f"{key}: a run that began with {old} can't go on with {new}")
        else:
            allowed.append(f"{key}: {old} -> {new}")
    return forbidden, allowed

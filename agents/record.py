"""What a run leaves behind, and whether a later one may go on from it. Torch-free."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.api import State
from agents.config import Experiment
from experiment import checkpoint
from experiment.config import differences
from experiment.run import Run


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
    if config.algorithm != saved.algorithm:
        return [f"algorithm: a run that began with {saved.algorithm} can't go on with {config.algorithm}"], []
    forbidden, allowed = [], []
    for key, old, new, fixed in differences(saved, config):
        if fixed:
            forbidden.append(f"{key}: a run that began with {old} can't go on with {new}")
        else:
            allowed.append(f"{key}: {old} -> {new}")
    return forbidden, allowed

"""What a run leaves behind, and whether a later one may go on from it. Torch-free."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agents.api import State
from agents.config import Experiment
from envs.games.make import make_game
from envs.games.open_spiel import OpenSpielGame
from envs.gymnasium_env import engines
from experiment import checkpoint, extensions
from experiment.config import differences
from experiment.run import Run

ARITHMETIC = ("numba", "numpy", "torch")


def save(run: Run, config: Experiment, steps: int, state: State, **about: Any) -> Path:
    """Write a checkpoint of the run, delete those beyond `checkpoint.keep`, and return where it lies.

    `about` goes into the manifest beside algorithm, config, steps, the modules that were imported for it, and
    the versions of what computes the run.
    """
    told = {
        "algorithm": config.algorithm,
        "config": config.model_dump(mode="json"),
        "steps": steps,
        "imports": extensions.loaded(),
        **versions(config),
    }
    path = checkpoint.save(run.checkpoints, steps, state, told | about)
    checkpoint.prune(run.checkpoints, config.checkpoint.keep)
    return path


def versions(config: Experiment) -> dict[str, dict[str, Any]]:
    """What the run's numbers depend on beside its config: `libraries` by name, and `rules`, of a game of our own."""
    packages, rules = [*ARITHMETIC], {}
    kind, name = config.world
    if kind == "game":
        game = make_game(name)
        if isinstance(game, OpenSpielGame):
            packages.append("open_spiel")
        else:
            rules[name] = game.spec.version
    elif config.environment is not None:
        packages += engines(config.environment.id)
    elif kind == "data":
        packages.append("scikit-learn")
    return {"libraries": {package: _installed(package) for package in packages}, "rules": rules}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # what it holds came in another way
        return "unknown"


def changes(config: Experiment, saved: Experiment, about: dict[str, Any]) -> tuple[list[str], list[str]]:
    """How a run that goes on differs from what was saved, one line each: what keeps it from going on, and what doesn't.

    `about` is what the checkpoint says of itself. Raises ValueError where its world can't be made here.
    """
    if config.algorithm != saved.algorithm:
        return [f"algorithm: a run that began with {saved.algorithm} can't go on with {config.algorithm}"], []
    forbidden, allowed = [], []
    for key, old, new, fixed in differences(saved, config):
        if fixed:
            forbidden.append(f"{key}: a run that began with {old} can't go on with {new}")
        else:
            allowed.append(f"{key}: {old} -> {new}")
    if forbidden:
        return forbidden, allowed
    now = versions(config)
    for name, number in about.get("rules", {}).items():
        if (found := now["rules"].get(name)) != number:
            forbidden.append(f"{name}: a run that began with version {number} of its rules can't go on with {found}")
    for package, number in about["libraries"].items():
        if (found := now["libraries"].get(package, number)) != number:
            replayed = "rows may be read" if config.world.kind == "data" else "episodes may replay"
            effect = "sums may be rounded" if package in ARITHMETIC else replayed
            allowed.append(f"{package} {number} -> {found}: {effect} differently")
    return forbidden, allowed

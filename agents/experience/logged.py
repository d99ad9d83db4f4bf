"""Logged experience: unrolls that were kept are learned from in place of, or beside, what actors bring home.

    path = write(Path("logs/random_play"), unrolls)  # as they were collected, one after another
    source = Logged(path)                            # agents.api.Source
    source = Both(fleet, Logged(path, actor=config.runtime.actors))

A log lies as a checkpoint does (`experiment/checkpoint.py`): safetensors and JSON under their sha256, never anything
that executes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.api import Source, State
from agents.records import NOTHING, Episodes, Experience, Unroll, faults, from_state, state_of
from envs.api import Array
from experiment import checkpoint

KIND = "unrolls"  # what a log says that it holds


def write(directory: Path, unrolls: Sequence[Unroll], about: Mapping[str, Any] = NOTHING) -> Path:
    """Keep unrolls of the same rows, in order, below a directory, and what is said about them (JSON). Returns where
    they lie.

    The first begins with episodes; each further one goes on where the one before it stopped, or begins anew. Raises
    ValueError where they don't, CheckpointError where they can't be written.
    """
    _validate(directory, unrolls)
    steps = sum(unroll.reward.size for unroll in unrolls)
    state = {str(number): state_of(unroll) for number, unroll in enumerate(unrolls)}
    return checkpoint.save(directory, steps, state, {**about, "holds": KIND})


def read(path: Path) -> list[Unroll]:
    """What was written there, or as the only log below a directory. Raises CheckpointError where it is damaged,
    ValueError where it isn't a log."""
    below = [] if (path / "manifest.json").exists() else sorted(path.glob("step_*"))
    if len(below) > 1:
        raise ValueError(f"{path}: holds {len(below)} logs, say which one: {', '.join(log.name for log in below)}")
    state, about = checkpoint.load(below[0] if below else path)
    kept = [state.get(str(number)) for number in range(len(state))]
    if about.get("holds") != KIND or not all(isinstance(each, dict) and {*each} <= {*Unroll._fields} for each in kept):
        raise ValueError(f"{path}: is not what `agents.experience.logged.write` writes")
    unrolls = [from_state(each) for each in kept if each is not None]
    _validate(path, unrolls)
    return unrolls


def _validate(path: Path, unrolls: Sequence[Unroll]) -> None:
    """Raises ValueError that names the log, the unroll and what is wrong with it."""
    if not unrolls:
        raise ValueError(f"{path}: a log of no unrolls")
    for number, unroll in enumerate(unrolls):
        wrong = faults(unroll)
        if not wrong and _kinds(unroll) != _kinds(unrolls[0]):
            wrong = [f"its fields are of other kinds than those of unroll 0: {_kinds(unroll)}, {_kinds(unrolls[0])}"]
        if not wrong and not _goes_on(unrolls[number - 1] if number else None, unroll):
            wrong = ["it doesn't go on where the one before it stopped, though no episode begins"]
        if wrong:
            raise ValueError(f"{path}: unroll {number}: {'; '.join(wrong)}")


def _kinds(unroll: Unroll) -> list[str]:
    """How many rows there are, and of what kind what they show and do is."""
    fields = {"obs": unroll.obs, "mask": unroll.mask, "action": unroll.action, "turn": unroll.turn}
    arrays = fields | dict(unroll.extras) | dict(unroll.carry)
    return [f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in arrays.items() if array is not None]


def _goes_on(before: Unroll | None, after: Unroll) -> bool:
    """Whether every row of `after` begins an episode, or where `before` stopped."""
    going = ~after.first[0]
    if before is None or not going.any():
        return not going.any()
    return not before.first[-1][going].any() and np.array_equal(before.obs[-1][going], after.obs[0][going])


class Logged:
    """A Source: an unroll at each collection, in the order of the log, and again from its beginning.

    Its steps count as steps of the run. Nobody acted for it, so it tells no returns, no staleness, and no moments of
    observations. actor: the number under which it delivers; beside a fleet, one that no actor has. Raises
    CheckpointError or ValueError, with the path, where there is no log that is intact.
    """

    def __init__(self, path: Path, actor: int = 0) -> None:
        self.unrolls, self.actor = read(path), actor
        self.path = path
        self.next = self.version = 0

    def publish(self, weights: Array, version: int) -> None:
        self.version = version

    def collect(self) -> list[Experience]:
        unroll = self.unrolls[self.next]
        self.next = (self.next + 1) % len(self.unrolls)
        return [Experience(unroll, unroll.reward.size, Episodes([], []), self.version, self.actor)]

    def metrics(self) -> Mapping[str, float]:
        return {}

    def state_dict(self) -> State:
        return {"next": self.next, "unrolls": len(self.unrolls)}

    def load_state_dict(self, state: State) -> None:
        if state["unrolls"] != len(self.unrolls):
            raise ValueError(f"{self.path}: the run began with a log of {state['unrolls']} unrolls, not this one")
        self.next = state["next"]

    def close(self) -> None:
        """Nothing is held."""


class Both:
    """A Source of two: at each collection what the first has, then what the second has."""

    def __init__(self, first: Source, second: Source) -> None:
        self.first, self.second = first, second

    def publish(self, weights: Array, version: int) -> None:
        self.first.publish(weights, version)
        self.second.publish(weights, version)

    def collect(self) -> list[Experience]:
        return [*self.first.collect(), *self.second.collect()]

    def metrics(self) -> Mapping[str, float]:
        return {**self.first.metrics(), **self.second.metrics()}

    def state_dict(self) -> State:
        return {"first": self.first.state_dict(), "second": self.second.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.first.load_state_dict(state["first"])
        self.second.load_state_dict(state["second"])

    def close(self) -> None:
        self.first.close()
        self.second.close()

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment.checkpoint import save
from scripts.faults.trial import judge, run
from scripts.soak import RUNS, Broken, digest, disturbed, request, rounds

STATE = {"weights": np.arange(3, dtype=np.float32), "loop": {"returns": [1.0, 2.0]}, "metrics": {"offset": 17}}


def told(state: dict[str, Any], directory: Path, steps: int = 5) -> str:
    save(directory / "checkpoints", steps, state, {"steps": steps})
    return digest(directory)


def test_a_digest_tells_states_apart_but_not_by_what_the_clock_made(tmp_path: Path) -> None:
    first = told(STATE, tmp_path / "a")
    assert told(STATE | {"metrics": {"offset": 23}}, tmp_path / "b") == first
    others = [
        told(STATE | {"weights": np.array([0, 1, 3], np.float32)}, tmp_path / "c"),
        told(STATE | {"weights": np.arange(3)}, tmp_path / "d"),
        told(STATE | {"loop": {"returns": [2.0, 1.0]}}, tmp_path / "e"),
        told(STATE, tmp_path / "f", 6),
    ]
    assert len({first, *others}) == 5


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("kind", ["local", "ray"])
def test_a_disturbed_run_is_like_one_that_nobody_disturbed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ("steps=2000", "env.count=2", "rollout.steps=16", "memory.start=256", "checkpoint.every=400")
    monkeypatch.setitem(RUNS, "dqn", ("dqn/cartpole.yaml", *short, "network.hidden=[16]"))
    suffered = Counter[str]()
    judge(run(tmp_path, request("dqn", "local", 1, "whole"), 600), 0)
    disturbed(tmp_path, "dqn", kind, 1, random.Random(4), suffered)
    assert suffered.total() > 0
    assert digest(tmp_path / "whole") == digest(tmp_path / "run")


def test_a_run_that_ends_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the soak is for: the disturbed run is another one."""

    def train(place: Path, request: list[str], within: float) -> None:
        save(place / "whole" / "checkpoints", 5, STATE, {"steps": 5})

    def disturb(place: Path, *_: Any) -> None:
        save(place / "run" / "checkpoints", 5, STATE | {"weights": np.zeros(3, np.float32)}, {"steps": 5})

    monkeypatch.setattr("scripts.faults.trial.run", train)
    monkeypatch.setattr("scripts.faults.trial.judge", lambda *_: "")
    monkeypatch.setattr("scripts.soak.disturbed", disturb)
    with pytest.raises(Broken, match="ppo on local actors, seed 0: .* is not"):
        rounds(0.0, 0)

"""Two phases, the second of which begins with what the first has found: stopped by signals in each of them, in a
process of its own each time, and resumed, they are the run that was never stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.registry import ALGORITHMS, parse
from agents.wiring import build
from experiment.phases import Phases
from supervised.fit import Fitting
from supervised.trained import Trained
from tests.agents.courses.fit_then_ppo import ENTRY, FitThenPPO, ppo
from tests.runs import ROOT, assert_same_run, lines, train, write

UPDATES = 60
CONFIG: dict[str, Any] = {
    "algorithm": "fit_then_ppo",
    "steps": UPDATES + 256,
    "updates": UPDATES,
    "ppo": {
        "algorithm": "ppo",
        "env": {"id": "CartPole-v1", "count": 4},
        "steps": 256,
        "rollout": {"steps": 16},
        "network": {"hidden": [16]},
        "learner": {"batch_size": 32, "epochs": 2},
        "evaluation": {"episodes": 2},
    },
    "logging": {"every": 25},
    "evaluation": {"every": 50},
    "checkpoint": {"every": 20, "keep": 99},
}
SIGNALS = [(signal.SIGTERM, 17), (signal.SIGKILL, 38), (signal.SIGKILL, UPDATES + 1), (signal.SIGTERM, UPDATES + 130)]


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALGORITHMS, "fit_then_ppo", ENTRY)


def stopped(config: Path, run: Path) -> list[tuple[int, int]]:
    """Begin the run and resume it until the next signal, in a process for each. Exit codes, and steps saved by then."""
    asked = (str(config), str(run), [(int(number), at) for number, at in SIGNALS])
    code = f"from {ENTRY.module} import stopped; stopped(*{asked!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("ended")]
    assert len(told) == len(SIGNALS), done.stderr
    return [(int(code), int(steps)) for _, code, steps in told]


def test_phases_that_signals_stopped_are_the_phases_that_were_never_stopped(tmp_path: Path) -> None:
    assert train(CONFIG, tmp_path / "straight") == 0
    config, run = write(tmp_path / "config.yaml", CONFIG), tmp_path / "parted"
    for (number, at), (code, saved) in zip(SIGNALS, stopped(config, run), strict=True):
        if number == signal.SIGKILL:
            assert code == -number and saved < at
        else:
            assert code == 128 + number and at <= saved < at + 64
        if at == UPDATES + 1:
            assert saved == UPDATES, "the fit is over, and what follows is made anew"
    assert train(CONFIG, run, "--resume") == 0
    assert_same_run(tmp_path / "straight", run)
    told = {name for line in lines(run) for name in line}
    assert {"fit/train/loss", "fit/eval/loss", "ppo/train/loss", "ppo/eval/mean_reward"} <= told


def test_ppo_begins_with_the_torso_that_was_fitted() -> None:
    config = parse(CONFIG)
    assert isinstance(config, FitThenPPO)
    phases, plain = build(config), build(config.ppo)
    assert isinstance(phases, Phases) and isinstance(phases.now, Fitting)
    before = phases.now.evaluate()["eval/loss"]
    phases.advance(UPDATES)
    assert phases.now.evaluate()["eval/loss"] < before / 2
    begun = ppo(config, build, {"fit": phases.now})
    fitted = phases.now.trained.flat.module.get_submodule("torso").state_dict()
    own, otherwise = (learner.network.policy.torso.state_dict() for learner in map(learner_of, (begun, plain)))
    for name, weights in fitted.items():
        torch.testing.assert_close(own[name], weights, rtol=0, atol=0)
        assert (own[name] != otherwise[name]).any()
    weights = learner_of(begun).weights()
    np.testing.assert_array_equal(weights[: own["0.0.weight"].numel()], fitted["0.0.weight"].numpy().ravel())


def learner_of(course: Any) -> Any:
    return course.learner


def test_another_torso_makes_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: after the turn, on resume, PPO begins as it would without a fit."""
    assert train(CONFIG, tmp_path / "straight") == 0
    shutil.copytree(tmp_path / "straight", tmp_path / "parted")
    for late in sorted((tmp_path / "parted" / "checkpoints").iterdir())[UPDATES // 20 + 1 :]:
        shutil.rmtree(late)
    monkeypatch.setattr(Trained, "take_over", lambda self, part, source: None)
    assert train(CONFIG, tmp_path / "parted", "--resume") == 0
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "straight", tmp_path / "parted")

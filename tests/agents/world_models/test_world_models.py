"""Four phases of one run: each is stopped and goes on exactly, and hands on what it found."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.registry import parse
from agents.restore import load_policy
from agents.wiring import build
from experiment.config import ConfigError
from experiment.phases import Phases
from tests.runs import ROOT, assert_same_run, lines, raw, train, write

pytest.importorskip("cma")
TINY = raw("world_models")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world_models") / "run"
    assert train(TINY, directory) == 0
    return directory


def test_each_phase_goes_on_as_if_it_had_never_stopped(run: Path, tmp_path: Path) -> None:
    """From a checkpoint in each of them, where the run was killed later."""
    steps = {int(path.name.removeprefix("step_")): path for path in (run / "checkpoints").iterdir()}
    for low, high in ((1, 120), (121, 139), (141, 159), (161, 400)):
        last = max(step for step in steps if low <= step <= high)
        copy = tmp_path / str(last)
        shutil.copytree(run, copy)
        for step, path in steps.items():
            if step > last:
                shutil.rmtree(copy / "checkpoints" / path.name)
        assert train(TINY, copy, "--resume") == 0
        assert_same_run(run, copy)


def test_it_tells_of_every_phase(run: Path) -> None:
    told = {name for line in lines(run) for name in line}
    assert {"memory/train/codes", "memory/train/reward", "memory/train/end", "controller/train/value"} <= told
    assert {"play/rollout/ep_rew_mean", "controller/eval/mean_reward", "controller/eval/dream_reward"} <= told


def test_a_phase_that_has_nothing_to_act_by_is_refused_as_a_contender(run: Path) -> None:
    early = min((run / "checkpoints").iterdir())
    with pytest.raises(ValueError, match="still in a phase before"):
        load_policy(early)
    policy, spec = load_policy(run)
    assert spec.obs_shape == (1, 8, 8) and policy.initial(3)["hidden"].shape == (3, 1, 8)


@pytest.mark.slow
def test_signals_in_every_phase_change_nothing(tmp_path: Path) -> None:
    """Killed or told to stop in each phase, in a process of its own each time."""
    assert train(TINY, tmp_path / "straight") == 0
    config, directory = write(tmp_path / "config.yaml", TINY), tmp_path / "parted"
    signals = [(15, 125), (9, 135), (9, 152), (15, 170), (9, 300)]
    code = (
        f"from tests.agents.courses.fit_then_ppo import stopped; stopped(*{(str(config), str(directory), signals)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("ended")]
    assert codes == [-number if number == signal.SIGKILL else 128 + number for number, _ in signals], done.stderr
    assert train(TINY, directory, "--resume") == 0
    assert_same_run(tmp_path / "straight", directory)


@pytest.mark.slow
@pytest.mark.ray
def test_actors_on_ray_judge_as_those_here(tmp_path: Path, ray_here: None) -> None:
    config = raw("world_models_real", runtime={"actors": 2}, evaluation={"every": 0, "episodes": 2})
    assert train(config, tmp_path / "here") == 0
    assert train(config, tmp_path / "there", "runtime.kind=ray") == 0
    one, other = (lines(tmp_path / name) for name in ("here", "there"))
    for line in other:
        for name in [name for name in line if name.endswith("fleet/waiting")]:
            del line[name]
    assert one == other


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 150}, "none are left for the controller"),
        ({"memory": {"reward": False}}, "set memory.reward=true"),
        ({"controller": {"sees": "z_h_c"}}, "has no cells"),
        ({"memory": {"window": 31}}, "longer than play.length"),
        ({"env": {"id": "game:tic_tac_toe", "options": {}, "max_episode_steps": None}}, "is a game"),
        ({"runtime": {"kind": "ray", "mode": "asynchronous"}}, "set runtime.mode=synchronous"),
        ({"controller": {"population": 6}, "runtime": {"actors": 4}}, "not divisible by runtime.actors"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse(raw("world_models", **changes))


def test_what_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(ValueError, match=r"sparring\[evolution\]"):
        build(parse(TINY))


def test_it_is_a_course_of_phases() -> None:
    course = build(parse(TINY))
    assert isinstance(course, Phases) and [phase.name for phase in course.phases] == [
        "play", "codes", "memory", "controller",
    ]  # fmt: skip

"""Promise 1: training N + M steps is training N, dying, and training M more in a new process. Bit for bit."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agents.alphazero.selfplay import SelfPlay
from agents.arena.ladder import Climber
from agents.experience.memory.steps import Steps
from agents.experience.rollout import Rollout
from experiment.checkpoint import load
from experiment.clocks import Every
from supervised.trained import Trained
from tests.runs import ROOT, RUNS, assert_same_run, command, differences, lines, raw, state, train, write

NAMES = [name for name in RUNS if name != "atari"]
PICTURES = ["atari"] if find_spec("ale_py") else []


def as_if_killed(run: Path, copy: Path, after: int) -> Path:
    """A copy of a run that died after its checkpoint number `after`, its later metrics already written."""
    shutil.copytree(run, copy)
    for late in sorted((copy / "checkpoints").iterdir())[after + 1 :]:
        shutil.rmtree(late)
    return copy


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each name an uninterrupted run, and NAME-resumed: the same run resumed from its middle in a new process."""
    root = tmp_path_factory.mktemp("runs")
    requests = []
    for name in NAMES + PICTURES:
        assert train(raw(name), root / name) == 0
        copy = as_if_killed(root / name, root / f"{name}-resumed", after=2)
        requests.append(["--run-dir", str(copy), "--resume", "--quiet"])
    code = f"from scripts.train import main\nfor request in {requests!r}: assert main(request) == 0"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_is_the_run_that_never_stopped(runs: Path, name: str) -> None:
    assert_same_run(runs / name, runs / f"{name}-resumed")
    checkpoints = sorted((runs / name / "checkpoints").iterdir())
    assert len(checkpoints) >= 5
    middle, _ = load(checkpoints[2])
    actors = middle["fleet"]["actors"].values()
    going = [actor["actions"] if "actions" in actor else actor["rollout"]["lengths"].tolist() for actor in actors]
    whole = RUNS[name]["algorithm"] == "reinforce"  # it collects from the beginning of an episode to its end
    assert any(any(episodes) for episodes in going) != whole, "it was in the middle of episodes"
    assert any(differences(middle, load(checkpoints[-1])[0]))
    assert any({"eval/mean_reward", "arena/rating"} & line.keys() for line in lines(runs / name))
    assert any("train/n_updates" in line for line in lines(runs / name)[3:])


@pytest.mark.parametrize(
    ("name", "owner", "lost", "where"),
    [
        ("ppo", Rollout, "rng", "/fleet"),
        ("ppo", Rollout, "env", "/fleet"),
        ("dqn", Steps, "waiting", "/memory"),
        ("dqn", Trained, "target", "/learner"),
        ("ddpg", Rollout, "carry", "/fleet"),
        ("ppo", Every, "all", "/lines"),
        ("alphazero", SelfPlay, "rng", "/memory"),
        ("alphazero", Climber, "all", "/lines"),
    ],
)
def test_what_is_not_restored_is_noticed(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, owner: Any, lost: str, where: str
) -> None:
    """The broken variant: one part is not restored but is as in a new run."""
    restore = owner.load_state_dict

    def forgetful(self: Any, state: dict[str, Any]) -> Any:
        return restore(self, self.state_dict() if lost == "all" else state | {lost: self.state_dict()[lost]})

    monkeypatch.setattr(owner, "load_state_dict", forgetful)
    copy = as_if_killed(runs / name, tmp_path / "run", after=2)
    assert train(raw(name), copy, "--resume") == 0
    one, other = ({**state(run), "lines": lines(run)} for run in (runs / name, copy))
    found = list(differences(one, other))
    assert any(path.startswith(where) for path in found)


def test_a_run_that_died_before_its_first_interval_was_over_goes_on_too(runs: Path, tmp_path: Path) -> None:
    copy = as_if_killed(runs / "ppo", tmp_path / "run", after=0)
    assert train(raw("ppo"), copy, "--resume") == 0
    assert_same_run(runs / "ppo", copy)


@pytest.mark.ray
def test_ray_actors_are_resumed_too(runs: Path, tmp_path: Path, ray_here: None) -> None:
    """From a checkpoint of local actors: those of Ray's are the same, says tests/agents/fleet/test_ray_fleet.py."""
    copy = as_if_killed(runs / "dqn", tmp_path / "copy", after=2)
    assert train(raw("dqn"), copy, "--resume", "runtime.kind=ray") == 0
    assert_same_run(runs / "dqn", copy)


@pytest.mark.skipif(not PICTURES, reason="ale_py is not installed")
def test_pictures_in_memory_are_resumed(runs: Path) -> None:
    assert_same_run(runs / "atari", runs / "atari-resumed")
    middle = load(sorted((runs / "atari" / "checkpoints").iterdir())[2])[0]["memory"]["table"]
    assert any(differences(state(runs / "atari-resumed")["memory"]["table"], middle))


LONG = raw("dqn", steps=2400, checkpoint={"every": 200, "keep": 2}, evaluation={"every": 0}, logging={"every": 50})


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is killed at some moment below, uninterrupted."""
    directory = tmp_path_factory.mktemp("long") / "run"
    assert train(LONG, directory) == 0
    return directory


def killed(config: Path, directory: Path, resume: bool, number: signal.Signals, delay: float) -> tuple[int, str]:
    """Start or resume a run, send a signal `delay` seconds after it has begun; exit code and stderr."""
    request = command(config, "--run-dir", directory, *["--resume"] * resume)
    with subprocess.Popen(request, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("run directory"), line + process.stderr.read()
        time.sleep(delay)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_sigterm_at_any_moment_saves_and_the_run_ends_as_if_uninterrupted(long_run: Path, tmp_path: Path) -> None:
    config, directory, rng = write(tmp_path / "run.yaml", LONG), tmp_path / "run", random.Random(1)
    for count in range(3):
        code, errors = killed(config, directory, count > 0, signal.SIGTERM, rng.uniform(0.02, 0.25))
        assert code == 143, errors
        assert state(directory)["loop"]["steps"] < 2400
    assert train(LONG, directory, "--resume") == 0
    assert_same_run(long_run, directory)


def test_after_sigkill_the_run_goes_on_from_its_last_checkpoint(long_run: Path, tmp_path: Path) -> None:
    config = write(tmp_path / "run.yaml", LONG)
    directory = as_if_killed(long_run, tmp_path / "run", after=0)  # so that there is a checkpoint to begin with
    for delay in (0.1, 0.3):
        code, _ = killed(config, directory, True, signal.SIGKILL, delay)
        assert code == -signal.SIGKILL
    assert train(LONG, directory, "--resume") == 0
    assert_same_run(long_run, directory)

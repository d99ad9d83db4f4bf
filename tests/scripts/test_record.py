"""Episodes are kept as they were played; what is no log, or no longer one, is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents.experience.logged import read, write
from experiment.checkpoint import CheckpointError
from scripts.record import main
from tests.runs import ROOT


@pytest.fixture
def log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["scripted", "--env", "CartPole-v1", "--episodes", "2", "--out", str(tmp_path / "log")]) == 0
    assert "2 episodes of CartPole-v1 by scripted, 1000 steps, mean return 500.00" in capsys.readouterr().out
    return next((tmp_path / "log").iterdir())


def test_a_log_says_what_it_holds_and_is_read_by_its_own_name_or_its_directorys(log: Path) -> None:
    about = json.loads((log / "manifest.json").read_text())["about"]
    assert about == {
        "env": "CartPole-v1", "policy": "scripted", "episodes": 2, "seed": 0, "mean_return": 500.0, "holds": "unrolls"
    }  # fmt: skip
    one, other = read(log), read(log.parent)
    assert [unroll.truncated[-1, 0] for unroll in one] == [True, True]
    assert all(np.array_equal(a.obs, b.obs) for a, b in zip(one, other, strict=True))


def test_what_explores_acts_otherwise(tmp_path: Path) -> None:
    request = ["random", "--env", "game:tic_tac_toe", "--episodes", "2", "--seed"]
    for name, seed, more in (("a", "1", []), ("b", "1", ["--explore"]), ("c", "2", [])):
        assert main([*request, seed, *more, "--out", str(tmp_path / name)]) == 0
    a, b, c = (read(tmp_path / name)[0] for name in "abc")
    assert np.array_equal(a.action, b.action), "random acts alike"
    assert not np.array_equal(a.action, c.action) and a.mask is not None


def test_the_script_stands_alone(tmp_path: Path) -> None:
    """As its user runs it, whose directory is another one: nothing of scripts/ is to be found from there."""
    request = ["scripted", "--env", "CartPole-v1", "--episodes", "1", "--out", "log"]
    told = subprocess.run(
        [sys.executable, ROOT / "scripts" / "record.py", *request], cwd=tmp_path, capture_output=True, text=True
    )
    assert (told.returncode, told.stderr) == (0, "") and "1 episodes of CartPole-v1" in told.stdout


def test_a_truncated_file_is_refused_by_name(log: Path) -> None:
    file = log / "1.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"1\.safetensors: has \d+ bytes, expected"):
        read(log)


def test_a_planted_pickle_is_refused_by_name(log: Path) -> None:
    (log / "0.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(CheckpointError, match=r"0\.pkl: does not belong here"):
        read(log)


def test_an_array_of_objects_is_not_written(log: Path, tmp_path: Path) -> None:
    unroll = read(log)[0]
    planted = unroll._replace(extras={"note": unroll.reward.astype(object)})
    with pytest.raises(CheckpointError, match=r"state/0/extras/note: an array of object can't be stored"):
        write(tmp_path / "planted", [planted])
    assert not list((tmp_path / "planted").glob("*"))


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (["scripted", "--env", "FrozenLake-v1"], "no rule is known for FrozenLake-v1"),
        (["scripted"], "--env or --game is needed"),
        (["nowhere"], "no such directory"),
        (["random", "--env", "CartPole-v1", "--episodes", "0"], "expected >= 1"),
    ],
)
def test_a_wrong_request_is_told(
    request_: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*request_, "--out", str(tmp_path / "log")]) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "log").exists()


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["random", "--env", "CartPole-v1", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err

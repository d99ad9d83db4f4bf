"""What a fit sees: attacks that get worse with epsilon, pictures in TensorBoard, and what can't be looked at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scripts.look import main
from tests.runs import FITS, train

pytest.importorskip("sklearn")

DIGITS: dict[str, Any] = {
    "data": "digits",
    "shape": [1, 8, 8],
    "standardize": False,
    "steps": 300,
    "network": {"hidden": [32], "activation": "relu"},
    "learner": {"learning_rate": 5e-3},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("look") / "run"
    assert train({"algorithm": "fit"} | DIGITS, directory) == 0
    return directory


def events(run: Path) -> bytes:
    return b"".join(file.read_bytes() for file in run.glob("events.out.tfevents.*"))


def test_attacks_succeed_and_are_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (run / "metrics.jsonl").read_bytes()
    assert main([str(run), "--epsilon", "0", "0.2", "--steps", "5"]) == 0
    _, still, attacked = capsys.readouterr().out.splitlines()
    clean, unmoved, _, next_class = (float(share) for share in re.findall(r"([\d.]+)%", still))
    recognized, once, often, taken = (float(share) for share in re.findall(r"([\d.]+)%", attacked))
    assert clean == unmoved == recognized > 90 and next_class < 5
    assert often <= once < 20, "of those that are attacked with .2, 80 % are no longer recognized"
    assert taken > 50
    assert b"look/attacked" in events(run) and b"look/maximizing" in events(run)
    assert (run / "metrics.jsonl").read_bytes() == lines, "the run can still be resumed"


def test_rows_that_are_no_pictures_are_attacked_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(FITS["fit"], tmp_path / "run") == 0
    assert main([str(tmp_path / "run")]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 4 and b"look/" not in events(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "told"),
    [("fit_numbers", "has learned numbers from diabetes"), ("autoencoder", "is a run of autoencoder")],
)
def test_what_has_no_classes_is_refused(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(FITS[name] | {"steps": 1}, tmp_path / "run") == 0
    assert main([str(tmp_path / "run")]) == 2
    assert told in capsys.readouterr().err

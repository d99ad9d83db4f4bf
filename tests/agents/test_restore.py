from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from agents.restore import go_on, load_checkpoint
from agents.wiring import build
from experiment.checkpoint import CheckpointError, save
from scripts.train import main
from tests.runs import raw, train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("restore") / "run"
    assert train(raw("dqn", steps=60), directory) == 0
    return directory


def without(state: dict[str, Any], *path: str) -> dict[str, Any]:
    *above, last = path
    copy = {name: dict(part) if isinstance(part, dict) else part for name, part in state.items()}
    place = copy
    for name in above:
        place[name] = dict(place[name])
        place = place[name]
    del place[last]
    return copy


@pytest.mark.parametrize(
    "path", [("loop",), ("learner",), ("fleet",), ("clocks",), ("metrics",), ("loop", "version"), ("memory", "rng")]
)
def test_a_state_that_lacks_something_is_refused_by_name_and_nothing_is_touched(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: tuple[str, ...]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    _, state, about = load_checkpoint(copy)
    told = {name: value for name, value in about.items() if name != "path"}
    save(copy / "checkpoints", about["steps"], without(state, *path), told)  # well-formed, and newest
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    assert main(["--run-dir", str(copy), "--resume", "steps=120"]) == 2
    error = capsys.readouterr().err
    assert "its state is not one that this run can go on from" in error and path[-1] in error
    assert {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()} == before


def test_a_manifest_without_its_config_or_with_steps_that_are_no_number_is_refused(run: Path, tmp_path: Path) -> None:
    _, state, about = load_checkpoint(run)
    told = {name: value for name, value in about.items() if name != "path"}
    for place, change in (("a", {"config": None}), ("b", {"steps": "many"})):
        save(tmp_path / place, 60, state, told | change)
        with pytest.raises(CheckpointError, match="its manifest doesn't say by which config, or after how many steps"):
            load_checkpoint(tmp_path / place / "step_000000060")


def test_a_state_that_fits_is_taken_over(run: Path) -> None:
    config, state, about = load_checkpoint(run)
    course = build(config)
    go_on(course, state, about["path"])
    assert course.steps == 60
    course.close()

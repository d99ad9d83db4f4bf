from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
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


@pytest.mark.parametrize(
    "change",
    [
        {"loop": {"steps": "many", "version": 12, "returns": [], "lengths": [], "staleness": [], "measures": {}}},
        {"clocks": {name: {"asked": "often"} for name in ("log", "evaluate", "save")}},
        {"metrics": {"step": 60, "offset": None}},
        {"metrics": 7},
    ],
)
@pytest.mark.parametrize("more", ["steps=60", "steps=120"])  # also of a run that seems to be over
def test_a_state_of_something_else_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], more: str
) -> None:
    if "loop" in change and more == "steps=60":
        return  # the manifest's steps are spent: nothing of the loop is looked at
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    _, state, about = load_checkpoint(copy)
    save(copy / "checkpoints", 60, state | change, {name: value for name, value in about.items() if name != "path"})
    assert main(["--run-dir", str(copy), "--resume", more]) == 2
    assert "its state is not one that this run can go on from" in capsys.readouterr().err


def test_another_world_in_config_and_manifest_does_not_fit(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    _, state, about = load_checkpoint(copy)
    told = {name: value for name, value in about.items() if name != "path"}
    told["config"]["env"]["id"] = "Acrobot-v1"
    save(copy / "checkpoints", 60, state, told)
    (copy / "config.yaml").write_text((copy / "config.yaml").read_text().replace("CartPole-v1", "Acrobot-v1"))
    assert main(["--run-dir", str(copy), "--resume", "steps=120"]) == 2
    assert "its state is not one that this run can go on from" in capsys.readouterr().err


def test_a_state_that_is_not_finite_is_passed_over(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    _, state, about = load_checkpoint(copy)
    told = {name: value for name, value in about.items() if name != "path"}
    good = about["path"]
    bad = save(copy / "checkpoints", 60, state | {"weights": state["weights"] * np.nan}, told)
    with pytest.warns(UserWarning, match=f"passing over.*{bad.name}: state/weights is not finite"):
        assert load_checkpoint(copy)[2]["path"] == good
    with pytest.raises(CheckpointError, match="state/weights is not finite"):
        load_checkpoint(bad)


def test_a_state_that_fits_is_taken_over(run: Path) -> None:
    config, state, about = load_checkpoint(run)
    course = build(config)
    go_on(course, state, about)
    assert course.steps == 60
    course.close()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("weights",), "many"),
        (("learner", "trained", "adam", "mean"), np.zeros(3, np.complex64)),
        (("learner", "updates"), 3.5),
        (("memory", "table", "made"), "many"),
        (("ratio", "made"), "many"),
        (("fleet", "actors", "1", "rollout", "returns"), np.zeros((1, 1), np.int16)),
        (("loop", "returns"), ["many"]),
    ],
)
def test_a_leaf_of_another_kind_is_refused_by_its_path(run: Path, path: tuple[str, ...], value: Any) -> None:
    config, state, about = load_checkpoint(run)
    part = state
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    course = build(config)
    with pytest.raises(CheckpointError, match="its state is not one .*" + path[-1]):
        go_on(course, state, about)
    course.close()

"""`sparring.train` is `scripts/train.py` under another hand: the same configs, the same numbers, the same refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparring
from experiment import extensions
from experiment.checkpoint import newest
from experiment.config import read
from experiment.run import RunError
from scripts.train import main
from sparring.training import CONFIGS, Over, located
from tests.runs import ROOT, raw, write

NAMES = sorted(f"{file.parent.name}/{file.stem}" for file in (ROOT / "configs").glob("*/*.yaml"))


def test_every_config_comes_along_and_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no clone here
    assert len(NAMES) > 30
    for name in NAMES:
        assert located(name).read_bytes() == (ROOT / "configs" / f"{name}.yaml").read_bytes()


def test_a_mistyped_name_is_told_with_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(sparring.ConfigError, match=r"ppo/cartpol: .*did you mean ppo/cartpole\?"):
        located("ppo/cartpol")
    assert main(["ppo/cartpol"]) == 2
    assert "did you mean ppo/cartpole?" in capsys.readouterr().err


def test_a_path_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ppo").mkdir()
    mine = tmp_path / "ppo" / "cartpole"
    mine.write_text("algorithm: ppo\n")
    monkeypatch.chdir(tmp_path)
    assert located("ppo/cartpole") == Path("ppo/cartpole")
    assert located(mine) == mine
    assert located(CONFIGS / "none.yaml") == CONFIGS / "none.yaml"  # whose absence `read` reports


@pytest.mark.parametrize(
    "overrides",
    [
        {"steps": 7, "learner": {"discount": 0.5, "clip": {"kind": "linear", "start": 1e-05}}, "env": {"count": 16}},
        {"steps": 7, "learner.discount": 0.5, "learner.clip.start": 1e-05, "env.count": 16},
    ],
)
def test_overrides_reach_into_sections_and_leave_the_rest(overrides: dict[str, Any]) -> None:
    found = sparring.configured("ppo/cartpole", **overrides).model_dump(mode="json")
    was = sparring.configured("ppo/cartpole").model_dump(mode="json")
    was["steps"], was["env"]["count"], was["learner"]["discount"] = 7, 16, 0.5
    was["learner"]["clip"]["start"] = 1e-05
    assert found == was


def test_a_wrong_override_says_what_was_meant() -> None:
    with pytest.raises(sparring.ConfigError, match=r"did you mean 'learner.discount'\?"):
        sparring.configured("ppo/cartpole", learner={"discont": 0.9})


def test_it_trains_as_the_command_does(tmp_path: Path) -> None:
    config, ours, theirs = raw("ppo", steps=128), tmp_path / "ours", tmp_path / "theirs"
    run = sparring.train(config, run_dir=ours, shown="nothing")
    assert run.steps == 128
    assert main([str(write(tmp_path / "tiny.yaml", config)), "--run-dir", str(theirs), "--quiet"]) == 0
    weights = [newest(place / "checkpoints")[1]["learner"] for place in (ours, theirs)]
    np.testing.assert_equal(*weights)
    assert read(ours / "config.yaml") == read(theirs / "config.yaml")


def test_it_goes_on_only_where_asked_to_and_where_steps_are_left(tmp_path: Path) -> None:
    config, place = raw("ppo", steps=64), tmp_path / "run"
    assert sparring.train(config, run_dir=place, shown="nothing").steps == 64
    with pytest.raises(RunError, match="already holds a run"):
        sparring.train(config, run_dir=place, shown="nothing")
    with pytest.raises(Over, match="has made all 64 steps"):
        sparring.train(config, run_dir=place, shown="nothing", resume=True)
    assert sparring.train(config, run_dir=place, shown="nothing", resume=True, steps=128).steps == 128


def test_modules_of_ones_own_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own_worlds", "own_games"):
        (tmp_path / f"{name}.py").touch()
    try:
        sparring.use("own_worlds")
        sparring.use("own_games", "own_worlds")
        assert extensions.loaded() == ["own_worlds", "own_games"]
        with pytest.raises(sparring.ConfigError, match="--import own_nothing: ModuleNotFoundError"):
            sparring.use("own_nothing")
    finally:
        extensions.load([])

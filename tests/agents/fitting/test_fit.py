"""Fits of data sets: what they reach, what is refused, and that a run that was stopped is the run that wasn't."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.registry import parse
from agents.wiring import build
from experiment.config import ConfigError
from scripts.evaluate import main as evaluate
from scripts.train import main
from supervised.datasets import read
from supervised.fit import Fitting
from tests.runs import FITS, ROOT, assert_same_run, lines, train

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fit") / "run"
    assert train(FITS["fit"], directory) == 0
    return directory


def test_digits_are_recognized(tmp_path: Path) -> None:
    """As docs/fit.md says."""
    config = ROOT / "configs" / "supervised" / "digits_mlp.yaml"
    assert main([str(config), "--run-dir", str(tmp_path / "run"), "--quiet"]) == 0
    assert lines(tmp_path / "run")[-1]["eval/accuracy"] >= 0.97


def test_numbers_are_predicted_better_than_by_their_mean(tmp_path: Path) -> None:
    assert train(FITS["fit_numbers"] | {"steps": 200}, tmp_path / "run") == 0
    told = lines(tmp_path / "run")[-1]
    assert told["eval/loss"] < 0.7 and "eval/accuracy" not in told


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_resumed_fit_is_the_fit_that_never_stopped(run: Path, after: int, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    checkpoints = sorted((copy / "checkpoints").iterdir())
    assert len(checkpoints) == 10, "every 7 of 60 updates, 3 of which are an epoch"
    for late in checkpoints[after + 1 :]:
        shutil.rmtree(late)
    assert train(FITS["fit"], copy, "--resume") == 0
    assert_same_run(run, copy)


def made(**changes: Any) -> Fitting:
    course = build(parse(FITS["fit"] | changes))
    assert isinstance(course, Fitting)
    return course


def test_a_loss_may_be_chosen_for_classes() -> None:
    by_default, by_name = made(), made(learner={"loss": "cross_entropy"})
    assert by_default.evaluate() == by_name.evaluate()
    course = made(learner={"loss": "squared", "learning_rate": 1e-2})
    before = course.evaluate()
    course.advance(200)
    after = course.evaluate()
    assert after["eval/loss"] < 0.1 < before["eval/loss"] and after["eval/accuracy"] > 0.9


def test_pictures_are_shifted_where_they_are_learned_from() -> None:
    course = made(data="digits", shape=[1, 8, 8], standardize=False, learner={"shift": 1})
    (drawn,) = course.augment(np.random.default_rng(0), [course.rows[0][:50]])
    assert course.rows[0].max() == 1 and drawn.shape == (50, 1, 8, 8)
    assert 0 < (drawn == course.rows[0][:50]).all((1, 2, 3)).sum() < 50
    columns = [course.rows[0][:50]]
    assert made(data="digits", shape=[1, 8, 8]).augment(np.random.default_rng(0), columns) is columns


@pytest.mark.slow
def test_a_compiled_fit_is_the_plain_one() -> None:
    plain, compiled, other = made(compile="off"), made(compile="on"), made(compile="off", seed=1)
    for course in (plain, compiled, other):
        for _ in range(20):
            course.update()
    np.testing.assert_allclose(compiled.trained.flat.weights(), plain.trained.flat.weights(), rtol=0, atol=1e-5)
    assert not np.allclose(other.trained.flat.weights(), plain.trained.flat.weights(), atol=1e-2)


def test_arrays_of_ones_own_are_learned(tmp_path: Path) -> None:
    rows = read("iris")
    np.savez(tmp_path / "own.npz", inputs=rows.inputs, targets=rows.targets)
    assert made(data=str(tmp_path / "own.npz")).evaluate() == made().evaluate()
    assert train(FITS["fit"] | {"data": str(tmp_path / "nowhere.npz")}, tmp_path / "run") == 2


def test_a_fold_holds_out_other_rows() -> None:
    one, other = made(), made(fold=1)
    assert (one.held_out[0] != other.held_out[0]).any()
    np.testing.assert_array_equal(one.trained.flat.weights(), other.trained.flat.weights())


def test_seed_and_data_decide_the_rows_and_the_network() -> None:
    one, other = made(), made(seed=1)
    assert (one.rows[0] != other.rows[0]).any()
    assert (one.trained.flat.weights() != other.trained.flat.weights()).any()
    assert one.trained.flat.module.get_parameter("head.weight").shape == (3, 16)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": "diabetes", "learner": {"loss": "cross_entropy"}}, "diabetes has numbers to predict: use squared"),
        ({"learner": {"batch_size": 121}}, "rows in batches of 121: there are 120"),
        ({"network": {"torso": "nature_cnn"}}, "network.torso=nature_cnn wants pictures"),
        ({"shape": [1, 3]}, r"shape: found \[1, 3\], expected 4 numbers in all, as iris has"),
        ({"held_out": 0.001}, "0.001 of 150 rows"),
        ({"fold": 5}, "fold: found 5"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        made(**changes)


@pytest.mark.parametrize(
    "wrong",
    [{"learner": {"shift": 1}}, {"data": "iriss"}, {"held_out": 0.0}, {"held_out": 1.0}, {"game": "kuhn_poker"}],
)
def test_a_wrong_config_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        parse(FITS["fit"] | wrong)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "fit learns iris, and acts nowhere"),
        (["--env", "CartPole-v1"], "fit learns iris, and acts nowhere"),
        (["--game", "tic_tac_toe"], "fit is no agent and plays no games"),
    ],
)
def test_a_fit_is_no_agent(run: Path, more: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(run), "random", *more]) == 2
    assert told in capsys.readouterr().err


def test_a_fit_that_comes_second_is_no_agent_either(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["random", str(run), "--env", "CartPole-v1"]) == 2
    assert "fit learns iris, not in an environment" in capsys.readouterr().err

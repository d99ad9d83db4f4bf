"""Behaviour cloning: few episodes of a known expert are enough, from a log too, and the fit resumes exactly."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.experience.demonstrations import recorded
from agents.experience.logged import read, write
from agents.experience.rollout import make_env
from agents.experience.scripted import Scripted
from agents.registry import parse
from agents.wiring import build
from scripts.record import main as record
from tests.runs import APART, assert_same_run, lines, train

CARTPOLE: dict[str, Any] = {
    "algorithm": "behaviour_cloning",
    "env": {"id": "CartPole-v1"},
    "steps": 1_000,
    "learner": {"learning_rate": 3e-3},
    "evaluation": {"episodes": 8},
}


def reached(config: dict[str, Any], directory: Path) -> float:
    assert train(config, directory) == 0
    return float(lines(directory)[-1]["eval/mean_reward"])


def test_five_episodes_are_enough(tmp_path: Path) -> None:
    assert reached(CARTPOLE | {"episodes": 5}, tmp_path / "run") >= 475
    assert reached(CARTPOLE | {"episodes": 5, "steps": 1}, tmp_path / "hardly") < 200, "nothing learned falls"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_an_expert_that_errs_is_cloned_without_its_errors(seed: int, tmp_path: Path) -> None:
    """A fifth of the recorded actions is flipped; the likeliest action stays that of the rule."""
    env, rng = make_env(parse(CARTPOLE).environment, 1), np.random.default_rng(seed)  # type: ignore[arg-type]
    unrolls = recorded(Scripted(env.spec), env, 5, seed, rng, explore=False)
    flipped = [u._replace(action=np.where(rng.random(u.action.shape) < 0.2, 1 - u.action, u.action)) for u in unrolls]
    write(tmp_path / "log", flipped)
    assert reached(CARTPOLE | {"demonstrations": str(tmp_path / "log")}, tmp_path / "run") >= 450


def test_a_log_is_learned_from_as_what_it_was_recorded_from(tmp_path: Path) -> None:
    """The same episodes: those that a run with `scripted` would record itself, by its seed."""
    log = tmp_path / "log"
    assert record(["scripted", "--env", "CartPole-v1", "--episodes", "2", "--out", str(log)]) == 0
    logged = build(parse(CARTPOLE | {"demonstrations": str(log)}))
    played = build(parse(CARTPOLE | {"episodes": 2}))
    assert [len(column) for column in logged.rows] == [len(column) for column in played.rows] == [900, 900]  # type: ignore[attr-defined]
    kept = np.concatenate([logged.rows[0], logged.held_out[0]])  # type: ignore[attr-defined]
    told = np.concatenate([unroll.obs[:-1, 0] for unroll in read(log)])
    assert np.array_equal(np.sort(kept, axis=0), np.sort(told, axis=0))


def test_a_fit_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    config = APART["behaviour_cloning"]
    assert train(config, tmp_path / "whole") == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    for late in sorted((tmp_path / "killed" / "checkpoints").iterdir())[2:]:
        shutil.rmtree(late)
    assert train(config, tmp_path / "killed", "--resume") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_games_are_cloned_by_their_loss_alone(tmp_path: Path) -> None:
    log, game = tmp_path / "log", {"algorithm": "behaviour_cloning", "env": {"id": "game:tic_tac_toe"}, "steps": 20}
    assert record(["random", "--env", "game:tic_tac_toe", "--episodes", "20", "--out", str(log)]) == 0
    config = game | {"demonstrations": str(log), "learner": {"batch_size": 16}}
    assert train(config, tmp_path / "run") == 0
    last = lines(tmp_path / "run")[-1]
    assert 0 < last["eval/loss"] < 2.5 and "eval/mean_reward" not in last


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"demonstrations": "nowhere"}, "nowhere: no such checkpoint"),
        ({"env": {"id": "FrozenLake-v1"}}, "no rule is known for FrozenLake-v1"),
        ({"network": {"torso": "gru"}}, "remembers the steps of an episode"),
        ({"learner": {"batch_size": 10_000}}, "rows in batches of 10000: there are 450"),
        ({"evaluation": {"opponents": ["random"]}}, "evaluation.opponents"),
    ],
)
def test_a_wrong_request_is_told(
    changes: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(CARTPOLE | {"episodes": 1} | changes, tmp_path / "run") == 2
    assert reason in capsys.readouterr().err

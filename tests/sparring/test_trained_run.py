"""What a run has learned, in hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sparring
from agents.restore import load_policy
from envs.gymnasium_env import make
from experiment.checkpoint import CheckpointError
from tests.runs import raw


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sparring.TrainedRun:
    return sparring.train(raw("ppo", steps=64), run_dir=tmp_path_factory.mktemp("runs") / "run", shown="nothing")


def test_it_does_what_its_policy_does(run: sparring.TrainedRun) -> None:
    policy, spec = load_policy(run.directory)
    step = make(run.config.world.name, 5).reset(0)
    expected = policy.act(policy.initial(5), step, np.random.default_rng(0), explore=False).action
    actions, _ = run.predict(step.obs)
    np.testing.assert_array_equal(actions, expected)
    for row in range(5):
        np.testing.assert_array_equal(run.predict(step.obs[row], carry=policy.initial(1))[0], expected[row])
    with pytest.raises(ValueError, match="obs: found shape"):
        run.predict(np.zeros((2, *spec.obs_shape, 1)))


def test_a_run_stands_where_its_directory_does(run: sparring.TrainedRun) -> None:
    (found,) = sparring.evaluate(run, episodes=2)
    assert found.name == str(run.directory) and found.episodes == 2
    assert sparring.load(run) == run


def test_it_plays_the_game_it_was_trained_for(tmp_path: Path) -> None:
    run = sparring.train(raw("ppo_game", steps=64), run_dir=tmp_path / "run", shown="nothing")
    assert run.player().name == str(run.directory)
    assert {line.name for line in sparring.match(run, "random", games=4)} == {str(run.directory), "random"}
    with pytest.raises(ValueError, match="nothing can follow the @"):
        run.player(simulations=10)


def test_nothing_is_loaded_from_nowhere(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        sparring.load(tmp_path)

"""From options to reward models, and on to the memory and the loop."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.actor_critic.configs.ppo import PPO
from agents.api import Parts
from agents.experience.rewards.count import CountBonus
from agents.experience.rollout import env_spec
from agents.registry import algorithm, parse
from experiment.config import ConfigError, describe
from experiment.seeding import Seeds
from scripts.train import main
from tests.agents.test_config_fields import read_by
from tests.runs import assert_same_run, raw, train

COUNT = {"kind": "count", "scale": 0.25, "resolution": 0.5}
GAIL: dict[str, Any] = {"kind": "gail", "episodes": 1, "hidden": [8], "updates": 2, "batch_size": 32}
AIRL = GAIL | {"kind": "airl"}


def parts(name: str, **changes: Any) -> Parts:
    config: Any = parse(raw(name, **changes))
    make = algorithm(config.algorithm).load().make
    assert make is not None
    return make(config, env_spec(config.env), Seeds(0), torch.device("cpu"))


def test_a_model_has_its_options() -> None:
    model = parts("ppo", rewards=[COUNT]).rewards["count"]
    assert isinstance(model, CountBonus)
    assert (model.scale, model.resolution) == (0.25, 0.5)
    assert parts("ppo").rewards == {}


def test_every_kind_has_a_model() -> None:
    kinds = next(option.type for option in describe(PPO) if option.key == "rewards[].kind")
    made = parts("ppo", rewards=[{"kind": kind} for kind in kinds.removeprefix("one of: ").split(", ")])
    assert [type(model).__name__ for model in made.rewards.values()] == ["CountBonus", "Adversary", "Adversary"]


def test_every_option_is_read(tmp_path: Path) -> None:
    """Of the models; that learners read `rewards` is seen for each of them in tests/agents/test_config_fields.py."""
    wanted = {option.key for option in describe(PPO) if option.key.startswith("rewards[].")}
    models = [COUNT, GAIL, AIRL | {"state_only": True}]
    assert wanted <= read_by(parse(raw("ppo", steps=160, rewards=models)), tmp_path / "run")


@pytest.mark.parametrize("name", ["ppo", "dqn", "ddpg"])
def test_the_memory_judges_by_the_models_that_the_loop_shows_experience_to(name: str) -> None:
    made = parts(name, rewards=[COUNT])
    assert list(made.rewards) == ["count"]
    memory: Any = made.memory
    judging = memory.rewards if name == "ppo" else memory.table.rewards
    assert judging.models["count"] is made.rewards["count"]
    assert not parts(name).rewards


def test_screens_are_judged_too() -> None:
    pytest.importorskip("ale_py")
    made = parts("atari", rewards=[COUNT])
    memory: Any = made.memory
    assert memory.table.rewards.models["count"] is made.rewards["count"]


@pytest.mark.parametrize(
    ("name", "model"),
    [("ppo", COUNT), ("dqn", COUNT), ("td3", COUNT), ("ppo", GAIL), ("a2c", AIRL), ("trpo", AIRL), ("sac", GAIL)],
)
def test_a_run_with_models_goes_on_as_if_it_had_never_stopped(name: str, model: Any, tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert train(raw(name, rewards=[model]), whole) == 0
    shutil.copytree(whole, resumed)
    for checkpoint in sorted((resumed / "checkpoints").iterdir())[2:]:
        shutil.rmtree(checkpoint)
    assert main(["--resume", "--run-dir", str(resumed), "--quiet"]) == 0
    assert_same_run(whole, resumed)


@pytest.mark.parametrize(
    ("rewards", "problem"),
    [
        ([COUNT, COUNT], "rewards: count stands here twice"),
        ([COUNT | {"scal": 1}], "unknown key rewards.0.scal; did you mean 'rewards.0.scale'?"),
        ([{"kind": "cuont"}], 'rewards.0.kind: found "cuont", expected one of: count, gail, airl'),
        (COUNT, "rewards: found a mapping, expected list of sections"),
    ],
)
def test_wrong_options_are_refused(rewards: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(raw("ppo", rewards=rewards))
    assert refused.value.problems == [problem]


@pytest.mark.parametrize(
    ("name", "model", "reason"),
    [
        ("dqn", AIRL, "airl wants a policy with probabilities"),
        ("ppo_masked", AIRL, "no rule is known for sparring/MaskedAction-v0"),
        ("ppo_gru", AIRL, "use another network.torso"),
        ("ppo", GAIL | {"demonstrations": "nowhere"}, "nowhere"),
    ],
)
def test_a_model_that_can_not_be_made_is_refused(
    name: str, model: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(raw(name, rewards=[model]), tmp_path / "run") == 2
    assert reason in capsys.readouterr().err

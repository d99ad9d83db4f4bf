"""From a config to its course, or to the reason why there is none."""

from __future__ import annotations

import importlib.util
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.arena.ladder import Climber
from agents.config import Control
from agents.registry import parse
from agents.wiring import build, matches, program, torso_in, warn_of_pictures
from envs.api import Discrete, Spec
from experiment.config import ConfigError
from experiment.seeding import Seeds
from tests.runs import raw, state, train

needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")


def opponents(game: str, **evaluation: Any) -> list[str]:
    """Whom DQN meets in a game."""
    config = parse(raw("dqn_game", env={"id": f"game:{game}"}, evaluation=evaluation))
    assert isinstance(config, Control)
    found = matches(config, Seeds(0))
    assert isinstance(found, Climber)
    return [player.name for player in found.opponents]


@pytest.mark.parametrize("name", ["ppo", "trpo", "deep_cfr"])
@pytest.mark.parametrize(("compile", "expected"), [("on", "compiled"), ("off", "eager")])
def test_what_computes_a_run_is_known_before_its_first_step(name: str, compile: str, expected: str) -> None:
    with closing(build(parse(raw(name, compile=compile)))) as course:
        assert program(course) == expected


def test_opponents_are_config() -> None:
    assert opponents("tic_tac_toe") == ["random", "one_ply"]
    assert opponents("tic_tac_toe", opponents=["minimax:2"]) == ["minimax:2"]
    assert opponents("kuhn_poker") == ["random"], "one_ply would have to see the cards"
    with pytest.raises(ValueError, match="one_ply looks ahead on the board, and in kuhn_poker not everything"):
        opponents("kuhn_poker", opponents=["random", "one_ply"])
    with pytest.raises(ConfigError, match="evaluation.opponents are met in games, but CartPole-v1 is an environment"):
        parse(raw("dqn", evaluation={"opponents": ["random"]}))


@needs_open_spiel
def test_what_is_hidden_keeps_nobody_from_learning() -> None:
    build(parse(raw("dqn_game", env={"id": "game:liars_dice"}))).close()


@needs_open_spiel
@pytest.mark.parametrize(
    ("run", "change", "reason"),
    [
        ("dqn_game", {"env": {"id": "game:hearts"}}, "hearts has 4 seats that don't just play against each other"),
        ("alphazero", {"game": "kuhn_poker"}, "kuhn_poker hides something .* cfr, mccfr and deep_cfr are for such"),
        ("alphazero", {"game": "goofspiel(num_cards=3)"}, r"goofspiel\(num_cards=3\) hides something"),
        ("alphazero", {"game": "nim"}, "selfplay.cache is 64, but positions of nim can't be compared: set it to 0"),
        ("alphazero", {"evaluation": {"opponents": ["nobody"]}}, "player 'nobody': no such player"),
    ],
)
def test_what_cannot_be_learned_is_refused_when_it_is_built(run: str, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build(parse(raw(run, **change)))


@pytest.mark.parametrize(
    ("name", "shape", "frames", "advice"),
    [
        ("CarRacing-v3", (3, 96, 96), 1, "nature_cnn is made for pictures$"),
        ("ALE/Pong-v5", (3, 210, 160), 1, "nature_cnn is made for pictures, and env.atari={} makes them grey"),
        ("ALE/Pong-v5", (4, 84, 84), 4, "nature_cnn is made for pictures$"),
    ],
)
def test_who_takes_pictures_for_numbers_is_told(name: str, shape: tuple[int, ...], frames: int, advice: str) -> None:
    with pytest.warns(UserWarning, match=f"network.torso=mlp takes the pictures of {name}.*{advice}"):
        warn_of_pictures(Spec(name, shape, "uint8", Discrete(2), frames=frames))


@pytest.mark.parametrize(("shape", "kind"), [((3, 7, 7), "uint8"), ((128,), "float32"), ((3, 96, 96), "float32")])
def test_what_no_convolution_could_take_is_left_alone(shape: tuple[int, ...], kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_pictures(Spec("small", shape, kind, Discrete(2)))


# Beginning with what another run has learned -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Iris has four numbers a row, as CartPole has."""
    run = tmp_path_factory.mktemp("fitted") / "iris"
    assert train(raw("fit"), run) == 0
    return run


def same(module: Any, other: Any) -> bool:
    pairs = zip(module.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(one, another) for one, another in pairs)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_a_policy_begins_with_a_torso_that_was_fitted(name: str, fitted: Path) -> None:
    """Every torso of the learner does, and its target network's."""
    changes: dict[str, Any] = {"hidden": [16], "pretrained": str(fitted)}
    changes |= {"activation": "tanh", "dueling": False} if name == "dqn" else {}
    course: Any = build(parse(raw(name, network=changes)))
    source = torso_in(fitted)
    network = course.learner.network
    torsos = [network.policy.torso, network.torso] if name == "ppo" else [network.torso]
    assert all(same(torso, source) for torso in torsos)
    if name == "dqn":
        trained = course.learner.trained
        assert torch.equal(trained.state.target, trained.state.parameters)
    course.close()


def test_a_frozen_torso_stays_what_it_was_and_the_rest_learns(fitted: Path, tmp_path: Path) -> None:
    network = {"pretrained": str(fitted), "frozen": True, "hidden": [16]}
    assert train(raw("ppo", network=network), tmp_path / "run") == 0
    course: Any = build(parse(raw("ppo", network=network)))
    before = course.learner.state_dict()["trained"]["weights"].copy()
    course.load_state_dict(state(tmp_path / "run"))
    policy = course.learner.network.policy
    assert same(policy.torso, torso_in(fitted)) and same(course.learner.network.torso, torso_in(fitted))
    assert np.mean(course.learner.state_dict()["trained"]["weights"] != before) > 0.1
    course.close()


def test_a_policy_and_a_fit_are_learned_from_alike(fitted: Path, tmp_path: Path) -> None:
    assert train(raw("ppo"), tmp_path / "run") == 0
    assert not same(torso_in(tmp_path / "run"), torso_in(fitted))
    again: Any = build(parse(raw("fit", network={"hidden": [16], "pretrained": str(tmp_path / "run")})))
    assert same(again.trained.flat.module.torso, torso_in(tmp_path / "run"))


def test_what_is_nothing_to_begin_with_is_told(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for network, told in [
        ({"hidden": [8], "pretrained": str(fitted)}, "network.pretrained: no torso here is made like"),
        ({"pretrained": str(tmp_path / "nowhere")}, "nowhere"),
    ]:
        assert train(raw("ppo", network=network), tmp_path / "run") == 2
        assert told in capsys.readouterr().err
    frozen = raw("fit", network={"frozen": True}, learner={"regularization": 0.1})
    assert train(frozen, tmp_path / "run") == 2
    assert "learner.regularization would shrink the torso" in capsys.readouterr().err

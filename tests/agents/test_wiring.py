"""From a config to its course, or to the reason why there is none."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import pytest

from agents.arena.ladder import Climber
from agents.config import Control
from agents.registry import parse
from agents.wiring import build, matches, warn_of_pictures
from envs.api import Discrete, Spec
from experiment.config import ConfigError
from experiment.seeding import Seeds
from tests.runs import raw

needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")


def opponents(game: str, **evaluation: Any) -> list[str]:
    """Whom DQN meets in a game."""
    config = parse(raw("dqn_game", env={"id": f"game:{game}"}, evaluation=evaluation))
    assert isinstance(config, Control)
    found = matches(config, Seeds(0))
    assert isinstance(found, Climber)
    return [player.name for player in found.opponents]


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

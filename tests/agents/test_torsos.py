"""Kinds of torsos in configs: in short and in full, refused with all that is wrong, and read to the last option."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.actor_critic.configs.ppo import PPO
from agents.config import NetworkOptions
from agents.parts.networks import build
from agents.torsos import Recalling
from experiment.config import Config, ConfigError, check, describe, dump, override
from supervised.networks.torso import PICTURES, RECALLING, sequences
from tests.agents.test_config_fields import noting

ENV = {"id": "CartPole-v1"}
# Every option of every kind, with a value that isn't its default.
KINDS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "nips_cnn": {},
    "nature_cnn": {},
    "lenet": {},
    "cnn": {"convolutions": [{"filters": 3, "kernel": 5, "stride": 2, "padding": 1, "pool": 2}, {"filters": 4}]},
    "vgg": {"stages": [1, 1], "filters": 4},
    "resnet": {"stages": [1, 1], "filters": 4, "bottleneck": True, "squeeze": True, "shrink": True},
    "densenet": {"stages": [1, 1], "growth": 4, "shrink": True},
    "vit": {"patch": 10, "width": 8, "layers": 2, "heads": 2},
    "rnn": {"width": 8, "layers": 2, "encoder": "lenet"},
    "gru": {"width": 8, "layers": 2, "encoder": "resnet"},
    "lstm": {"width": 8, "layers": 2, "encoder": "vgg"},
    "transformer": {
        "width": 8, "layers": 2, "heads": 2, "window": 3, "norm": "post", "positions": "learned", "attention": "linear",
        "encoder": "vit",
    },
}  # fmt: skip
SHAPE = (2, 40, 40)


def options(torso: Any) -> NetworkOptions:
    return check(NetworkOptions, {"torso": torso, "hidden": [6]})


def made(chosen: NetworkOptions) -> tuple[torch.nn.Module, int]:
    return build(chosen, SHAPE, "orthogonal", torch.Generator().manual_seed(0))


def test_every_kind_is_here() -> None:
    assert KINDS.keys() == {"mlp", *PICTURES, *RECALLING}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_makes_a_torso(kind: str) -> None:
    chosen = options({"kind": kind, **KINDS[kind]})
    torso, features = made(chosen)
    assert sequences(torso) == isinstance(chosen.torso, Recalling) == (kind in RECALLING)
    pictures, first = torch.rand(5, 3, *SHAPE), torch.zeros(5, 3, dtype=torch.bool)
    if kind in RECALLING:
        assert torso(torso.initial(3), pictures, first)[1].shape == (5, 3, features)  # type: ignore[operator]
    else:
        assert torso(pictures[0]).shape == (3, features) == (3, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_read_and_changes_the_torso(kind: str) -> None:
    chosen = options({"kind": kind, **KINDS[kind]})
    with noting(chosen) as read:
        torso, _ = made(chosen)
    inside = {option.key for option in describe(type(chosen.torso))}  # type: ignore[arg-type]
    assert {f"torso.{key}" for key in inside} <= read
    for name in KINDS[kind] if kind != "cnn" else ():
        other, _ = made(options({"kind": kind, **{key: value for key, value in KINDS[kind].items() if key != name}}))
        assert told(other) != told(torso), name


def told(torso: torch.nn.Module) -> Any:
    """What a torso is like."""
    model: Any = getattr(torso, "model", None)
    apart = [getattr(model, name, None) for name in ("window", "linear", "positions", "heads")]
    return str(torso), apart, [(getattr(part, "norm", None), getattr(part, "heads", None)) for part in torso.modules()]


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"cnn"}))
def test_a_kind_alone_stands_for_its_section(kind: str) -> None:
    short, whole = options(kind), options({"kind": kind})
    assert short == whole and dump(short) == dump(whole)
    assert check(NetworkOptions, override({"torso": "lenet"}, [f"torso={kind}"])).torso == whole.torso


def test_what_older_runs_wrote_is_still_read() -> None:
    old = {"torso": "mlp", "hidden": [64, 64], "activation": "tanh", "shared": False, "log_std": 0.0}
    assert check(PPO, {"env": ENV, "network": old}) == check(PPO, {"env": ENV})


def refused(model: type[Config], raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check(model, raw)
    return error.value.problems


def test_everything_that_is_wrong_is_told_at_once() -> None:
    torso = {"kind": "resnet", "stages": [2, 0], "filers": 3, "patch": 4, "squeeze": "no"}
    assert sorted(refused(NetworkOptions, {"torso": torso, "hidden": [0], "activaton": "relu"})) == sorted(
        [
            "torso.stages.1: found 0, expected greater than 0",
            "unknown key torso.filers; did you mean 'torso.filters'?",
            "unknown key torso.patch, as torso is now",
            'torso.squeeze: found "no", expected bool',
            "hidden.0: found 0, expected greater than 0",
            "unknown key activaton; did you mean 'activation'?",
        ]
    )


@pytest.mark.parametrize(
    ("torso", "told"),
    [
        ("resnt", 'torso: found "resnt", expected one of: mlp, nips_cnn,'),
        ("cnn", 'torso: found "cnn", expected one of: mlp, nips_cnn,'),  # it has no layers by itself
        (3, "torso: found 3, expected one of: mlp, nips_cnn,"),
        ({}, "torso.kind: is missing, expected one of: mlp, nips_cnn,"),
        ({"kind": "resnt"}, 'torso.kind: found "resnt", expected one of: mlp, nips_cnn,'),
        ({"kind": 3}, "torso.kind: found 3, expected one of: mlp, nips_cnn,"),
        ({"kind": "gru", "encoder": "gru"}, 'torso.encoder: found "gru", expected one of: mlp, nips_cnn,'),
        ({"kind": "cnn"}, "torso.convolutions: is missing, expected list of sections"),
    ],
)
def test_what_is_no_torso_is_refused(torso: Any, told: str) -> None:
    (problem,) = refused(NetworkOptions, {"torso": torso})
    assert problem.startswith(told)

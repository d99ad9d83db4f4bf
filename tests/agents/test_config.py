"""What a config may say of a world."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.config import Environment
from experiment import extensions
from experiment.config import ConfigError, check


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that was named by --import."""
    (tmp_path / "imported_world.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    extensions.load(["imported_world"])
    yield "imported_world"
    extensions.load([])
    sys.modules.pop("imported_world", None)


def test_an_id_may_name_the_module_that_was_imported_for_it(imported: str) -> None:
    assert check(Environment, {"id": f"{imported}:CartPole-v1"}).id == "CartPole-v1"
    assert check(Environment, {"id": "game:tic_tac_toe"}).game == "tic_tac_toe"


def test_a_config_imports_nothing(imported: str) -> None:
    """Not even what is there already for other reasons."""
    for module in ("os", "nowhere.at_all"):
        with pytest.raises(ConfigError, match=f"id: .*say --import {module}"):
            check(Environment, {"id": f"{module}:CartPole-v1"})
    assert "nowhere" not in sys.modules


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"id": "ALE/Pong-v5", "atari": {}, "wrappers": [{"name": "TimeLimit"}]}, "exclude each other"),
        ({"id": "game:tic_tac_toe", "wrappers": [{"name": "TimeLimit"}]}, "env.wrappers.* are not for games"),
    ],
)
def test_wrappers_are_for_plain_worlds(env: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        check(Environment, env)

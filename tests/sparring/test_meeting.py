"""What the package returns is what the command writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sparring
from agents.arena import paired, standings
from scripts.evaluate import main


def test_an_evaluation_is_the_commands(tmp_path: Path) -> None:
    found = sparring.evaluate("random", "scripted", env="CartPole-v1", episodes=6, seed=3)
    file = tmp_path / "found.json"
    asked = ["random", "scripted", "--env", "CartPole-v1", "--episodes", "6", "--seed", "3", "--json", str(file)]
    assert main(asked) == 0
    assert json.loads(file.read_text())["contenders"] == json.loads(json.dumps(paired.record(found)))
    assert [line.name for line in found] == ["random", "scripted"]


def test_a_match_is_the_commands(tmp_path: Path) -> None:
    found = sparring.match("random", "one_ply", game="tic_tac_toe", games=20)
    file = tmp_path / "found.json"
    assert main(["random", "one_ply", "--game", "tic_tac_toe", "--games", "20", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["players"] == json.loads(json.dumps(standings.record(found)))
    assert found[0].name == "one_ply"


def test_what_can_not_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        sparring.evaluate()
    with pytest.raises(ValueError, match="random does not say where it was trained"):
        sparring.evaluate("random")
    with pytest.raises(ValueError, match="game is missing"):
        sparring.match("random", "one_ply")
    with pytest.raises(ValueError, match="at least 2"):
        sparring.match("random", game="tic_tac_toe")

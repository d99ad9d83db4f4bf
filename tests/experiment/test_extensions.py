"""Modules that the person at the keyboard names: every command loads them first, and a run asks for them again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiment import extensions
from experiment.checkpoint import newest
from experiment.config import ConfigError
from scripts import evaluate, play, policy
from scripts import train as training
from tests.runs import ROOT, assert_same_run, command, raw, train, write

COMMANDS: dict[str, Any] = {"train": training, "evaluate": evaluate, "play": play, "policy": policy}

# A world with an argument, a game for one player more than chess, and who plays it.
MODULE = '''
import gymnasium
import numpy as np
from gymnasium import spaces

from agents.entrants import PLAYERS
from envs.api import TERMINAL, GameSpec
from envs.games.make import OTHERS


class Corridor(gymnasium.Env):
    """Go right `length` times."""

    observation_space, action_space = spaces.Box(0.0, 9.0, (1,), np.float32), spaces.Discrete(2)

    def __init__(self, length):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        self.at = max(0, self.at + 2 * int(action) - 1)
        return np.array([self.at], np.float32), -1.0, self.at == self.length, False, {}


class Nim:
    """Two seats take one or two stones of three in turn; the last stone wins. Positions: seat, stones."""

    spec = GameSpec("small_nim", 2, 2, (4,), 3, True, False, True, (-1.0, 1.0))

    def initial(self, n):
        return np.tile(np.array([[0, 3]]), (n, 1))

    def step(self, positions, actions):
        return np.stack([1 - positions[:, 0], positions[:, 1] - actions - 1], 1)

    def seat(self, positions):
        return np.where(positions[:, 1] > 0, positions[:, 0], TERMINAL)

    def legal(self, positions):
        return np.arange(2) < positions[:, 1:]

    def chance(self, positions):
        return np.zeros((len(positions), 2))

    def returns(self, positions):
        first = np.where(positions[:, 1] > 0, 0.0, 2.0 * positions[:, 0] - 1)
        return np.stack([first, -first], 1)

    def observe(self, positions, seat=None):
        return np.eye(4, dtype=np.float32)[positions[:, 1]]

    def information_state(self, positions, seat=None):
        return [f"{mover} of {stones}" for mover, stones in positions]


class Last:
    """The largest legal action."""

    def __init__(self, name, game):
        self.name, self.game = name, game

    def begin(self, n):
        return {}

    def choose(self, carry, positions, rng):
        legal = self.game.legal(positions)
        return carry, legal.shape[1] - 1 - legal[:, ::-1].argmax(1)


gymnasium.register("Corridor-v0", entry_point=Corridor, max_episode_steps=20)
OTHERS["small_nim"] = lambda name: Nim()
PLAYERS["last"] = Last
'''
CORRIDOR = raw("ppo", env={"id": "Corridor-v0", "options": {"length": 3}}, normalize={}, steps=256, checkpoint={})
RAY = raw("ppo", runtime={"kind": "ray"})
NIM = raw("ppo_game", env={"id": "game:small_nim"}, steps=128)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, extensible: None) -> Path:
    """Where the module lies, and runs that were made with it."""
    home = tmp_path_factory.mktemp("elsewhere")
    (home / "corridors.py").write_text(MODULE)
    for name, text in {"broken": "1 / 0", "leaving": "raise SystemExit(0)"}.items():
        (home / f"{name}.py").write_text(text)
    sys.path.insert(0, str(home))
    assert train(CORRIDOR, home / "corridor", "--import", "corridors") == 0
    assert train(NIM, home / "nim", "--import", "corridors") == 0
    return home


def test_modules_are_loaded_in_order_and_remembered_until_the_next_time(tmp_path: Path, extensible: None) -> None:
    os.chdir(tmp_path)  # where they lie
    try:
        (tmp_path / "first_of_two.py").write_text("told = []")
        (tmp_path / "second_of_two.py").write_text("from first_of_two import told; told.append(1)")
        extensions.load(["first_of_two", "second_of_two"])
        assert extensions.loaded() == ["first_of_two", "second_of_two"]
        assert sys.modules["first_of_two"].told == [1]
        extensions.load([])
        assert extensions.loaded() == []
    finally:
        os.chdir(ROOT)


@pytest.mark.parametrize("request_", COMMANDS)
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("broken", "ZeroDivisionError: division by zero"),
        ("leaving", "SystemExit: 0"),
    ],
)
def test_an_import_that_fails_is_refused_before_anything_starts(
    request_: str, module: str, reason: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {
        "train": [str(write(tmp_path / "c.yaml", RAY)), "--run-dir", str(tmp_path / "run")],
        "evaluate": ["random", "--env", "CartPole-v1"],
        "play": ["--opponent", "random", "--game", "tic_tac_toe"],
        "policy": ["random", "--game", "kuhn_poker"],
    }[request_]
    assert COMMANDS[request_].main([*asked, "--import", module]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err == f"error: --import {module}: {reason}\n"
    assert not (tmp_path / "run").exists()


def test_a_run_remembers_what_was_imported(home: Path) -> None:
    assert newest(home / "corridor" / "checkpoints")[2]["imports"] == ["corridors"]
    extensions.load([])
    with pytest.raises(ConfigError, match="say --import corridors here too"):
        extensions.require(home / "corridor")
    extensions.load(["corridors"])
    for path in (home / "corridor", home / "corridor" / "checkpoints", home / "nowhere"):
        extensions.require(path)


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        ("train", ["--resume", "--run-dir", "{home}/corridor", "steps=512", "--quiet"]),
        ("evaluate", ["{home}/corridor", "--episodes", "4"]),
        ("evaluate", ["random", "{home}/corridor", "--env", "Corridor-v0", "--env-options", '{"length": 3}']),
        ("evaluate", ["{home}/nim", "last", "--games", "8"]),
        ("evaluate", ["last", "{home}/nim", "--games", "400", "--workers", "2"]),
        ("policy", ["{home}/nim"]),
    ],
)
def test_a_run_asks_for_its_modules_by_name(
    request_: str, asked: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(home.rglob("*"))
    asked = [part.replace("{home}", str(home)) for part in asked]
    assert COMMANDS[request_].main(asked) == 2
    assert "made with code that isn't part of Sparring: say --import corridors here too" in capsys.readouterr().err
    assert sorted(home.rglob("*")) == before
    assert COMMANDS[request_].main([*asked, "--import", "corridors"]) == 0


def test_play_asks_for_them_too_and_has_no_picture_of_the_game(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--opponent", str(home / "nim"), "--terminal", "--seed", "0"]
    assert play.main(asked) == 2
    assert "say --import corridors here too" in capsys.readouterr().err
    assert play.main([*asked, "--import", "corridors"]) == 2
    assert "small_nim is a game of an imported module: there is no other version of it" in capsys.readouterr().err


@pytest.mark.ray
def test_ray_actors_load_them(home: Path, tmp_path: Path) -> None:
    """In a process of its own, where PYTHONPATH says where the module lies: the run is the local one."""
    file = write(tmp_path / "c.yaml", CORRIDOR)
    paths = {"PYTHONPATH": os.pathsep.join([str(home), str(ROOT)])}
    request = command(file, "--run-dir", tmp_path / "run", "--import", "corridors", "runtime.kind=ray")
    done = subprocess.run(request, cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert train(CORRIDOR, tmp_path / "local", "--import", "corridors") == 0
    assert_same_run(tmp_path / "local", tmp_path / "run")


def test_a_world_that_nobody_registers_names_the_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(CORRIDOR, tmp_path / "run", "env.id=Zzyzx-v0") == 2
    assert "--import a module that calls gymnasium.register" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

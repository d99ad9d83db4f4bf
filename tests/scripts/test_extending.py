"""docs/extending.md, followed to the letter: its files are written, its commands given, and what they promise is so."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.runs import ROOT, lines

PAGE = (ROOT / "docs" / "extending.md").read_text()
FILE = re.compile(r"`(\w+\.(?:py|yaml))`:\n\n```(?:python|yaml)\n(.*?)```", re.DOTALL)


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, extensible: None) -> Iterator[Path]:
    """A directory of the reader's, with the configs of the repository beside."""
    desk, before = tmp_path_factory.mktemp("desk"), Path.cwd()
    (desk / "configs").symlink_to(ROOT / "configs")
    os.chdir(desk)
    sys.path.append(str(desk))
    yield desk
    os.chdir(before)


def follow(heading: str) -> None:
    """Write the files of a section and give its commands."""
    text = section(heading)
    for name, content in FILE.findall(text):
        Path(name).write_text(content)
    for line in "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).splitlines():
        program, script, *request = shlex.split(line)
        assert program == "python" and (ROOT / script).is_file()
        name = script.removesuffix(".py").replace("/", ".")
        assert import_module(name).main(request) == 0, line


@pytest.fixture(scope="module")
def bridge(desk: Path) -> Path:
    follow("An environment")
    return desk


def test_no_file_and_no_command_is_left_out() -> None:
    """Every block is one that is followed here, or by tests/envs/games/test_native_games.py."""
    text = PAGE.replace(section("A native game"), "")
    commands = len(re.findall(r"```bash\n", text))
    assert len(re.findall(r"^```\w+$", text, re.MULTILINE)) == len(FILE.findall(text)) + commands
    assert commands == 7


def test_an_environment(bridge: Path) -> None:
    assert lines(bridge / "runs" / "bridge")[-1]["eval/mean_reward"] == -5
    import_module("test_bridge").test_bridge()


def test_a_finite_mdp(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follow("A finite MDP")
    assert "expected at the start -10.000000, at best -10.000000" in capsys.readouterr().out


def test_a_learner(bridge: Path) -> None:
    follow("A learner")
    told = lines(bridge / "runs" / "sarsa")
    assert told[-1]["step"] == 10_000 and told[-1]["eval/mean_reward"] == -5
    assert any("train/td_error" in line for line in told)


def test_a_solver(desk: Path) -> None:
    follow("A solver")
    assert lines(desk / "runs" / "fictitious")[-1]["game/exploitability"] < 0.01


def test_a_course(desk: Path) -> None:
    follow("A course")
    told = lines(desk / "runs" / "line")
    assert told[-1]["step"] == 500 and told[-1]["eval/mean_squared_error"] < 1e-3


def test_a_reward_model(bridge: Path) -> None:
    follow("A reward model")
    told = lines(bridge / "runs" / "shaped")
    assert told[-1]["eval/mean_reward"] == -4, "the return is that of the world"
    assert any("reward/shaping" in line for line in told)


def test_a_player(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follow("A player")
    assert "rotation" in capsys.readouterr().out

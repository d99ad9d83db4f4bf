"""What a checkpoint says that its run was computed by, and what becomes of a run where that is another version."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from agents.courses import record
from agents.registry import parse
from envs.games.make import make_game
from envs.games.native import NativeGame
from experiment import checkpoint
from tests.agents.test_resume_fields import BASES, MORE, contents
from tests.runs import SOLVERS, train

ARITHMETIC = {"numba", "numpy", "torch"}
MUJOCO = {"algorithm": "ppo", "env": {"id": "HalfCheetah-v5"}}


@pytest.mark.parametrize(
    ("config", "engines"),
    [
        (BASES["ppo"].config, {"gymnasium"}),
        ({"algorithm": "ppo", "env": {"id": "sparring/MaskedAction-v0"}}, {"gymnasium"}),
        (MUJOCO, {"gymnasium", "mujoco"}),
        ({"algorithm": "ppo", "env": {"id": "LunarLander-v3"}}, {"gymnasium", "box2d"}),
        (MORE["dqn_screens"].config, {"gymnasium", "ale-py", "opencv-python-headless"}),
        (MORE["dqn_game"].config, set()),
        (BASES["alphazero"].config, set()),
        ({"algorithm": "cfr", "game": "liars_dice(numdice=1)"}, {"open_spiel"}),
        (BASES["fit"].config, {"scikit-learn"}),
    ],
)
def test_a_checkpoint_names_what_its_world_is_computed_by(config: dict[str, Any], engines: set[str]) -> None:
    for needed in engines & {"ale-py", "open_spiel"}:
        pytest.importorskip({"ale-py": "ale_py", "open_spiel": "pyspiel"}[needed])
    assert record.versions(parse(config))["libraries"].keys() == ARITHMETIC | engines


def test_a_checkpoint_holds_the_versions_that_are_installed(tmp_path: Path) -> None:
    assert train(BASES["dqn"].config, tmp_path / "run") == 0
    about = checkpoint.newest(tmp_path / "run" / "checkpoints")[2]
    assert about["libraries"] == {name: version(name) for name in ARITHMETIC | {"gymnasium"}}
    assert about["rules"] == {}


@pytest.mark.parametrize("config", [MORE["dqn_game"].config, BASES["alphazero"].config, SOLVERS["cfr"]])
def test_a_checkpoint_names_the_rules_of_a_native_game(config: dict[str, Any]) -> None:
    name = config["game"] if "game" in config else config["env"]["id"].removeprefix("game:")
    assert record.versions(parse(config))["rules"] == {name: 1}
    assert make_game(name).spec.version == 1


# Another version ------------------------------------------------------------------------------------------------------


def rewrite(run: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Let the newest checkpoint of a run say something else of itself."""
    file = checkpoint.newest(run / "checkpoints")[0] / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    change(manifest["about"])
    file.write_bytes(checkpoint._sealed(manifest))
    return run


def resumed(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    """Exit code, what is said to have changed, and errors."""
    capsys.readouterr()
    code = train(BASES[name].config, run, "--resume", f"steps={BASES[name].further}")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    said = lines[lines.index("resumed with changes:") + 1 :] if "resumed with changes:" in lines else []
    said = list(takewhile(lambda line: " are saved in " not in line, said))
    return code, [line for line in said if not line.startswith("steps: ")], err


@pytest.mark.parametrize(
    ("name", "package", "effect"),
    [
        ("ppo", "gymnasium", "episodes may replay differently"),
        ("ppo", "torch", "sums may be rounded differently"),
        ("fit", "scikit-learn", "rows may be read differently"),
    ],
)
def test_another_version_of_a_library_is_said(
    name: str, package: str, effect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "fit":
        pytest.importorskip("sklearn")
    assert train(BASES[name].config, tmp_path / "run") == 0
    run = rewrite(tmp_path / "run", lambda about: about["libraries"].update({package: "0.9.1"}))
    assert resumed(name, run, capsys) == (0, [f"{package} 0.9.1 -> {version(package)}: {effect}"], "")


def test_the_same_versions_are_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(BASES["ppo"].config, tmp_path / "run") == 0
    assert resumed("ppo", rewrite(tmp_path / "run", lambda about: None), capsys) == (0, [], "")


def test_other_rules_of_a_native_game_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(BASES["mccfr"].config, tmp_path / "run") == 0
    run = rewrite(tmp_path / "run", lambda about: about["rules"].update(kuhn_poker=7))
    before = contents(run)
    refused = "error: kuhn_poker: a run that began with version 7 of its rules can't go on with 1\n"
    assert resumed("mccfr", run, capsys) == (2, [], refused)
    assert contents(run) == before


def test_a_checkpoint_from_before_rules_had_versions_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(BASES["mccfr"].config, tmp_path / "run") == 0
    run = rewrite(tmp_path / "run", lambda about: about.pop("rules"))
    assert resumed("mccfr", run, capsys) == (0, [], "")


def test_a_game_with_new_rules_is_the_same_game_with_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its author would raise it; the comparison with OpenSpiel's spec leaves it out."""
    game = make_game("kuhn_poker")
    assert isinstance(game, NativeGame)
    newer = NativeGame(game.rules._replace(spec=replace(game.spec, version=2)))
    assert newer.spec == game.spec
    monkeypatch.setattr(record, "make_game", lambda name: newer)
    assert record.versions(parse(SOLVERS["cfr"]))["rules"] == {"kuhn_poker": 2}

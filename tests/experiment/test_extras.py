"""A package that is missing is asked for by its extra."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from experiment.extras import require
from scripts import evaluate, figures, plot, policy

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_there_is_not_asked_for() -> None:
    require("numpy", "none", "arithmetic")
    with pytest.raises(ValueError, match=r"^a film needs no_such_module, .* pip install 'sparring\[plot\]'$"):
        require("no_such_module", "plot", "a film")


@pytest.mark.parametrize(
    ("main", "request_", "module"),
    [
        (plot.main, ["nowhere", "--out", "curve.png"], "matplotlib"),
        (figures.main, [], "matplotlib"),
        (policy.main, ["nowhere", "--game", "kuhn_poker", "--picture", "a.png"], "matplotlib"),
        (evaluate.main, ["random", "--env", "CartPole-v1", "--gif", "a.gif"], "imageio"),
        (evaluate.main, ["random", "random", "--game", "tic_tac_toe", "--plot", "a.png"], "matplotlib"),
    ],
)
def test_a_command_says_so_before_it_does_anything(
    main: object, request_: list[str], module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert callable(main) and main(request_) == 2
    told = capsys.readouterr()
    assert f"needs {module}, which is not installed: pip install 'sparring[plot]'" in told.err and told.out == ""


def test_the_extra_holds_them_and_is_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name.partition(">")[0] for name in extras["plot"]] == ["imageio", "matplotlib"]
    assert "plot" in (ROOT / "Makefile").read_text().partition("--editable '.[")[2].partition("]")[0].split(",")

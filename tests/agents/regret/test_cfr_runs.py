"""CFR through scripts/train.py: what a run leaves behind, and that a resumed one is the one that never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.restore import load_checkpoint
from tests.runs import lines, train

LEDUC: dict[str, Any] = {
    "algorithm": "cfr",
    "game": "leduc_poker",
    "variant": "predictive_cfr_plus",
    "steps": 100,
    "checkpoint": {"every": 30, "keep": 9},
    "logging": {"every": 50},
    "evaluation": {"every": 40},
}


def test_a_run_logs_a_curve_on_a_logarithmic_axis(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(LEDUC, run) == 0
    curve = {line["step"]: line["game/exploitability"] for line in lines(run) if "game/exploitability" in line}
    assert list(curve) == [1, 2, 4, 8, 16, 32, 40, 64, 80, 100]
    assert curve[100] < curve[8] < curve[1]
    conv = [line["game/nash_conv"] / line["game/exploitability"] for line in lines(run) if "game/nash_conv" in line]
    assert conv == pytest.approx([2.0] * len(curve))  # both are logged, and neither under the other's name


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(LEDUC, whole) == 0
    assert train(LEDUC | {"steps": 60}, parts) == 0
    assert train(LEDUC, parts, "--resume") == 0
    states = [load_checkpoint(run)[1]["solver"] for run in (whole, parts)]
    assert [state["iterations"] for state in states] == [100, 100]
    assert all((states[0][name] == states[1][name]).all() for name in ("regret", "policy", "average"))
    curves = ({line["step"]: line for line in lines(run) if "game/nash_conv" in line} for run in (whole, parts))
    one, other = curves
    assert all(other[step] == line for step, line in one.items())  # the first part was evaluated at its end, too


def test_a_game_too_large_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(LEDUC | {"game": "go(board_size=5)"}, tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "error: the tree of go" in error and "bytes" in error and "mccfr with table=growing" in error
    assert not (tmp_path / "run").exists()


def test_a_tree_is_kept_for_the_next_run(tmp_path: Path) -> None:
    config = LEDUC | {"steps": 4, "tree_cache": str(tmp_path / "trees")}
    assert train(config, tmp_path / "one") == 0
    (kept,) = (tmp_path / "trees").glob("*/*/tree.safetensors")
    written = kept.stat().st_mtime_ns
    assert train(config, tmp_path / "two") == 0
    assert kept.stat().st_mtime_ns == written

"""Learning curves as pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.plot import band, curve, grouped, label, main, shared


def run(directory: Path, **metrics: list[float]) -> Path:
    """A run directory with a value of each metric every 10 steps."""
    directory.mkdir()
    names = [name.replace("__", "/") for name in metrics]
    lines = [
        json.dumps({"step": 10 * n} | dict(zip(names, values, strict=True)))
        for n, values in enumerate(zip(*metrics.values(), strict=True))
    ]
    (directory / "metrics.jsonl").write_text("\n".join(lines))
    return directory


def test_seeds_of_a_run_are_one_line(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"mine-{seed}", a__b=[seed, seed + 2.0]) for seed in (0, 1, 5)]
    other = run(tmp_path / "other", a__b=[0.0, 0.0])
    groups = grouped([*runs, other])
    assert groups == {"mine": runs, "other": [other]}
    steps, (low, middle, high) = band([curve(one, "a/b") for one in runs])
    np.testing.assert_array_equal(steps, [0, 10])
    np.testing.assert_array_equal([low, middle, high], [[0, 2], [1, 3], [5, 7]])


def test_lines_are_named_by_what_differs() -> None:
    pair = ["solver/error_rate/early", "solver/error_rate/late"]
    assert shared(pair) == "solver/error_rate" and shared(["time/fps"]) == "time/fps"
    assert label("mine", pair[1], 1, pair) == "mine, late"
    assert label("mine", "time/fps", 3, ["time/fps"]) == "mine, median and range of 3 seeds"
    assert shared(["time/fps", "train/loss"]) == "" and label("mine", "time/fps", 1, ["time/fps", "train/loss"]) == (
        "mine, time/fps"
    )


def test_a_picture_is_drawn_and_a_missing_metric_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    mine = run(tmp_path / "mine", a__b=[1.0, 2.0], a__c=[3.0, 4.0])
    picture = tmp_path / "curve.svg"
    assert main([str(mine), "--metric", "a/b", "a/c", "--out", str(picture), "--log"]) == 0
    assert picture.read_text().count("<path") > 2
    assert main([str(mine), "--metric", "a/d", "--out", str(tmp_path / "no.svg")]) == 2
    assert "has no values of a/d; it has a/b, a/c" in capsys.readouterr().err
    assert not (tmp_path / "no.svg").exists()

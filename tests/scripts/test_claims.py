"""The learning claims. Results are printed, and written to the file that SPARRING_CLAIMS names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scripts.claims import CLAIMS, Claim, Outcome, holds, main


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_claim(name: str, tmp_path: Path) -> None:
    """Five seeds: median at or above the threshold, and four of five."""
    file = tmp_path / "claim.json"
    code = main([name, "--json", str(file)])
    if collected := os.environ.get("SPARRING_CLAIMS"):
        before = json.loads(Path(collected).read_text()) if Path(collected).exists() else []
        kept = [report for report in before if report["claim"] != name]
        Path(collected).write_text(json.dumps(kept + json.loads(file.read_text()), indent=2) + "\n")
    assert code == 0


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([480.0, 480.0, 480.0, 480.0, 10.0], True),
        ([480.0, 480.0, 480.0, 470.0, 10.0], False),  # the median is above, but only three of five are
        ([475.0], True),
        ([474.9], False),
    ],
)
def test_what_holds(means: list[float], expected: bool) -> None:
    outcomes = [Outcome(seed, mean, 0.0, 1000, 1.0) for seed, mean in enumerate(means)]
    assert holds(Claim("ppo/cartpole.yaml", 1000, 475.0), outcomes) is expected


def test_a_claim_that_does_not_hold_shows_in_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of two collections has learned nothing. Every seed is reported, with what was changed."""
    file = tmp_path / "claims.json"
    assert main(["ppo-cartpole", "--seeds", "1", "--json", str(file), "--set", "steps=512"]) == 1
    assert "DOES NOT HOLD" in capsys.readouterr().out
    (report,) = json.loads(file.read_text())
    assert report["overrides"] == ["steps=512"] and not report["holds"]
    (outcome,) = report["outcomes"]
    assert outcome["seed"] == 0 and outcome["steps"] == 512 and 8 < outcome["mean"] < 475


def test_unknown_claims_are_refused() -> None:
    assert main(["ppo-carpole"]) == 2

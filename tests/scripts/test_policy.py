from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.policy import main
from scripts.train import main as train

KUHN = ["configs/regret/kuhn_cfr_plus.yaml", "steps=200", "--quiet"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("policy") / "kuhn"
    assert train([str(ROOT / KUHN[0]), *KUHN[1:], "--run-dir", str(directory)]) == 0
    return directory


def test_a_policy_is_shown_with_its_distance_from_equilibrium(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "random"]) == 0
    shown = capsys.readouterr().out
    assert "seat, infoset, action:probability" in shown
    assert shown.count("0  1pb") == 2
    assert "NashConv 0.917, exploitability 0.458" in shown  # of the uniform policy: 11/12
    assert "returns of the seats: 0.125000, -0.125000" in shown


def test_kuhns_family_is_drawn(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main([str(run), "--picture", str(tmp_path / "family.png")]) == 0
    assert (tmp_path / "family.png").read_bytes()[:4] == b"\x89PNG"


def test_a_policy_is_shown_with_what_its_states_are_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = str(ROOT / "configs/tabular/gridworld_value_iteration.yaml")
    best, poor = str(tmp_path / "best"), str(tmp_path / "poor")
    assert train([grid, "--quiet", "--run-dir", best]) == 0
    assert train([grid, "method=policy_evaluation", "--quiet", "--run-dir", poor]) == 0
    assert main([best, poor]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"\(0, 1\) +-1.000000  left:1.0000\n", shown)
    assert re.search(r"\(0, 1\) +-14.000000  up:0.2500  right:0.2500  down:0.2500  left:0.2500\n", shown)
    assert "expected at the start -2.000000, at best -2.000000" in shown
    assert main([best, "random"]) == 2
    assert "random is no run about gridworld" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["random"], "--game is missing"),
        (["random", "--game", "leduc_poker", "--picture", "x.png"], "draws the equilibria of kuhn_poker"),
        (["mcts:3", "--game", "connect_four(rows=3,columns=3)"], "draws its actions"),
        (["nobody", "--game", "kuhn_poker"], "no such player"),
    ],
)
def test_wrong_requests_are_refused(asked: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked) == 2
    assert told in capsys.readouterr().err

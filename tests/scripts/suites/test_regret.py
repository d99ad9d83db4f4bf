from __future__ import annotations

from importlib.util import find_spec

import pytest

from agents.regret.cfr import VARIANTS, RegretMinimizer
from agents.regret.tree import compile_tree
from envs.games.make import make_game
from scripts.suites import regret
from scripts.suites.pairs import Absent


def test_iterations_to_an_exploitability_get_there_and_two_percent_fewer_do_not() -> None:
    rule = VARIANTS["cfr_plus"]
    needed = regret.iterations_to(0.01, rule)
    found = RegretMinimizer(compile_tree(make_game("leduc_poker")), rule)
    found.iterate(int(needed / 1.02) - 1)
    assert found.evaluate()["game/exploitability"] > 0.01
    found.iterate(needed - found.iterations)
    assert found.evaluate()["game/exploitability"] <= 0.01


def test_rows_are_measured_against_open_spiel() -> None:
    pytest.importorskip("pyspiel")
    row = regret.ROWS["cfr-kuhn"](1, 1)
    assert row.theirs.endswith("CFRSolver")
    assert row.asked == ">= 30x" and row.met == (row.ratio >= 30)
    assert row.ratio > 1


@pytest.mark.skipif(find_spec("LiteEFG") is not None, reason="LiteEFG is installed")
def test_an_absent_peer_is_named() -> None:
    with pytest.raises(Absent, match="LiteEFG is not installed"):
        regret.ROWS["cfr-leduc-liteefg"](1, 1)

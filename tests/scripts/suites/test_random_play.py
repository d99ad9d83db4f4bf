"""The benchmark suite of random play measures whole games of what it says."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.suites import random_play
from scripts.suites.random_play import GAMES, native, random_games


def test_whole_games_are_counted() -> None:
    streams = np.zeros(1, np.uint64)
    for name in GAMES.values():
        game = native(name)
        rules, longest = game.rules, game.spec.max_length
        chance = 3 if game.spec.chance else 0  # cards at most
        plies = random_games(rules.kind, rules.board, rules.start, 1, streams, np.empty(game.spec.actions, np.int64))
        assert 1 < plies <= longest + chance


def test_both_sides_play(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspiel")
    monkeypatch.setattr(random_play, "PLIES", 10_000)
    monkeypatch.setattr(random_play, "BY_HAND", 100)
    row = random_play.ROWS["random-kuhn_poker"](1, 1)
    assert row.unit == "plies/s" and row.asked == ">= 20x"
    assert min(row.rates) > 1_000

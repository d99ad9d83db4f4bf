from __future__ import annotations

import numpy as np
import pytest

from agents.arena.ratings import expected_score
from agents.arena.sprt import VALUES, sprt
from envs.api import Array


def pairs(elo: float, groups: int, rng: np.random.Generator) -> Array:
    """Mean scores of two games each, 40 % of them drawn."""
    expected = expected_score(elo)
    uniform = rng.random((groups, 2))
    return np.where(uniform < expected - 0.2, 1.0, np.where(uniform < expected + 0.2, 0.5, 0.0)).mean(1)


def outcome(elo: float, seed: int, most: int = 4000, every: int = 100) -> tuple[str | None, int]:
    """What a test of 0 against 40 points accepts, and after how many pairs, if they come in bouts."""
    test, scores = sprt(0, 40, 2, 2), pairs(elo, most, np.random.default_rng(seed))
    for seen in range(every, most + 1, every):
        verdict = test.verdict(scores[:seen])
        if verdict:
            return verdict, seen
    return None, most


def test_it_errs_as_seldom_as_it_promises() -> None:
    under_h0 = [outcome(0, seed) for seed in range(150)]
    under_h1 = [outcome(40, 1000 + seed) for seed in range(150)]
    # 5 % of 150 are 7.5; 15 or more have a probability of 1 %
    assert sum(verdict == "H1" for verdict, _ in under_h0) < 15
    assert sum(verdict == "H0" for verdict, _ in under_h1) < 15
    assert all(verdict is not None for verdict, _ in under_h0 + under_h1)
    assert np.mean([seen for _, seen in under_h0]) < 700
    # looking at a fixed level of 5 % again and again errs more often
    naive = 0
    for seed in range(150):
        scores = pairs(0, 4000, np.random.default_rng(seed))
        means = scores.cumsum()[99::100] / np.arange(100, 4001, 100)
        deviation = scores.std() / np.sqrt(np.arange(100, 4001, 100))
        naive += bool((means - 0.5 > 1.645 * deviation).any())
    assert naive > 22


def test_the_ratio_is_that_of_the_likeliest_distributions() -> None:
    rng = np.random.default_rng(0)
    scores = pairs(20, 500, rng)
    test = sprt(0, 40, 2, 2)
    # for small differences it is close to that of normal means (Fishtest's approximation)
    s0, s1 = 0.5, expected_score(40)
    normal = len(scores) * (s1 - s0) * (2 * scores.mean() - s0 - s1) / (2 * scores.var())
    assert test.ratio(scores) == pytest.approx(normal, rel=0.05)
    # one sample at each end of the scale: q at 1 and 1 - q at 0 is the only distribution of mean q
    extremes = np.array([1.0] * 7 + [0.0] * 3)
    exact = 7 * np.log(s1 / s0) + 3 * np.log((1 - s1) / (1 - s0))
    assert test.ratio(extremes) == pytest.approx(exact, abs=0.01)


def test_bounds_and_refusals() -> None:
    test = sprt(-5, 5, 2, 2)
    assert test.bounds == pytest.approx((-np.log(19), np.log(19)))
    assert test.verdict(np.full(3, 0.5)) is None
    assert "undecided" in test.report(np.full(3, 0.5))
    assert test.verdict(np.ones(400)) == "H1" and test.verdict(np.zeros(400)) == "H0"
    assert "a lead of 5 points, rather than -5" in test.report(np.ones(400))
    assert test.ratio(np.tile(VALUES, 10)) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="two games"):
        test.ratio(np.array([0.3]))
    with pytest.raises(ValueError, match="greater elo1"):
        sprt(10, 0, 2, 2)
    with pytest.raises(ValueError, match="two players"):
        sprt(0, 10, 3, 2)

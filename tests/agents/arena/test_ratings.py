from __future__ import annotations

import numpy as np
import pytest

from agents.arena.estimates import grouped_score, wilson
from agents.arena.ratings import ELO, Pairing, bradley_terry, expected_score, strengths
from envs.api import Array


def results(first: int, second: int, elo: float, groups: int, rng: np.random.Generator, draws: float = 0.3) -> Pairing:
    """Pairs of games between players so many points apart."""
    expected = expected_score(elo)
    drawn = draws * min(expected, 1 - expected)
    uniform = rng.random((groups, 2))
    scores = np.where(uniform < expected - drawn / 2, 1.0, np.where(uniform < expected + drawn / 2, 0.5, 0.0))
    return Pairing(first, second, scores.mean(1), np.full(groups, 2.0))


def plain(first: int, second: int, scores: Array) -> Pairing:
    return Pairing(first, second, scores, np.full(len(scores), 2.0))


def test_75_percent_are_190_85_points() -> None:
    assert expected_score(190.85) == pytest.approx(0.75, abs=1e-5)
    (exact,) = strengths(2, np.array([0]), np.array([1]), np.array([4.0]), np.array([[0.75]]))
    assert ELO * (exact[0] - exact[1]) == pytest.approx(190.8485, abs=1e-3)
    one, other = bradley_terry(2, [plain(0, 1, np.array([1.0, 0.5] * 50_000))], np.random.default_rng(0))
    assert one.elo - other.elo == pytest.approx(190.85, abs=0.01)
    assert one.elo + other.elo == pytest.approx(0)


def test_expected_scores_are_the_scores_that_were_made() -> None:
    first, second = np.array([0, 0, 1, 2]), np.array([1, 2, 2, 3])
    games, scores = np.array([10.0, 40.0, 7.0, 12.0]), np.array([0.6, 0.9, 0.3, 0.5])
    (found,) = strengths(4, first, second, games, scores[None])
    expected = 1 / (1 + np.exp(-(found[first] - found[second])))
    for player in range(4):
        surplus = (games * (scores - expected))[first == player].sum()
        surplus -= (games * (scores - expected))[second == player].sum()
        assert surplus == pytest.approx(0, abs=1e-4)


def test_known_strengths_are_found_and_covered() -> None:
    true = np.array([-300.0, -100.0, 0.0, 150.0, 250.0])
    covered, width = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pairs = [(a, b) for a in range(5) for b in range(a)]
        found = bradley_terry(5, [results(a, b, true[a] - true[b], 100, rng) for a, b in pairs], rng)
        covered += [rating.interval.low <= t <= rating.interval.high for rating, t in zip(found, true, strict=True)]
        width += [rating.interval.high - rating.interval.low for rating in found]
        assert [rating.elo for rating in found] == pytest.approx(true.tolist(), abs=75)
    assert 0.90 <= np.mean(covered) <= 0.99
    assert 30 < np.mean(width) < 70


def test_who_won_everything_has_a_finite_rating_with_a_firm_lower_end() -> None:
    rng = np.random.default_rng(0)
    one, other = bradley_terry(2, [plain(0, 1, np.ones(200))], rng)
    assert 300 < one.interval.low < one.elo < one.interval.high < 2000
    assert other.interval.high < 0 < one.interval.low
    # at least the score that Wilson's interval ends with
    assert expected_score(one.interval.low - other.interval.high) > wilson(200, 200).low - 0.01


def test_players_who_never_met_are_rated_apart() -> None:
    found = bradley_terry(
        5, [plain(0, 1, np.array([1.0, 0.5] * 50)), plain(3, 2, np.ones(50))], np.random.default_rng(0)
    )
    assert found[0].elo + found[1].elo == pytest.approx(0, abs=1)
    assert found[2].elo + found[3].elo == pytest.approx(0, abs=1)
    assert found[4].elo == pytest.approx(0, abs=1)


def covering(scores: list[Array], true: float) -> float:
    return float(np.mean([low <= true <= high for low, high in (grouped_score(s).interval for s in scores)]))


def test_the_interval_of_a_score_takes_pairs_for_what_they_are() -> None:
    rng = np.random.default_rng(0)
    twins = [np.repeat(rng.integers(0, 2, 100), 1).astype(float) for _ in range(1000)]  # both games end alike
    apart = [rng.integers(0, 2, (100, 2)).mean(1) for _ in range(1000)]
    assert 0.92 <= covering(twins, 0.5) <= 0.97
    assert 0.92 <= covering(apart, 0.5) <= 0.97
    # Wilson's interval of single games believes that it has seen twice as much
    naive = [wilson(2 * scores.sum(), 200) for scores in twins]
    assert np.mean([low <= 0.5 <= high for low, high in naive]) < 0.87


def test_the_interval_of_a_score_is_never_empty() -> None:
    won = grouped_score(np.ones(100))
    assert won.mean == 1 and won.interval == pytest.approx(wilson(100, 100))
    drawn = grouped_score(np.full(100, 0.5)).interval
    assert 0.48 < drawn.low < 0.5 < drawn.high < 0.52
    assert grouped_score([0.5, 1.0], [1.0, 3.0]).mean == 0.875
    one = grouped_score([1.0]).interval
    assert one.low < 0.3 and one.high == 1

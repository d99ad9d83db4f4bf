from __future__ import annotations

import numpy as np
import pytest

from agents.arena import estimates
from agents.arena.estimates import Interval, bootstrap_difference, bootstrap_mean, iqm, wilson


def coverage(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert iqm([-1000, 1, 2, 3, 4, 5, 6, 1000]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert iqm([7.0]) == 7.0


def test_wilson_known_values() -> None:
    low, high = wilson(55, 100)
    assert (round(low, 3), round(high, 3)) == (0.452, 0.644)
    # zero successes in ten: [0, z^2 / (n + z^2)]
    z2 = 1.959964**2
    assert wilson(0, 10) == pytest.approx((0, z2 / (10 + z2)), abs=1e-6)
    assert wilson(10, 10) == pytest.approx((10 / (10 + z2), 1), abs=1e-6)


def test_wilson_covers_where_the_normal_interval_does_not() -> None:
    rng = np.random.default_rng(0)
    p, n = 0.03, 50
    wins = rng.binomial(n, p, size=4000).tolist()
    reach = [1.96 * (w / n * (1 - w / n) / n) ** 0.5 for w in wins]
    normal = [Interval(w / n - r, w / n + r) for w, r in zip(wins, reach, strict=True)]
    assert 0.93 <= coverage([wilson(w, n) for w in wins], p) <= 0.97
    assert coverage(normal, p) < 0.85


def test_bootstrap_covers_the_mean_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(1)
    samples = rng.gamma(4.0, size=(1000, 100))
    intervals = [bootstrap_mean(sample, rng, resamples=400) for sample in samples]
    assert 0.93 <= coverage(intervals, 4.0) <= 0.97
    assert 0.77 <= coverage([bootstrap_mean(sample, rng, 0.8, 400) for sample in samples], 4.0) <= 0.83
    # the quantiles of the values themselves, a common slip, are no interval of the mean
    assert coverage([Interval(*np.quantile(sample, [0.025, 0.975]).tolist()) for sample in samples], 4.0) == 1.0


def test_a_paired_difference_covers_and_is_narrower_than_an_unpaired_one() -> None:
    rng = np.random.default_rng(2)
    paired, unpaired = [], []
    for trial in range(2000):
        luck = rng.normal(0, 10, size=100)  # what both have in common: the episode's seed
        ours, theirs = luck + rng.normal(0.5, 1, size=100), luck + rng.normal(0, 1, size=100)
        paired.append(bootstrap_difference(ours, theirs, rng, resamples=400))
        if trial < 10:
            unpaired.append(bootstrap_difference(ours, rng.permutation(theirs), rng, resamples=400))
    assert 0.93 <= coverage(paired, 0.5) <= 0.97
    width = [np.mean([high - low for low, high in intervals]) for intervals in (paired, unpaired)]
    assert width[1] > 5 * width[0]


def test_bootstrap_is_a_function_of_its_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(10.0)
    whole = bootstrap_mean(values, np.random.default_rng(3), resamples=97)
    assert whole == bootstrap_mean(values, np.random.default_rng(3), resamples=97)
    assert whole != bootstrap_mean(values, np.random.default_rng(4), resamples=97)
    monkeypatch.setattr(estimates, "BLOCK", 50)  # five resamples at a time draw the same stream
    assert whole == bootstrap_mean(values, np.random.default_rng(3), resamples=97)


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 2"):
        bootstrap_mean([1.0], rng)
    with pytest.raises(ValueError, match="at least 1"):
        iqm([])
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean([1.0, float("nan")], rng)
    with pytest.raises(ValueError, match="differ in size: 3 and 2"):
        bootstrap_difference([1, 2, 3], [1, 2], rng)
    with pytest.raises(ValueError, match="11 of 10"):
        wilson(11, 10)
    with pytest.raises(ValueError, match="confidence"):
        wilson(1, 10, confidence=95)

"""Distances and scores whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from generative.scores import classifier_score, coverage, frechet, frechet_distance

UNIT = np.eye(2)


def test_frechet_distance_of_normals() -> None:
    assert frechet(np.zeros(2), UNIT, np.ones(2), np.diag([4.0, 1.0])) == pytest.approx(3, abs=1e-12)
    correlated = np.array([[1, 0.5], [0.5, 1]])
    assert frechet(np.zeros(2), correlated, np.zeros(2), UNIT) == pytest.approx(0.136296695, abs=5e-10)
    one, other = np.array([[2, 0.5], [0.5, 1]]), np.array([[1, -0.3], [-0.3, 3]])
    assert frechet(np.zeros(2), one, np.array([1.0, 2.0]), other) == pytest.approx(5.929311855, abs=5e-10)
    assert frechet(np.zeros(1), np.eye(1), np.ones(1), np.array([[4.0]])) == pytest.approx(2, abs=1e-12)


def test_a_singular_covariance_is_no_trouble() -> None:
    flat = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert frechet(np.zeros(2), flat, np.zeros(2), flat) == pytest.approx(0, abs=1e-7)


def test_samples_of_one_law_are_apart_and_less_so_if_they_are_more() -> None:
    """By about (2 D + D (D + 1) / 2) / n, of which the first part is the means'. Five standard errors."""
    rng = np.random.default_rng(0)
    for n, pairs in ((100, 200), (1000, 50)):
        found = [frechet_distance(*rng.normal(size=(2, n, 8))) for _ in range(pairs)]
        assert np.mean(found) == pytest.approx(52 / n, abs=5 * np.std(found) / pairs**0.5)


def test_classifier_score() -> None:
    assert classifier_score(np.repeat(np.eye(10), 5, 0)) == pytest.approx(10)
    assert classifier_score(np.full((7, 10), 0.1)) == pytest.approx(1)
    assert classifier_score(np.tile(np.eye(10)[3], (7, 1))) == pytest.approx(1), "sure, but always of the same"


def test_coverage_counts_modes_with_good_samples() -> None:
    centres = np.array([[0.0, 0], [5, 0], [0, 5]])
    samples = np.array([[0.0, 0.05], [0.02, 0], [5.059, 0], [4.939, 0], [2.5, 2.5]])
    assert coverage(samples, centres, 0.02) == (2, 0.6)

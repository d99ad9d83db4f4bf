"""How far what a model makes is from the data: Fréchet distance, Inception-style score, modes that are covered.

    frechet_distance(features(real), features(made))        # 0 where mean and covariance agree
    classifier_score(probabilities)                         # 1 .. K
    coverage(samples, centres, deviation=0.02)              # modes reached, share of samples near one

With a classifier of our own the features are its last hidden layer: call it Fréchet classifier distance, and compare
samples of equal size alone, since the estimate falls as 1 / n and grows about as the square of the features' number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def frechet_distance(a: Array, b: Array) -> float:
    """Of two samples [n, D] and [m, D], as if they were normal. Heusel et al. 2017, https://arxiv.org/abs/1706.08500."""
    return frechet(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))


def frechet(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """Between two normal distributions: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), the square of their Wasserstein-2
    distance. means [D], covariances [D, D]. Dowson and Landau 1982."""
    c, d = (np.atleast_2d(np.asarray(matrix, np.float64)) for matrix in (covariance, other_covariance))
    root = _root(c)
    # The eigenvalues of C C' are those of the symmetric root C' root, of which none is below 0 but for rounding.
    values = np.linalg.eigvalsh(root @ d @ root)
    shift = np.atleast_1d(np.subtract(mean, other_mean, dtype=np.float64))
    return float(shift @ shift + np.trace(c) + np.trace(d) - 2 * np.sqrt(np.maximum(values, 0)).sum())


def _root(matrix: Array) -> Array:
    """The symmetric root of a symmetric matrix that has no negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def classifier_score(probabilities: Array) -> float:
    """exp E KL(p(y | x) || p(y)) of class probabilities [n, K]: K where every sample is surely one of K classes that
    are equally frequent, 1 where the classifier says the same of all. The Inception score of Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498, by any classifier."""
    p = np.asarray(probabilities, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(p.mean(0))), 0.0)
    return float(np.exp(terms.sum(1).mean()))


class Coverage(NamedTuple):
    modes: int  # that have a sample of high quality
    quality: float  # share of samples within three deviations of a mode


def coverage(samples: Array, centres: Array, deviation: float) -> Coverage:
    """Of samples [n, D] from a mixture of equal round normals around centres [K, D]: Srivastava et al. 2017 (VEEGAN),
    https://arxiv.org/abs/1705.07761, section 4."""
    distance = np.linalg.norm(samples[:, None] - centres, axis=-1)
    near = distance.min(1) <= 3 * deviation
    return Coverage(len(np.unique(distance.argmin(1)[near])), float(near.mean()))

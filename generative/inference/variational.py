"""Variational inference: the normal distribution that comes nearest to a posterior, by its evidence lower bound.

    found = fit(log_joint, dimensions=2, rng=rng)        # log_joint takes a tensor [n, d] and gives [n]
    found.mean, found.covariance, found.bound(log_joint, 10_000, rng)

ELBO = E_q[log p(x, z) - log q(z)] = log p(x) - KL(q || p(z | x)) (Jordan et al. 1999,
https://doi.org/10.1023/A:1007665907178). Two estimators of its gradient stand beside each other: the score function's,
which any density has, and the reparameterization's, of far less variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
LogJoint = Callable[[Tensor], Tensor]  # [n, d] -> [n]


class Normal(NamedTuple):
    """mean + scale @ e, e standard normal; scale is lower triangular, and diagonal for a mean field."""

    mean: Tensor  # [d]
    scale: Tensor  # [d, d]

    @property
    def covariance(self) -> Tensor:
        return self.scale @ self.scale.T

    def log_prob(self, z: Tensor) -> Tensor:
        """Of z [n, d]: [n]."""
        return torch.distributions.MultivariateNormal(self.mean, scale_tril=self.scale).log_prob(z)

    def draw(self, noise: Tensor) -> Tensor:
        """[n, d] from standard normal numbers of that shape."""
        return self.mean + noise @ self.scale.T

    def bound(self, log_joint: LogJoint, count: int, rng: np.random.Generator) -> float:
        """The ELBO from so many draws."""
        z = self.draw(torch.from_numpy(rng.standard_normal((count, len(self.mean)))))
        return float((log_joint(z) - self.log_prob(z)).mean())


def fit(
    log_joint: LogJoint,
    dimensions: int,
    rng: np.random.Generator,
    *,
    mean_field: bool = False,
    estimator: str = "reparameterized",
    draws: int = 64,
    steps: int = 2000,
    rate: float = 0.05,
) -> Normal:
    """Up the ELBO by Adam, whose rate falls to 0; from a standard normal distribution. mean_field: coordinates are
    independent, which makes them too sure of themselves where the posterior's are not. estimator: reparameterized, for
    densities that can be differentiated, or score, for any. float64. Raises ValueError for another."""
    if estimator not in ("reparameterized", "score"):
        raise ValueError(f"estimator is {estimator!r}, expected reparameterized or score")
    mean = torch.zeros(dimensions, dtype=torch.float64, requires_grad=True)
    free = torch.zeros(dimensions, dimensions, dtype=torch.float64, requires_grad=True)  # the diagonal's logarithms
    optimizer = torch.optim.Adam([mean, free], rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        q = _normal(mean, free, mean_field)
        noise = torch.from_numpy(rng.standard_normal((draws, dimensions)))
        loss = -_rise(q, log_joint, noise) if estimator == "reparameterized" else -_scored(q, log_joint, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Normal(*(part.detach() for part in _normal(mean, free, mean_field)))


def _normal(mean: Tensor, free: Tensor, mean_field: bool) -> Normal:
    diagonal = torch.diag(free.diagonal().exp())
    return Normal(mean, diagonal if mean_field else diagonal + free.tril(-1))


def _rise(q: Normal, log_joint: LogJoint, noise: Tensor) -> Tensor:
    """0-d; its gradient is that of the ELBO, along z = mean + scale e (Kingma and Welling 2014,
    https://arxiv.org/abs/1312.6114)."""
    z = q.draw(noise)
    return (log_joint(z) - q.log_prob(z)).mean()


def _scored(q: Normal, log_joint: LogJoint, noise: Tensor) -> Tensor:
    """0-d; its gradient is E[(log p - log q - the others' mean) grad log q] (Ranganath et al. 2014,
    https://arxiv.org/abs/1401.0118)."""
    z = q.draw(noise).detach()
    log_q = q.log_prob(z)
    with torch.no_grad():
        worth = log_joint(z) - log_q
        n = len(worth)
        worth = (worth - worth.mean()) * (n / (n - 1))
    return (worth * log_q).mean()


def coordinate_ascent(mean: Array, precision: Array, sweeps: int) -> Iterator[tuple[Array, Array, float]]:
    """The mean field of a normal posterior with this mean [d] and precision [d, d]: means [d], variances [d] and the
    KL divergence to it after each sweep over the coordinates, from 0 on (Bishop 2006, section 10.1.2). The variances
    are 1 / the precision's diagonal: never more than the posterior's."""
    found, variance = np.zeros(len(mean)), 1 / np.diag(precision)
    for _ in range(sweeps):
        for j in range(len(mean)):
            others = np.arange(len(mean)) != j
            found[j] = mean[j] - variance[j] * precision[j, others] @ (found - mean)[others]
        off = found - mean
        _, log_precision = np.linalg.slogdet(precision)
        divergence = (precision.diagonal() @ variance + off @ precision @ off - len(mean)) / 2
        yield found.copy(), variance, float(divergence - (log_precision + np.log(variance).sum()) / 2)


# The two estimators of d E_q[f(z)] / d mean, of a normal q with deviation 1 ------------------------------------------


def score_estimates(f: Callable[[Array], Array], mean: float, noise: Array, baseline: float = 0.0) -> Array:
    """[n] from standard normal noise [n]: (f(z) - baseline) (z - mean). Any baseline leaves their mean as it is."""
    return np.asarray((f(mean + noise) - baseline) * noise)


def reparameterized_estimates(derivative: Callable[[Array], Array], mean: float, noise: Array) -> Array:
    """[n]: f'(mean + e)."""
    return np.asarray(derivative(mean + noise))

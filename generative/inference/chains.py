"""Metropolis-Hastings: samples of a density that is known but for a factor, as many chains at once as there are starts.

    chain = metropolis(lambda x: -(x**2).sum(-1) / 2, start, steps=10_000, proposal=walk(2.4), rng=rng)
    chain.samples[1000:].mean((0, 1)), r_hat(chain.samples[1000:]), effective_size(chain.samples[1000:])

Metropolis et al. 1953, https://doi.org/10.1063/1.1699114; Hastings 1970, https://doi.org/10.1093/biomet/57.1.97.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# (x [C, d], rng) -> candidates [C, d], and log q(x | candidate) - log q(candidate | x) [C] or 0
Proposal = Callable[[Array, np.random.Generator], tuple[Array, Array | float]]


class Chain(NamedTuple):
    samples: Array  # [T, C, d], after each step; who stays is there again
    accepted: float  # fraction of steps


def metropolis(
    log_density: Callable[[Array], Array], start: Array, steps: int, proposal: Proposal, rng: np.random.Generator
) -> Chain:
    """From start [C, d]; log_density takes points [C, d] and gives [C], -inf where there is none. A candidate is taken
    with the chance p(candidate) q(x | candidate) / (p(x) q(candidate | x)), and otherwise x counts once more. Raises
    ValueError where a chain begins at a density of 0."""
    x = np.array(start, np.float64)
    here = log_density(x)
    if not np.isfinite(here).all():
        raise ValueError(f"chain {int(np.flatnonzero(~np.isfinite(here))[0])} begins where the density is 0")
    samples, taken = np.empty((steps, *x.shape)), 0
    for t in range(steps):
        candidate, back = proposal(x, rng)
        there = log_density(candidate)
        accept = np.log(rng.random(len(x))) < there - here + back
        x, here = np.where(accept[:, None], candidate, x), np.where(accept, there, here)
        samples[t], taken = x, taken + int(accept.sum())
    return Chain(samples, taken / (steps * len(x)))


def walk(deviation: float | Array) -> Proposal:
    """A normal step from where the chain is: symmetric. In d dimensions 2.38 / sqrt(d) deviations of the target are
    best in the limit, of which .234 are taken (Roberts et al. 1997, https://doi.org/10.1214/aoap/1034625254)."""
    return lambda x, rng: (x + deviation * rng.standard_normal(x.shape), 0.0)


def independent(draw: Callable[[int, np.random.Generator], Array], log_q: Callable[[Array], Array]) -> Proposal:
    """Candidates that don't depend on where the chain is: `draw(C, rng)` [C, d], of log density `log_q`."""

    def propose(x: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        candidate = draw(len(x), rng)
        return candidate, log_q(x) - log_q(candidate)

    return propose


def transitions(target: Array, proposal: Array) -> Array:
    """The matrix [n, n] of the chain on n states that proposes by the rows of `proposal` [n, n]: its stationary law is
    `target` [n], and the flow between any two states is the same both ways."""
    flow = target[:, None] * proposal
    ratio = np.divide(flow.T, flow, out=np.zeros_like(flow), where=flow > 0)
    moves = proposal * np.minimum(ratio, 1)
    np.fill_diagonal(moves, 0)
    return moves + np.diag(1 - moves.sum(1))


def autocorrelation(samples: Array) -> Array:
    """[T, d] of each coordinate, lag 0 first, chains [T, C, d] taken together around their common mean."""
    size = len(samples)
    around = samples - samples.mean((0, 1))
    spectrum = np.fft.rfft(around, 2 * size, axis=0)
    raw = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:size].mean(1)
    return np.asarray(raw / raw[0])


def effective_size(samples: Array) -> Array:
    """[d]: how many independent samples would tell the mean as well as these [T, C, d]. Autocorrelations are added up
    in pairs for as long as those are positive (Geyer 1992, https://doi.org/10.1214/ss/1177011137)."""
    steps, chains, _ = samples.shape
    correlation = autocorrelation(samples)
    pairs = correlation[: steps // 2 * 2].reshape(steps // 2, 2, -1).sum(1)
    kept = np.cumprod(pairs > 0, axis=0)
    return np.asarray(steps * chains / (2 * (pairs * kept).sum(0) - 1))


def r_hat(samples: Array) -> Array:
    """[d]: the deviation of all halves of chains together over that within them; 1 where they have forgotten their
    starts (Gelman et al. 2013, Bayesian Data Analysis, section 11.4). samples [T, C, d], T of 4 or more."""
    half = len(samples) // 2
    halves = np.concatenate([samples[:half], samples[half : 2 * half]], axis=1)
    within = halves.var(0, ddof=1).mean(0)
    between = halves.mean(0).var(0, ddof=1)
    return np.asarray(np.sqrt((half - 1) / half + between / within))

"""What a stochastic policy's network puts out for a kind of action space, and the distribution that it describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents import distributions
from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete
from supervised.networks.heads import Gaussian, Logits


class Stochastic(NamedTuple):
    """A family of distributions over actions, given `outputs` [B, K] of a policy head. Masks: True = legal."""

    head: Callable[[int, torch.Generator], nn.Module]  # (features, generator) -> module
    sample: Callable[[Tensor, Tensor, Tensor | None], Tensor]  # (outputs, noise, mask) -> action
    mode: Callable[[Tensor, Tensor | None], Tensor]  # (outputs, mask) -> action
    log_prob: Callable[[Tensor, Tensor, Tensor | None], Tensor]  # (outputs, action, mask) -> [B]
    entropy: Callable[[Tensor, Tensor | None], Tensor]  # (outputs, mask) -> [B]
    noise: Callable[[np.random.Generator, int], Array]  # (rng, B) -> float32 [B, K'], what `sample` wants


def stochastic(actions: Actions, log_std: float = 0.0) -> Stochastic:
    """Categorical for Discrete, independent categoricals for MultiDiscrete, diagonal Gaussian for Continuous."""
    if isinstance(actions, Discrete):
        n = actions.n
        return Stochastic(
            head=lambda features, generator: Logits(features, n, generator),
            sample=distributions.categorical_sample,
            mode=distributions.categorical_mode,
            log_prob=distributions.categorical_log_prob,
            entropy=distributions.categorical_entropy,
            noise=lambda rng, batch: rng.random((batch, n), np.float32),
        )
    if isinstance(actions, MultiDiscrete):
        sizes = actions.sizes
        return Stochastic(
            head=lambda features, generator: Logits(features, sum(sizes), generator),
            sample=lambda out, noise, mask: distributions.multi_categorical_sample(out, noise, sizes, mask),
            mode=lambda out, mask: distributions.multi_categorical_mode(out, sizes, mask),
            log_prob=lambda out, action, mask: distributions.multi_categorical_log_prob(out, action, sizes, mask),
            entropy=lambda out, mask: distributions.multi_categorical_entropy(out, sizes, mask),
            noise=lambda rng, batch: rng.random((batch, sum(sizes)), np.float32),
        )
    size = len(actions.low)
    return Stochastic(
        head=lambda features, generator: Gaussian(features, size, generator, log_std),
        sample=lambda out, noise, mask: distributions.gaussian_sample(*out.chunk(2, -1), noise),
        mode=lambda out, mask: out.chunk(2, -1)[0],
        log_prob=lambda out, action, mask: distributions.gaussian_log_prob(*out.chunk(2, -1), action),
        entropy=lambda out, mask: distributions.gaussian_entropy(out.chunk(2, -1)[1]),
        noise=lambda rng, batch: rng.standard_normal((batch, size), np.float32),
    )


def bounds(actions: Continuous) -> tuple[Array, Array]:
    """Low and high, float32 [D]."""
    return np.array(actions.low, np.float32), np.array(actions.high, np.float32)

"""A stochastic policy: what its network puts out for a kind of action space, and the distribution that it describes.

Acting happens in numpy, learning in torch: `act` draws from the distribution of which `log_prob` gives the density.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.maths import distributions
from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete
from supervised.networks.heads import Gaussian, Logits

Draw = tuple[Array, Array | None]  # actions [B] or [B, D], and their log-probabilities [B] float32 when exploring


class Stochastic(NamedTuple):
    """A family of distributions over actions, given the `outputs` [B, K] of a policy head. Masks: True = legal."""

    head: Callable[[int, torch.Generator], nn.Module]  # (features, generator) -> module
    act: Callable[[Array, Array | None, np.random.Generator, bool], Draw]  # (outputs, mask, rng, explore)
    log_prob: Callable[[Tensor, Tensor, Tensor | None], Tensor]  # (outputs, action, mask) -> [B]
    entropy: Callable[[Tensor, Tensor | None], Tensor]  # (outputs, mask) -> [B]
    kl: Callable[[Tensor, Tensor, Tensor | None], Tensor]  # (outputs, others, mask) -> KL(outputs || others) [B]


def stochastic(actions: Actions, log_std: float = 0.0) -> Stochastic:
    """Categorical for Discrete, independent categoricals for MultiDiscrete, diagonal Gaussian for Continuous.

    A Gaussian is learned in `units` of the space: `log_std`, of which it begins, too.
    """
    if isinstance(actions, Discrete):
        n = actions.n
        return Stochastic(
            head=lambda features, generator: Logits(features, n, generator),
            act=act_categorical,
            log_prob=distributions.categorical_log_prob,
            entropy=distributions.categorical_entropy,
            kl=distributions.categorical_kl,
        )
    if isinstance(actions, MultiDiscrete):
        sizes = actions.sizes
        return Stochastic(
            head=lambda features, generator: Logits(features, sum(sizes), generator),
            act=lambda outputs, mask, rng, explore: act_multi_categorical(outputs, mask, rng, explore, sizes),
            log_prob=lambda out, action, mask: distributions.multi_categorical_log_prob(out, action, sizes, mask),
            entropy=lambda out, mask: distributions.multi_categorical_entropy(out, sizes, mask),
            kl=lambda out, others, mask: distributions.multi_categorical_kl(out, others, sizes, mask),
        )
    size, (middle, half) = len(actions.low), units(actions)
    scaled = None if not middle.any() and (half == 1).all() else (torch.from_numpy(middle), torch.from_numpy(half))

    def gaussian_log_prob(outputs: Tensor, action: Tensor, mask: Tensor | None) -> Tensor:
        mean, deviation = outputs.chunk(2, -1)
        return distributions.gaussian_log_prob(mean, deviation, action)

    return Stochastic(
        head=lambda features, generator: Gaussian(features, size, generator, log_std, scaled),
        act=act_gaussian,
        log_prob=gaussian_log_prob,
        entropy=lambda out, mask: distributions.gaussian_entropy(out.chunk(2, -1)[1]),
        kl=lambda out, others, mask: distributions.gaussian_kl(*out.chunk(2, -1), *others.chunk(2, -1)),
    )


def act_categorical(logits: Array, mask: Array | None, rng: np.random.Generator, explore: bool) -> Draw:
    """The likeliest action, or one drawn by inverting the cumulative distribution. logits, mask [B, A]."""
    if not explore:
        return (logits if mask is None else np.where(mask, logits, -np.inf)).argmax(-1), None
    shifted = logits.astype(np.float64)
    if mask is not None:
        shifted[~mask] = -np.inf
    shifted -= shifted.max(-1, keepdims=True)
    weights = np.exp(shifted)
    cumulative = weights.cumsum(-1)
    total = cumulative[:, -1]
    # Strictly below the total, even where the product is rounded up: beyond it lies no legal action.
    level = np.minimum(rng.random(len(logits)) * total, np.nextafter(total, 0))
    action = (cumulative > level[:, None]).argmax(-1)
    chosen = shifted[np.arange(len(logits)), action]
    return action, (chosen - np.log(total)).astype(np.float32)


def act_multi_categorical(
    logits: Array, mask: Array | None, rng: np.random.Generator, explore: bool, sizes: tuple[int, ...]
) -> Draw:
    """One choice of each of `sizes`: logits, mask [B, sum(sizes)] -> actions [B, len(sizes)]."""
    cuts = np.cumsum(sizes)[:-1]
    masks = [None] * len(sizes) if mask is None else np.split(mask, cuts, -1)
    draws = [
        act_categorical(part, legal, rng, explore)
        for part, legal in zip(np.split(logits, cuts, -1), masks, strict=True)
    ]
    log_probs = [log_prob for _, log_prob in draws if log_prob is not None]
    return np.stack([action for action, _ in draws], -1), np.sum(log_probs, 0) if log_probs else None


def act_gaussian(outputs: Array, mask: Array | None, rng: np.random.Generator, explore: bool) -> Draw:
    """The mean, or a draw. outputs [B, 2 D]: mean and log standard deviation."""
    mean, log_std = np.split(outputs, 2, -1)
    if not explore:
        return mean, None
    noise = rng.standard_normal(mean.shape, np.float32)
    log_prob = (-0.5 * np.square(noise) - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
    return mean + np.exp(log_std) * noise, log_prob


def units(actions: Continuous) -> tuple[Array, Array]:
    """Middle and half the range of each dimension, float32 [D]: actions between bounds are learned in [-1, 1] and
    scaled to them, so that it doesn't matter what they are measured in. 0 and 1 where there are no two bounds."""
    low, high = np.array(actions.low), np.array(actions.high)
    bounded = np.isfinite(low) & np.isfinite(high) & (low < high)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    return (low / 2 + high / 2).astype(np.float32), (high / 2 - low / 2).astype(np.float32)

"""Distributions over actions, as pure functions on tensors: batch first, one result per sample.

Noise is passed in, so sampling is a function of its arguments, and whole update steps compile and vmap.
Masks: True = legal. An illegal action has probability 0 and gradient 0, both exactly; every row needs a legal one.
`log_prob` of an illegal action is a large negative number (about -3e38 in float32), not -inf: 0 * -inf is NaN.

Shapes: n samples, A actions, D dimensions. Nothing here reads the leading axis: any [..., A] will do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus


def _legal(logits: Tensor, mask: Tensor | None) -> Tensor:
    return logits if mask is None else torch.where(mask, logits, torch.finfo(logits.dtype).min)


def categorical_log_probs(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """log pi [n, A] of every action. `logits` [n, A] need not be normalized; `mask` [n, A] bool."""
    return log_softmax(_legal(logits, mask), dim=-1)


def categorical_log_prob(logits: Tensor, action: Tensor, mask: Tensor | None = None) -> Tensor:
    """log pi(action) [n]. `action` [n] int64."""
    return categorical_log_probs(logits, mask).gather(-1, action.unsqueeze(-1)).squeeze(-1)


def categorical_entropy(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """-sum pi log pi [n], in nats, over the legal actions."""
    log_probs = categorical_log_probs(logits, mask)
    return -(log_probs.exp() * log_probs).sum(-1)


def categorical_kl(logits_p: Tensor, logits_q: Tensor, mask: Tensor | None = None) -> Tensor:
    """KL(p || q) [n] of two distributions over the same legal actions."""
    log_p, log_q = categorical_log_probs(logits_p, mask), categorical_log_probs(logits_q, mask)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def categorical_sample(logits: Tensor, uniform: Tensor, mask: Tensor | None = None) -> Tensor:
    """Actions [n] int64 by the Gumbel-max trick from `uniform` [n, A] noise in [0, 1)."""
    tiny, eps = torch.finfo(uniform.dtype).tiny, torch.finfo(uniform.dtype).eps
    gumbel = -torch.log(-torch.log(uniform.clamp(tiny, 1.0 - eps)))
    return _legal(logits + gumbel, mask).argmax(-1)


def categorical_mode(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """The most probable action [n]."""
    return _legal(logits, mask).argmax(-1)


# Multi-categorical: independent choices. `logits`, `mask` and `uniform` are [n, sum(sizes)], `action` is
# [n, len(sizes)].


def _split(array: Tensor | None, sizes: Sequence[int]) -> Sequence[Tensor | None]:
    return [None] * len(sizes) if array is None else array.split(list(sizes), dim=-1)


def multi_categorical_log_prob(
    logits: Tensor, action: Tensor, sizes: Sequence[int], mask: Tensor | None = None
) -> Tensor:
    """log pi(action) [n], the sum over the choices."""
    parts = zip(logits.split(list(sizes), -1), action.unbind(-1), _split(mask, sizes), strict=True)
    return torch.stack([categorical_log_prob(part, chosen, legal) for part, chosen, legal in parts], -1).sum(-1)


def multi_categorical_entropy(logits: Tensor, sizes: Sequence[int], mask: Tensor | None = None) -> Tensor:
    """Entropy [n] of all choices together."""
    parts = zip(logits.split(list(sizes), -1), _split(mask, sizes), strict=True)
    return torch.stack([categorical_entropy(part, legal) for part, legal in parts], -1).sum(-1)


def multi_categorical_kl(
    logits_p: Tensor, logits_q: Tensor, sizes: Sequence[int], mask: Tensor | None = None
) -> Tensor:
    """KL(p || q) [n] of all choices together."""
    parts = zip(logits_p.split(list(sizes), -1), logits_q.split(list(sizes), -1), _split(mask, sizes), strict=True)
    return torch.stack([categorical_kl(p, q, legal) for p, q, legal in parts], -1).sum(-1)


def multi_categorical_sample(
    logits: Tensor, uniform: Tensor, sizes: Sequence[int], mask: Tensor | None = None
) -> Tensor:
    """Actions [n, len(sizes)] int64 from `uniform` noise in [0, 1)."""
    parts = zip(logits.split(list(sizes), -1), uniform.split(list(sizes), -1), _split(mask, sizes), strict=True)
    return torch.stack([categorical_sample(part, noise, legal) for part, noise, legal in parts], -1)


def multi_categorical_mode(logits: Tensor, sizes: Sequence[int], mask: Tensor | None = None) -> Tensor:
    """The most probable choices [n, len(sizes)]."""
    parts = zip(logits.split(list(sizes), -1), _split(mask, sizes), strict=True)
    return torch.stack([categorical_mode(part, legal) for part, legal in parts], -1)


# Diagonal Gaussian. `mean`, `log_std`, `action` and `noise` are [n, D]; a `log_std` shared by all samples is
# expanded by the caller (`log_std.expand_as(mean)`), so that results stay per sample.

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Log density [n] of N(mean, diag(exp(log_std))^2)."""
    z = (action - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - _LOG_SQRT_2PI).sum(-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Differential entropy [n], in nats: sum of log_std + log(2 pi e) / 2."""
    return (log_std + _LOG_SQRT_2PI + 0.5).sum(-1)


def gaussian_kl(mean_p: Tensor, log_std_p: Tensor, mean_q: Tensor, log_std_q: Tensor) -> Tensor:
    """KL(p || q) [n]."""
    ratio = torch.exp(2.0 * (log_std_p - log_std_q))
    z = (mean_p - mean_q) * torch.exp(-log_std_q)
    return (log_std_q - log_std_p + 0.5 * (ratio + z.square() - 1.0)).sum(-1)


def gaussian_sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """mean + std * `noise`, for standard normal noise: differentiable in mean and log_std."""
    return mean + log_std.exp() * noise


# Squashed Gaussian: action = tanh(u) with u Gaussian. It is described by u, because atanh(action) loses
# everything where tanh saturates. https://arxiv.org/abs/1801.01290, appendix C.


def squashed_log_prob(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    """Log density [n] of the action tanh(u), given u [n, D] before the squashing.

    log(1 - tanh(u)^2) = 2 * (log 2 - u - softplus(-2u)), which doesn't round to log 0 for large |u|.
    """
    log_det = 2.0 * (math.log(2.0) - u - softplus(-2.0 * u))
    return gaussian_log_prob(mean, log_std, u) - log_det.sum(-1)


def squashed_sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The action tanh(u) in [-1, 1], and u itself, which `squashed_log_prob` wants."""
    u = gaussian_sample(mean, log_std, noise)
    return torch.tanh(u), u

"""Losses of predictions, as pure functions on tensors. Nothing is averaged here: `Trained` takes the mean of what comes
back, so its metrics are means over rows, and one that weighs rows can do so before.

    loss = LOSSES["cross_entropy"](outputs, targets)  # [n]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(outputs)[target], [n], in nats. outputs: unnormalized log-probabilities [n, K]; targets: [n] int64.

    The negative log-likelihood of multinomial logistic regression (Bishop 2006, eq. 4.108).
    """
    return functional.cross_entropy(outputs, targets, reduction="none")


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """(outputs - targets)^2, elementwise, [n, D] as both are. Not halved, so that its mean is the mean squared error.

    A target [n] int64 is a class, and stands for 1 in its place of [n, K] and 0 elsewhere: the outputs then estimate
    the probabilities of the classes (Bishop 2006, section 4.1.3).
    """
    return (outputs - _numbers(targets, outputs)).square()


def absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    """|outputs - targets|, as `squared`. What is least at the median: few far points hardly move it."""
    return (outputs - _numbers(targets, outputs)).abs()


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the square of errors below 1, and the absolute error less 1/2 above, as `squared` (Huber 1964)."""
    return functional.huber_loss(outputs, _numbers(targets, outputs), reduction="none")


def _numbers(targets: Tensor, outputs: Tensor) -> Tensor:
    """Of classes, what stands for them beside the outputs."""
    if targets.is_floating_point():
        return targets
    return functional.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest of outputs [n, K] is that of the target [n] int64, else 0: [n] float32."""
    return (outputs.argmax(-1) == targets).to(torch.float32)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "squared": squared,
    "absolute": absolute,
    "huber": huber,
}

"""Forward and back-propagation of a feed-forward network, written out (Rumelhart et al. 1986,
https://doi.org/10.1038/323533a0). What the fits use is torch's; this is what it does.

    net = [linear(w, b), activation("tanh"), linear(v, c)]
    loss, gradients = propagate(net, cross_entropy, x, classes)
    gradients[0]["weight"]                                  # as w

A layer is a function x [B, F] -> (y [B, K], back), and back(dL/dy) -> (dL/dx, {name: dL/dparameter}): the chain rule
for that layer alone. A row is a point; a weight is [K, F], as in torch, so that Z = A W' + b, dW = dZ' A, dA = dZ W.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

Array = NDArray[Any]
Gradients = Mapping[str, Array]
Back = Callable[[Array], tuple[Array, Gradients]]
Layer = Callable[[Array], tuple[Array, Back]]
Loss = Callable[[Array, Array], tuple[float, Array]]  # (outputs, targets) -> (mean over rows, its gradient)


def propagate(net: Sequence[Layer], loss: Loss, x: Array, targets: Array) -> tuple[float, list[Gradients]]:
    """The loss of a net, and its gradient by the parameters of each layer: forward, then back in the opposite order."""
    backs = []
    for layer in net:
        x, back = layer(x)
        backs.append(back)
    value, slope = loss(x, targets)
    gradients = []
    for back in reversed(backs):
        slope, gradient = back(slope)
        gradients.append(gradient)
    return value, gradients[::-1]


# Layers --------------------------------------------------------------------------------------------------------------


def linear(weight: Array, bias: Array) -> Layer:
    """weight [K, F], bias [K]: [B, F] -> [B, K]."""

    def forward(x: Array) -> tuple[Array, Back]:
        return x @ weight.T + bias, lambda dy: (dy @ weight, {"weight": dy.T @ x, "bias": dy.sum(0)})

    return forward


def activation(name: str) -> Layer:
    """One of ACTIVATIONS, elementwise."""
    f, slope = ACTIVATIONS[name]
    return lambda z: (f(z), lambda dy: (dy * slope(z), {}))


def softmax(z: Array) -> tuple[Array, Back]:
    """exp z / sum exp z over the last axis; the largest z is taken off first, so that nothing overflows."""
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p, lambda dy: (p * (dy - (dy * p).sum(-1, keepdims=True)), {})


def dropout(p: float, rng: np.random.Generator) -> Layer:
    """Each number is 0 with probability p and 1 / (1 - p) times itself else, so that the mean stays; what was dropped
    on the way forward is on the way back (Srivastava et al. 2014)."""

    def forward(x: Array) -> tuple[Array, Back]:
        mask = (rng.random(x.shape) > p) / (1 - p)
        return x * mask, lambda dy: (dy * mask, {})

    return forward


def batch_normalization(scale: Array, shift: Array, epsilon: float = 1e-5) -> Layer:
    """scale * (x - mean) / sqrt(variance + epsilon) + shift by the mean and variance of each column of the batch (Ioffe
    and Szegedy 2015, https://arxiv.org/abs/1502.03167). scale, shift: [F]. A row's gradient depends on all rows: mean
    and variance are functions of them."""

    def forward(x: Array) -> tuple[Array, Back]:
        deviation = np.sqrt(x.var(0) + epsilon)
        unit = (x - x.mean(0)) / deviation

        def back(dy: Array) -> tuple[Array, Gradients]:
            d = dy * scale
            dx = (d - d.mean(0) - unit * (d * unit).mean(0)) / deviation
            return dx, {"scale": (dy * unit).sum(0), "shift": dy.sum(0)}

        return scale * unit + shift, back

    return forward


# Activations, each with its derivative -------------------------------------------------------------------------------


def _normal(z: Array) -> Array:
    """The standard normal distribution function."""
    return np.asarray(0.5 * (1 + erf(z / math.sqrt(2))))


def _density(z: Array) -> Array:
    return np.asarray(np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def _expm1(z: Array) -> Array:
    return np.expm1(np.minimum(z, 0))


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (lambda z: z, np.ones_like),
    "sigmoid": (expit, lambda z: expit(z) * (1 - expit(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1 + z * (1 - expit(z)))),
    "elu": (lambda z: np.where(z > 0, z, _expm1(z)), lambda z: np.where(z > 0, 1, _expm1(z) + 1)),
    "gelu": (lambda z: z * _normal(z), lambda z: _normal(z) + z * _density(z)),
}

# Losses: means over rows, as `supervised.losses` ---------------------------------------------------------------------


def cross_entropy(outputs: Array, targets: Array) -> tuple[float, Array]:
    """-log softmax(outputs)[target] of classes [B] int64; its gradient is probabilities less indicators."""
    p, _ = softmax(outputs)
    rows, shifted = np.arange(len(outputs)), outputs - outputs.max(-1, keepdims=True)
    value = np.log(np.exp(shifted).sum(-1)) - shifted[rows, targets]
    p[rows, targets] -= 1
    return float(value.mean()), p / len(outputs)


def _of_errors(loss: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Loss:
    """The mean of a function of outputs - targets, both [B, D]."""

    def mean(outputs: Array, targets: Array) -> tuple[float, Array]:
        error = outputs - targets
        return float(loss(error).mean()), slope(error) / error.size

    return mean


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "squared": _of_errors(np.square, lambda e: 2 * e),
    "absolute": _of_errors(np.abs, np.sign),
    "huber": _of_errors(lambda e: np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5), lambda e: e.clip(-1, 1)),
}

"""First-order optimizers: which way to go, from the gradients so far.

    for x in descend(objective.gradient, x, Momentum(0.9), rate=0.01, steps=100): ...
    descend(gradient, x, Adam(), rate=lambda step: 0.1 / (1 + 0.01 * step), steps=100, noise=0.1, rng=rng)
    descend(gradient, x, Adam(), rate=Hypergradient(0.01, 1e-4), steps=100)

A rule says the direction u; the step is x <- x - rate * u. So a schedule, noise and a rate that is learned go with
each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
State = dict[str, Any]  # arrays and numbers


class Rule(Protocol):
    def begin(self, x: Array) -> State:
        """Before the first step, from x [n]."""
        ...

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        """What to subtract [n], times the rate. Changes the state."""
        ...


# Directions that follow the gradient


class SteepestDescent:
    """u = g: gradient descent."""

    def begin(self, x: Array) -> State:
        return {}

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        return gradient


@dataclass(frozen=True)
class Momentum:
    """m = decay m + g; u = m (Polyak 1964), or with `nesterov` u = g + decay m: the gradient is that of where momentum
    alone would lead, written in terms of that place (Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html)."""

    decay: float = 0.9
    nesterov: bool = False

    def begin(self, x: Array) -> State:
        return {"mean": np.zeros_like(x)}

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        mean = state["mean"] = self.decay * state["mean"] + gradient
        return gradient + self.decay * mean if self.nesterov else mean


@dataclass(frozen=True)
class ArithmeticMomentum:
    """The average of the last `count` gradients, weighed count for the newest down to 1 for the oldest. Those before
    the first are 0. Kept by two running sums: N <- N + count g - S with the plain sum S of the last ones."""

    count: int = 10

    def begin(self, x: Array) -> State:
        return {
            "last": np.zeros((self.count, *x.shape)),
            "place": 0,
            "sum": np.zeros_like(x),
            "weighed": np.zeros_like(x),
        }

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        place = state["place"] % self.count
        state["weighed"] = state["weighed"] + self.count * gradient - state["sum"]
        state["sum"] = state["sum"] + gradient - state["last"][place]
        state["last"][place] = gradient
        state["place"] += 1
        return state["weighed"] / (self.count * (self.count + 1) / 2)


# Directions with a scale for each coordinate


@dataclass(frozen=True)
class Adagrad:
    """s = decay s + g^2; u = g / sqrt(s + epsilon) (Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html, where
    decay is 1). Less than 1 forgets, as RMSProp does, which weighs g^2 by 1 - decay besides."""

    decay: float = 1.0
    epsilon: float = 1e-16

    def begin(self, x: Array) -> State:
        return {"square": np.zeros_like(x)}

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        state["square"] = self.decay * state["square"] + gradient**2
        return gradient / np.sqrt(state["square"] + self.epsilon)


@dataclass(frozen=True)
class RMSProp:
    """s = decay s + (1 - decay) g^2; u = g / (sqrt(s) + epsilon) (Hinton's lecture 6e, 2012)."""

    decay: float = 0.99
    epsilon: float = 1e-8

    def begin(self, x: Array) -> State:
        return {"square": np.zeros_like(x)}

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        state["square"] = self.decay * state["square"] + (1 - self.decay) * gradient**2
        return gradient / (np.sqrt(state["square"]) + self.epsilon)


@dataclass(frozen=True)
class Adadelta:
    """As RMSProp, times the root of the mean square of the steps so far, which puts u in units of x: its rate is 1
    (Zeiler 2012, https://arxiv.org/abs/1212.5701)."""

    decay: float = 0.9
    epsilon: float = 1e-6

    def begin(self, x: Array) -> State:
        return {"square": np.zeros_like(x), "steps": np.zeros_like(x)}

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        state["square"] = self.decay * state["square"] + (1 - self.decay) * gradient**2
        step = np.sqrt((state["steps"] + self.epsilon) / (state["square"] + self.epsilon)) * gradient
        state["steps"] = self.decay * state["steps"] + (1 - self.decay) * step**2
        return step


@dataclass(frozen=True)
class Adam:
    """u = m / (sqrt(s) + epsilon) with the means of g and g^2, each as if it had not begun at 0 (Kingma and Ba 2015,
    https://arxiv.org/abs/1412.6980). `largest`: AMSGrad, where s never falls (Reddi et al. 2018,
    https://openreview.net/forum?id=ryQu7f-RZ). `weights`: AdamW, whose step also shrinks x by rate * weights
    (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101)."""

    decay: float = 0.9
    decay_square: float = 0.999
    epsilon: float = 1e-8
    largest: bool = False
    weights: float = 0.0

    def begin(self, x: Array) -> State:
        return {"step": 0, "mean": np.zeros_like(x), "square": np.zeros_like(x), "largest": np.zeros_like(x)}

    def direction(self, x: Array, gradient: Array, state: State) -> Array:
        state["step"] += 1
        mean = state["mean"] = self.decay * state["mean"] + (1 - self.decay) * gradient
        square = state["square"] = self.second(state["square"], gradient)
        if self.largest:
            square = state["largest"] = np.maximum(state["largest"], square)
        root = np.sqrt(square / (1 - self.decay_square ** state["step"]))
        return self.first(mean, gradient, state) / (root + self.epsilon) + self.weights * x

    def first(self, mean: Array, gradient: Array, state: State) -> Array:
        return mean / (1 - self.decay ** state["step"])

    def second(self, square: Array, gradient: Array) -> Array:
        return self.decay_square * square + (1 - self.decay_square) * gradient**2


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov's momentum, whose decay grows from half its value on: decay_t = decay (1 - .96^(t warmup) / 2)
    (Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ)."""

    warmup: float = 0.004

    def begin(self, x: Array) -> State:
        return {**super().begin(x), "product": 1.0}

    def first(self, mean: Array, gradient: Array, state: State) -> Array:
        now, then = (self.decay * (1 - 0.96 ** (t * self.warmup) / 2) for t in (state["step"], state["step"] + 1))
        product = state["product"] = state["product"] * now
        return then * mean / (1 - product * then) + (1 - now) * gradient / (1 - product)


@dataclass(frozen=True)
class Yogi(Adam):
    """Adam, but the mean of squares moves toward g^2 by (1 - decay_square) g^2, however far it is (Zaheer et al. 2018,
    https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization)."""

    epsilon: float = 1e-3

    def second(self, square: Array, gradient: Array) -> Array:
        return square - (1 - self.decay_square) * np.sign(square - gradient**2) * gradient**2


# Rates


@dataclass
class Hypergradient:
    """A rate that is learned: since d f(x_t) / d rate = -g_t . u_{t-1}, it is raised by `learn` g_t . u_{t-1} (Baydin
    et al. 2018, https://arxiv.org/abs/1703.04782)."""

    rate: float
    learn: float

    def __call__(self, gradient: Array, before: Array) -> float:
        self.rate += self.learn * float(gradient @ before)
        return self.rate


def inverse_time(rate: float, decay: float) -> Callable[[int], float]:
    """rate / (1 + decay * step), the first step being 0."""
    return lambda step: rate / (1 + decay * step)


def geometric(rate: float, factor: float) -> Callable[[int], float]:
    """rate * factor^step."""
    return lambda step: rate * factor**step


def exponential(rate: float, decay: float) -> Callable[[int], float]:
    """rate * exp(-decay * step)."""
    return lambda step: rate * math.exp(-decay * step)


def descend(
    gradient: Callable[[Array], Array],
    x: Array,
    rule: Rule,
    rate: float | Callable[[int], float] | Hypergradient,
    steps: int,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Iterator[Array]:
    """x [n] after each step, `noise` being the standard deviation of what is added to it. The gradient may be that of
    a minibatch. Raises ValueError where there is noise and no generator of it."""
    if noise and rng is None:
        raise ValueError("noise needs a random generator: rng=np.random.default_rng(seed)")
    state, before = rule.begin(x), np.zeros_like(x)
    for step in range(steps):
        found = gradient(x)
        size = rate(found, before) if isinstance(rate, Hypergradient) else rate(step) if callable(rate) else rate
        before = rule.direction(x, found, state)
        x = x - size * before
        if rng is not None and noise:
            x = x + noise * rng.standard_normal(x.shape)
        yield x

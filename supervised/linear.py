"""Linear models, with and without penalties: what larger networks are to be compared with, in numpy, float64.

    weights, intercept = ridge(inputs, targets, penalty=1.0)
    inputs @ weights + intercept

inputs are [n, d], targets [n]. Of models with an intercept it is not penalized.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from supervised.optimize.objectives import Objective
from supervised.optimize.second_order import newton

Array = NDArray[Any]


class Linear(NamedTuple):
    weights: Array  # [d]
    intercept: float

    def predict(self, inputs: Array) -> Array:
        """[n] numbers; of a classifier positive ones mean class 1."""
        return np.asarray(inputs @ self.weights + self.intercept)


def least_squares(inputs: Array, targets: Array) -> Array:
    """The weights [d] of the least squared error; of several the shortest. No intercept."""
    return np.asarray(np.linalg.lstsq(inputs, targets, rcond=None)[0])


def ridge(inputs: Array, targets: Array, penalty: float | Array) -> Linear:
    """The least of |y - X w - b|^2 + penalty |w|^2, in closed form (X'X + penalty I)^-1 X'y of centred X and y (Hoerl
    and Kennard 1970, https://doi.org/10.1080/00401706.1970.10488634). A penalty [d] weighs each square by itself."""
    middle, level = inputs.mean(0), targets.mean()
    x = inputs - middle
    weights = np.linalg.solve(x.T @ x + np.diag(np.broadcast_to(penalty, x.shape[1])), x.T @ (targets - level))
    return Linear(weights, float(level - middle @ weights))


def leave_one_out(inputs: Array, targets: Array, penalty: float) -> float:
    """The mean squared error of each row by the ridge of all others, from one solution: residuals over 1 - the leverage
    of their row."""
    n, x = len(inputs), inputs - inputs.mean(0)
    leverage = 1 / n + np.einsum("ij,ij->i", x, np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T).T)
    residual = targets - ridge(inputs, targets, penalty).predict(inputs)
    return float(np.square(residual / (1 - leverage)).mean())


def lasso(inputs: Array, targets: Array, penalty: float, tolerance: float = 1e-10, passes: int = 100_000) -> Linear:
    """The least of |y - X w - b|^2 / (2 n) + penalty |w|_1, by coordinate descent, until no weight moves by more than
    `tolerance` of the largest (Friedman et al. 2010, https://doi.org/10.18637/jss.v033.i01). Raises ValueError where
    that takes more than so many passes."""
    middle, level = inputs.mean(0), targets.mean()
    x, n = inputs - middle, len(inputs)
    weights, residual, squares = np.zeros(x.shape[1]), targets - level, np.square(x).sum(0) / n
    for _ in range(passes):
        moved = 0.0
        for j in np.flatnonzero(squares):
            pull = x[:, j] @ residual / n + squares[j] * weights[j]
            weight = np.sign(pull) * max(abs(pull) - penalty, 0.0) / squares[j]
            if weight != weights[j]:
                residual = residual + (weights[j] - weight) * x[:, j]
                moved = max(moved, abs(weight - weights[j]))
                weights[j] = weight
        if moved <= tolerance * np.abs(weights).max():
            return Linear(weights, float(level - middle @ weights))
    raise ValueError(f"the weights still move after {passes} passes: raise the penalty {penalty}, or the tolerance")


def logistic(inputs: Array, targets: Array, penalty: float, steps: int = 50) -> Linear:
    """The least of the summed logistic loss + penalty |w|^2 / 2 by Newton's method; targets [n] are 0 or 1. The
    gradient is (h - y) x of each row, h being the chance of class 1. Raises ValueError without a penalty, for rows that
    a plane separates have no least."""
    if penalty <= 0:
        raise ValueError(f"penalty is {penalty}, and has to be positive: separable rows have no best weights otherwise")
    x = np.column_stack([inputs, np.ones(len(inputs))])
    shrunk = np.append(np.full(inputs.shape[1], penalty), 0.0)

    def value(w: Array) -> float:
        return float(np.logaddexp(0, (1 - 2 * targets) * (x @ w)).sum() + shrunk @ w**2 / 2)

    def chance(w: Array) -> Array:
        return np.exp(-np.logaddexp(0, -(x @ w)))

    objective = Objective(
        value,
        lambda w: x.T @ (chance(w) - targets) + shrunk * w,
        lambda w: (x.T * (chance(w) * (1 - chance(w)))) @ x + np.diag(shrunk),
    )
    w = np.zeros(x.shape[1])
    for after in newton(objective, w, steps):
        while objective.value(after) > objective.value(w) + 1e-12 * abs(objective.value(w)):
            after = (after + w) / 2  # Newton's step may go too far at first
        if np.abs(after - w).max() <= 1e-13 * np.abs(after).max():
            break
        w = after
    return Linear(w[:-1], float(w[-1]))


def perceptron(inputs: Array, targets: Array, passes: int = 1000) -> tuple[Linear, int]:
    """Rosenblatt's rule (1958, https://doi.org/10.1037/h0042519): of each row on the wrong side add it to the weights,
    or subtract it. targets [n] are 0 or 1. Returns the model and the mistakes until there were none, of which separable
    rows make at most (longest row / margin)^2. Raises ValueError where there is no end."""
    x, sides = np.column_stack([inputs, np.ones(len(inputs))]), 2 * targets - 1
    w, mistakes = np.zeros(x.shape[1]), 0
    for _ in range(passes):
        before = mistakes
        for row, side in zip(x, sides):
            if side * (w @ row) <= 0:
                w, mistakes = w + side * row, mistakes + 1
        if mistakes == before:
            return Linear(w[:-1], float(w[-1])), mistakes
    raise ValueError(f"rows are still on the wrong side after {passes} passes: no plane separates them")


def crossed(inputs: Array) -> Array:
    """[n, d + d (d - 1) / 2]: the inputs, and the products of each two of them. With those a plane tells XOR."""
    first, second = np.triu_indices(inputs.shape[1], 1)
    return np.column_stack([inputs, inputs[:, first] * inputs[:, second]])


# What noise does to least squares, in expectation: a penalty


def loss_of_dropout(inputs: Array, targets: Array, weights: Array, rate: float) -> float:
    """The expectation of |y - X' w|^2 where each entry of X is dropped with chance `rate` and scaled by 1 / (1 - rate)
    otherwise: that of X itself + rate / (1 - rate) sum_j |x_j|^2 w_j^2 (Wager et al. 2013,
    https://arxiv.org/abs/1307.1493)."""
    penalty = rate / (1 - rate) * np.square(inputs).sum(0)
    return float(np.square(targets - inputs @ weights).sum() + penalty @ weights**2)


def loss_of_noise(inputs: Array, targets: Array, weights: Array, deviation: float) -> float:
    """The same for normal noise that is added to each entry of X: n deviation^2 |w|^2 more (Bishop 1995,
    https://doi.org/10.1162/neco.1995.7.1.108)."""
    penalty = len(inputs) * deviation**2
    return float(np.square(targets - inputs @ weights).sum() + penalty * (weights @ weights))

"""Three steps of each rule on a known function, against printed numbers and against torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from supervised.optimize.first_order import (
    Adadelta,
    Adagrad,
    Adam,
    ArithmeticMomentum,
    Hypergradient,
    Momentum,
    NAdam,
    RMSProp,
    Rule,
    SteepestDescent,
    Yogi,
    descend,
    exponential,
    geometric,
    inverse_time,
)
from supervised.optimize.objectives import Array, quadratic

BOWL = quadratic(np.diag([1.0, 10.0]))
START = np.ones(2)


@pytest.mark.parametrize(
    ("rule", "rate", "x"),
    [
        (SteepestDescent(), 0.1, [0.9, 0.81, 0.729]),
        (Momentum(0.9), 0.1, [0.9, 0.72, 0.486]),
        (Momentum(0.9, nesterov=True), 0.1, [0.81, 0.5751, 0.327321]),
        (Adagrad(), 0.1, [0.9, 0.833103527, 0.780456181]),
        (Adam(), 0.1, [0.9, 0.800412230, 0.701586275]),
        (NAdam(), 0.1, [0.894354823, 0.819973072, 0.752729268]),
        (Adam(weights=0.01), 0.1, [0.899, 0.798519028, 0.698911185]),
        (Adadelta(), 1.0, [0.996837738, 0.993598198, 0.990309083]),
        (Yogi(), 0.1, [0.900099900, 0.800643577, 0.701981348]),
    ],
)
def test_three_steps(rule: Rule, rate: float, x: list[float]) -> None:
    path = np.array(list(descend(BOWL.gradient, START, rule, rate, 3)))
    np.testing.assert_allclose(path[:, 0], x, atol=1.1e-9)


@pytest.mark.parametrize(
    ("rule", "rate", "make"),
    [
        (Momentum(0.8), 0.03, lambda x: torch.optim.SGD(x, 0.03, momentum=0.8)),
        (Momentum(0.8, nesterov=True), 0.03, lambda x: torch.optim.SGD(x, 0.03, momentum=0.8, nesterov=True)),
        (RMSProp(), 0.01, lambda x: torch.optim.RMSprop(x, 0.01)),
        (Adadelta(), 0.5, lambda x: torch.optim.Adadelta(x, 0.5)),
        (Adam(), 0.1, lambda x: torch.optim.Adam(x, 0.1)),
        (Adam(largest=True), 0.1, lambda x: torch.optim.Adam(x, 0.1, amsgrad=True)),
        (Adam(weights=0.01), 0.1, lambda x: torch.optim.AdamW(x, 0.1, weight_decay=0.01)),
        (NAdam(), 0.1, lambda x: torch.optim.NAdam(x, 0.1)),
    ],
)
def test_torch_goes_the_same_way(rule: Rule, rate: float, make: Callable[[Any], torch.optim.Optimizer]) -> None:
    leaf = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = make([leaf])
    for x in descend(BOWL.gradient, START, rule, rate, 30):
        optimizer.zero_grad()
        (leaf**2 @ torch.tensor([0.5, 5.0], dtype=torch.float64)).backward()
        optimizer.step()
        np.testing.assert_allclose(x, leaf.detach().numpy(), rtol=1e-7, atol=1e-12)  # NAdam's are float32


def test_nesterovs_gradient_is_that_of_where_momentum_leads() -> None:
    """The form in which it is told: v <- decay v - rate g(x + decay v); x <- x + v. We step from x + decay v itself."""
    x, v, ours = START, np.zeros(2), descend(BOWL.gradient, START, Momentum(0.9, nesterov=True), 0.1, 10)
    for stepped in ours:
        v = 0.9 * v - 0.1 * BOWL.gradient(x + 0.9 * v)
        x = x + v
        np.testing.assert_allclose(stepped, x + 0.9 * v, atol=1e-12)


def test_arithmetic_momentum_weighs_the_newest_most() -> None:
    """Against the sums written out; gradients before the first count as 0."""
    gradients = np.random.default_rng(0).standard_normal((12, 3))
    rule = ArithmeticMomentum(4)
    state = rule.begin(gradients[0])
    for t, gradient in enumerate(gradients):
        found = rule.direction(np.zeros(3), gradient, state)
        expected = sum((4 - k) * gradients[t - k] for k in range(4) if t >= k) / 10
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_hypergradient_raises_the_rate_while_gradients_agree() -> None:
    rates, rate = [], Hypergradient(0.01, 1e-4)
    path = []
    for x in descend(BOWL.gradient, START, SteepestDescent(), rate, 3):
        rates.append(rate.rate)
        path.append(x[0])
    np.testing.assert_allclose(rates, [0.01, 0.019099, 0.0257481191], atol=1e-10)
    np.testing.assert_allclose(path, [0.99, 0.971091990, 0.946088198], atol=1e-9)


def test_the_hypergradient_is_the_derivative_by_the_rate() -> None:
    """d f(x - a u) / d a = -g(x - a u) . u."""
    u, a, h = BOWL.gradient(START), 0.03, 1e-6
    slope = (BOWL.value(START - (a + h) * u) - BOWL.value(START - (a - h) * u)) / (2 * h)
    assert slope == pytest.approx(-BOWL.gradient(START - a * u) @ u, rel=1e-8)


def test_adam_ends_at_the_worst_point_where_amsgrad_ends_at_the_best() -> None:
    """Reddi's counterexample: of three gradients one is 3, two are -1; the best x in [-1, 1] is -1."""

    def end(rule: Rule) -> float:
        x = np.zeros(1)
        state = rule.begin(x)
        for t in range(1, 20_001):
            gradient = np.array([3.0 if t % 3 == 1 else -1.0])
            x = np.clip(x - 0.1 / np.sqrt(t) * rule.direction(x, gradient, state), -1, 1)
        return float(x[0])

    assert end(Adam(0.0, 1 / 10, epsilon=0.0)) > 0.99
    assert end(Adam(0.0, 1 / 10, epsilon=0.0, largest=True)) < -0.99


@pytest.mark.parametrize(("condition", "plain", "ball"), [(10, 0.818182, 0.519494), (100, 0.980198, 0.818182)])
def test_rates_of_convergence(condition: float, plain: float, ball: float) -> None:
    """With the best constants: the error shrinks by (k - 1) / (k + 1), with momentum by (sqrt k - 1) / (sqrt k + 1)."""
    bowl, root = quadratic(np.diag([1.0, condition])), np.sqrt(condition)
    *_, last, end = descend(bowl.gradient, START, SteepestDescent(), 2 / (1 + condition), 60)
    assert np.linalg.norm(end) / np.linalg.norm(last) == pytest.approx(plain, abs=1e-6)
    path = list(descend(bowl.gradient, START, Momentum(((root - 1) / (root + 1)) ** 2), 4 / (1 + root) ** 2, 400))
    steps = np.log([np.linalg.norm(x) for x in path])
    assert np.exp((steps[-1] - steps[199]) / 200) == pytest.approx(ball, abs=0.01)


def test_gradient_descent_finds_the_shortest_solution_and_adagrad_another() -> None:
    """One equation, two unknowns: 3 x + y = 10."""
    row, target = np.array([3.0, 1.0]), 10.0

    def gradient(x: Array) -> Array:
        return (row @ x - target) * row

    *_, plain = descend(gradient, np.zeros(2), SteepestDescent(), 0.05, 400)
    *_, scaled = descend(gradient, np.zeros(2), Adagrad(), 1.0, 4000)
    np.testing.assert_allclose(plain, np.linalg.pinv(row[None]) @ [target], atol=1e-9)
    assert row @ scaled == pytest.approx(target, abs=1e-6) and np.linalg.norm(scaled) > np.linalg.norm(plain) + 0.1


def test_rates_by_step_and_noise() -> None:
    assert [inverse_time(1.0, 0.5)(t) for t in (0, 2)] == [1.0, 0.5]
    assert [geometric(1.0, 0.5)(t) for t in (0, 2)] == [1.0, 0.25]
    assert exponential(1.0, 0.5)(2) == pytest.approx(np.exp(-1))
    *_, end = descend(BOWL.gradient, START, SteepestDescent(), inverse_time(0.1, 1.0), 3)
    assert end[0] == pytest.approx(0.9 * 0.95 * (1 - 0.1 / 3))
    with pytest.raises(ValueError, match="random generator"):
        next(descend(BOWL.gradient, START, SteepestDescent(), 0.1, 1, noise=0.1))
    # Of x <- .9 x + noise the variance comes to .1^2 / (1 - .9^2): 4 standard errors of 20,000 correlated steps.
    rng = np.random.default_rng(0)
    path = np.array(list(descend(quadratic(np.eye(1)).gradient, np.zeros(1), SteepestDescent(), 0.1, 20_000, 0.1, rng)))
    assert path.var() == pytest.approx(0.01 / 0.19, rel=4 * np.sqrt(2 * 10 / 20_000))

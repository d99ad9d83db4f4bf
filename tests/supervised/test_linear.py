"""Linear models, against printed numbers, scikit-learn and their own conditions."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.linear import (
    crossed,
    lasso,
    least_squares,
    leave_one_out,
    logistic,
    loss_of_dropout,
    loss_of_noise,
    perceptron,
    ridge,
)
from supervised.optimize.first_order import SteepestDescent, descend
from supervised.optimize.objectives import Array

datasets = pytest.importorskip("sklearn.datasets")
linear_model = pytest.importorskip("sklearn.linear_model")


def diabetes() -> tuple[Array, Array]:
    x, y = datasets.load_diabetes(return_X_y=True)
    return x, y


def determination(y: Array, found: Array) -> float:
    return float(1 - np.square(y - found).sum() / np.square(y - y.mean()).sum())


def rows(n: int = 12, d: int = 4, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal(n)


# Squares --------------------------------------------------------------------------------------------------------------


def test_least_squares_of_diabetes() -> None:
    x, y = diabetes()
    weights = least_squares(x, y - y.mean())
    printed = [-10.009866, -239.815644, 519.845920, 324.384646, -792.175639]
    printed += [476.739021, 101.043268, 177.063238, 751.273700, 67.626692]
    np.testing.assert_allclose(weights, printed, atol=1e-6)
    assert y.mean() == pytest.approx(152.133484, abs=1e-6)
    assert determination(y, x @ weights + y.mean()) == pytest.approx(0.517748422, abs=1e-9)


def test_ridge_of_diabetes() -> None:
    x, y = diabetes()
    model = ridge(x, y, 1.0)
    printed = [29.466112, -83.154276, 306.352680, 201.627734, 5.909614]
    printed += [-29.515495, -152.040280, 117.311732, 262.944290, 111.878956]
    np.testing.assert_allclose(model.weights, printed, atol=1e-6)
    assert determination(y, model.predict(x)) == pytest.approx(0.451230628, abs=1e-9)
    peer = linear_model.Ridge(1.0).fit(x + 3, y)  # the intercept bears no penalty
    ours = ridge(x + 3, y, 1.0)
    np.testing.assert_allclose([*ours.weights, ours.intercept], [*peer.coef_, peer.intercept_], rtol=1e-8)


def test_any_penalty_is_allowed_and_shrinks() -> None:
    """Not only those up to 1, as some notes say; in the limit nothing is left."""
    x, y = rows()
    lengths = [float(np.linalg.norm(ridge(x, y, penalty).weights)) for penalty in (0.0, 0.5, 1.0, 10.0, 1e9)]
    assert lengths == sorted(lengths, reverse=True) and lengths[-1] < 1e-7
    np.testing.assert_allclose(ridge(x, y, 0.0).weights, least_squares(x - x.mean(0), y), atol=1e-12)


def test_leaving_each_row_out_takes_one_solution() -> None:
    x, y = rows()
    errors = []
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        errors.append(y[i] - ridge(x[others], y[others], 0.7).predict(x[i]))
    assert leave_one_out(x, y, 0.7) == pytest.approx(np.square(errors).mean(), rel=1e-10)


def test_stopping_early_shrinks_as_a_penalty_does() -> None:
    """After k steps of gradient descent from 0 an eigen-direction of X'X has come 1 - (1 - rate l)^k of the way."""
    x, y = rows()
    values, axes = np.linalg.eigh(x.T @ x)
    *_, stopped = descend(lambda w: x.T @ (x @ w - y), np.zeros(4), SteepestDescent(), 0.02, 7)
    whole = axes.T @ least_squares(x, y)
    np.testing.assert_allclose(axes.T @ stopped, (1 - (1 - 0.02 * values) ** 7) * whole, atol=1e-12)


# Lasso ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("penalty", "kept", "fit"),
    [
        (1.0, {2: 367.701626, 3: 6.309703, 8: 307.602147}, 0.357380539),
        (
            0.1,
            {1: -155.343111, 2: 517.216241, 3: 275.087223, 4: -52.552036}
            | {6: -210.139509, 8: 483.917175, 9: 33.662192},
            0.508839440,
        ),
    ],
)
def test_lasso_of_diabetes(penalty: float, kept: dict[int, float], fit: float) -> None:
    x, y = diabetes()
    model = lasso(x, y, penalty)
    assert np.flatnonzero(model.weights).tolist() == sorted(kept)
    np.testing.assert_allclose(model.weights[sorted(kept)], [kept[j] for j in sorted(kept)], atol=2e-6)
    assert determination(y, model.predict(x)) == pytest.approx(fit, abs=1e-9)
    pull = x.T @ (y - model.predict(x)) / len(x)  # where a weight is not 0, all that the penalty allows
    support = model.weights != 0
    np.testing.assert_allclose(pull[support], penalty * np.sign(model.weights[support]), atol=1e-8)
    assert (np.abs(pull[~support]) <= penalty).all()


def test_where_weights_enter() -> None:
    """All are 0 from 2.148043576 up; then bmi, s5, bp and another come in."""
    x, y = diabetes()
    enters = [2.148043576, 2.012022, 1.024651, 0.715098]
    for number, at in enumerate(enters):
        below, above = (int((lasso(x, y, at + shift).weights != 0).sum()) for shift in (-1e-4, 1e-4))
        assert (above, below) == (number, number + 1)


def test_weights_that_never_settle_are_told() -> None:
    x, y = rows()
    with pytest.raises(ValueError, match="still move after 1 passes"):
        lasso(x, y, 0.01, passes=1)


# Classes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_logistic_regression_is_scikit_learns(penalty: float) -> None:
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    peer = linear_model.LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    ours = logistic(x, y, penalty)
    np.testing.assert_allclose([*ours.weights, ours.intercept], [*peer.coef_[0], peer.intercept_[0]], atol=1e-8)
    with pytest.raises(ValueError, match="penalty is 0"):
        logistic(x, y, 0.0)


def test_a_crossed_feature_tells_xor() -> None:
    corners = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    odd = np.array([0, 1, 1, 0])
    with pytest.raises(ValueError, match="no plane separates"):
        perceptron(corners, odd)
    model, _ = perceptron(crossed(corners), odd)
    np.testing.assert_array_equal(model.predict(crossed(corners)) > 0, odd)
    np.testing.assert_allclose(logistic(crossed(corners), odd, 0.1).weights[:2], 0, atol=1e-12)
    np.testing.assert_array_equal(crossed(np.array([[2.0, 3, 5]])), [[2, 3, 5, 6, 10, 15]])


@pytest.mark.parametrize("seed", range(5))
def test_a_perceptron_makes_no_more_mistakes_than_it_may(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, plane = rng.standard_normal((200, 3)), rng.standard_normal(4)
    height = (x @ plane[:3] + plane[3]) / np.linalg.norm(plane)
    x, height = x[np.abs(height) > 0.1], height[np.abs(height) > 0.1]
    model, mistakes = perceptron(x, (height > 0).astype(int))
    np.testing.assert_array_equal(model.predict(x) > 0, height > 0)
    assert 0 < mistakes <= (np.square(x).sum(1) + 1).max() / np.abs(height).min() ** 2


# Noise is a penalty ---------------------------------------------------------------------------------------------------


def test_dropout_and_noise_cost_what_is_expected() -> None:
    """Within 4 standard errors of 40,000 draws each; the least of both is a ridge."""
    x, y = rows(6, 3)
    w, rng = np.array([1.0, -2.0, 0.5]), np.random.default_rng(1)
    kept = rng.random((40_000, 6, 3)) > 0.3
    drawn = {
        loss_of_dropout(x, y, w, 0.3): np.square(y - (kept * x / 0.7) @ w).sum(1),
        loss_of_noise(x, y, w, 0.5): np.square(y - (x + 0.5 * rng.standard_normal((40_000, 6, 3))) @ w).sum(1),
    }
    for exact, losses in drawn.items():
        assert losses.mean() == pytest.approx(exact, abs=4 * losses.std() / 200)
    x, y = x - x.mean(0), y - y.mean()
    best = ridge(x, y, 0.3 / 0.7 * np.square(x).sum(0)).weights
    for step in 1e-4 * np.vstack([np.eye(3), -np.eye(3)]):
        assert loss_of_dropout(x, y, best, 0.3) < loss_of_dropout(x, y, best + step, 0.3)

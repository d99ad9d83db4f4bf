"""Back-propagation by hand is what autograd and differences say; the notes' version, with its errors, is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supervised.backprop import (
    ACTIVATIONS,
    LOSSES,
    Array,
    Layer,
    activation,
    batch_normalization,
    dropout,
    linear,
    propagate,
    softmax,
)
from supervised.losses import LOSSES as TORCH_LOSSES
from supervised.networks.torso import ACTIVATIONS as TORCH_ACTIVATIONS

RNG = np.random.default_rng(0)
X, W, B, V, C = (RNG.normal(size=shape) for shape in ((7, 3), (4, 3), (4,), (2, 4), (2,)))
CLASSES, NUMBERS = RNG.integers(2, size=7), RNG.normal(size=(7, 2))


def targets(loss: str) -> Array:
    return CLASSES if loss == "cross_entropy" else NUMBERS


def by_hand(layer: Layer, loss: str) -> tuple[float, list[Array]]:
    value, gradients = propagate([linear(W, B), layer, linear(V, C)], LOSSES[loss], X, targets(loss))
    return value, [gradients[0]["weight"], gradients[0]["bias"], gradients[2]["weight"], gradients[2]["bias"]]


def by_autograd(layer: Callable[[Tensor], Tensor], loss: str) -> tuple[float, list[Array]]:
    w, b, v, c = leaves = [torch.tensor(array, requires_grad=True) for array in (W, B, V, C)]
    outputs = layer(torch.from_numpy(X) @ w.T + b) @ v.T + c
    value = TORCH_LOSSES[loss](outputs, torch.from_numpy(targets(loss))).mean()
    return value.item(), [gradient.numpy() for gradient in torch.autograd.grad(value, leaves)]


def differences(f: Callable[[Array], float], at: Array, h: float = 1e-6) -> Array:
    """Central differences."""
    slopes = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = h
        slopes[place] = (f(at + step) - f(at - step)) / (2 * h)
    return slopes


def test_every_activation_and_loss_of_the_house_is_here() -> None:
    assert ACTIVATIONS.keys() == TORCH_ACTIVATIONS.keys() | {"identity"}
    assert LOSSES.keys() == TORCH_LOSSES.keys()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_it_is_what_autograd_says(name: str, loss: str) -> None:
    twin = nn.Identity() if name == "identity" else TORCH_ACTIVATIONS[name]()
    (value, found), (known, wanted) = by_hand(activation(name), loss), by_autograd(twin, loss)
    assert value == pytest.approx(known, abs=1e-12)
    for gradient, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_it_is_what_differences_say(name: str) -> None:
    _, gradients = by_hand(activation(name), "squared")

    def lost(w: Array) -> float:
        return propagate([linear(w, B), activation(name), linear(V, C)], LOSSES["squared"], X, NUMBERS)[0]

    np.testing.assert_allclose(gradients[0], differences(lost, W), rtol=1e-6, atol=1e-8)


def notes(w: Array, v: Array, correct: bool) -> tuple[float, Array]:
    """The notes' net of two sigmoid layers and half its squared error, with the gradient by w. Theirs takes the
    derivative at sigmoid(H), where H is one already."""

    def sigmoid(z: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-z)))

    h = sigmoid(X @ w.T)
    y = sigmoid(h @ v.T)
    dy = (y - NUMBERS) * y * (1 - y)
    slope = h * (1 - h) if correct else sigmoid(h) * (1 - sigmoid(h))
    return float(0.5 * np.square(y - NUMBERS).sum()), ((dy @ v) * slope).T @ X


def test_the_notes_version_fails_where_the_correct_one_passes() -> None:
    slopes = differences(lambda w: notes(w, V, True)[0], W)
    for correct in (True, False):
        gradient = notes(W, V, correct)[1]
        off = np.linalg.norm(gradient - slopes) / np.linalg.norm(slopes)
        assert off < 1e-8 if correct else off > 0.1


def test_the_notes_worked_examples() -> None:
    """The sum of ReLU(W x), by W; and the mean of 3 (x + 2)^2 at ones, which is 27 with slopes of 4.5."""
    w, x = np.array([[-0.5, 0.2], [-0.3, 0.8]]), np.array([[0.2, 0.4]])
    z, _ = linear(w, np.zeros(2))(x)
    np.testing.assert_allclose(z, [[-0.02, 0.26]])
    _, (gradient, _) = propagate([linear(w, np.zeros(2)), activation("relu")], lambda y, _: (y.sum(), y * 0 + 1), x, z)
    np.testing.assert_allclose(gradient["weight"], [[0.0, 0.0], [0.2, 0.4]])
    value, slope = LOSSES["squared"](np.ones((2, 2)), np.full((2, 2), -2.0))
    assert 3 * value == 27 and (3 * slope == 4.5).all()


def test_logits_may_be_as_large_as_they_like() -> None:
    outputs = np.array([[1000.0, 1001.0], [-1000.0, 0.0]])
    value, slope = LOSSES["cross_entropy"](outputs, np.array([1, 1]))
    assert value == pytest.approx(np.log1p(np.exp(-1)) / 2)
    p, _ = softmax(outputs)
    np.testing.assert_allclose(slope, (p - [[0, 1], [0, 1]]) / 2)


def test_softmax_is_what_autograd_says() -> None:
    found, wanted = by_hand(softmax, "squared"), by_autograd(lambda z: z.softmax(-1), "squared")
    np.testing.assert_allclose(found[1][0], wanted[1][0], rtol=0, atol=1e-10)


def test_batch_normalization() -> None:
    """Outputs have mean 0 and variance v / (v + epsilon), and the gradient flows through both, too."""
    scale, shift = RNG.normal(size=4), RNG.normal(size=4)
    y, _ = batch_normalization(np.ones(3), np.zeros(3), epsilon=0.1)(X)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), X.var(0) / (X.var(0) + 0.1))

    def twin(z: Tensor) -> Tensor:
        weight, bias = torch.from_numpy(scale), torch.from_numpy(shift)
        return nn.functional.batch_norm(z, None, None, weight, bias, training=True)

    found, wanted = by_hand(batch_normalization(scale, shift), "squared"), by_autograd(twin, "squared")
    for gradient, other in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(gradient, other, rtol=0, atol=1e-10)


def test_what_is_dropped_is_dropped_on_the_way_back() -> None:
    y, back = dropout(0.3, np.random.default_rng(1))(np.ones((50, 40)))
    dx, _ = back(np.ones((50, 40)))
    np.testing.assert_array_equal(dx, y)
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7])


def test_dropout_leaves_the_mean_and_adds_variance() -> None:
    """w = [1, -2, .5], x = [2, 1, 4], p = .2: mean 2, variance p / (1 - p) sum (w x)^2 = 3; within five standard
    errors, so a false alarm in a million seeds."""
    w, x, n = np.array([1, -2, 0.5]), np.array([2.0, 1, 4]), 40_000
    dropped, _ = dropout(0.2, np.random.default_rng(0))(np.tile(x, (n, 1)))
    y = dropped @ w
    assert abs(y.mean() - 2) < 5 * np.sqrt(3 / n)
    fourth = ((y - y.mean()) ** 4).mean()
    assert abs(y.var() - 3) < 5 * np.sqrt((fourth - 9) / n)
    fewer = np.tile(x, (n, 1)) * (dropped > 0)
    assert abs((fewer @ w).mean() - 2) > 0.2, "not scaled by 1 / (1 - p) the mean would be .8 as large"


def test_least_squares_with_dropout_are_those_of_a_ridge() -> None:
    """E |y - D(X) w|^2 = |y - X w|^2 + p / (1 - p) sum_j |x_j|^2 w_j^2, over masks of two columns: all four of them."""
    x, y, w, p = X[:, :2], X[:, 2], np.array([0.7, -1.2]), 0.3
    kept = 1 - p
    expected = 0.0
    for mask in np.ndindex(2, 2):  # of every row: a sum over rows expects the same whether they share it or not
        share = np.prod([kept if keep else p for keep in mask])
        expected += share * np.square(y - (x * np.array(mask) / kept) @ w).sum()
    ridge = np.square(y - x @ w).sum() + p / kept * (np.square(x).sum(0) @ np.square(w))
    assert expected == pytest.approx(ridge, rel=1e-12)


def test_weights_that_are_equal_stay_equal() -> None:
    """Why they begin at random: hidden units that are alike learn alike."""
    w, v = np.tile(W[:1], (4, 1)), np.tile(V[:, :1], (1, 4))
    _, gradients = propagate([linear(w, np.zeros(4)), activation("tanh"), linear(v, C)], LOSSES["squared"], X, NUMBERS)
    assert (gradients[0]["weight"] == gradients[0]["weight"][0]).all()
    assert not (by_hand(activation("tanh"), "squared")[1][0] == gradients[0]["weight"]).all()

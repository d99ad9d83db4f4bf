"""How far from the saddle of x y, and of a quadratic, each way of playing ends."""

from __future__ import annotations

import numpy as np
import pytest

from generative.saddles import Optimistic, Play, alternating, extragradient, follow, follow_the_ridge, simultaneous


def bilinear(x: float, y: float) -> tuple[float, float]:
    return y, x


def radius(play: Play, steps: int) -> float:
    return float(np.linalg.norm(follow(play, (1, 1), steps)[-1]))


@pytest.mark.parametrize(
    ("make", "radii"),
    [
        (simultaneous, (1.421267, 1.486353, 2.325861)),
        (alternating, (1.413542, 1.365671, 1.393880)),
        (Optimistic, (1.421267, 1.358069, 0.859985)),
        (extragradient, (1.407196, 1.345582, 0.859940)),
    ],
)
def test_distance_after_1_10_and_100_steps(make: type[Optimistic], radii: tuple[float, ...]) -> None:
    for steps, expected in zip((1, 10, 100), radii, strict=True):
        assert radius(make(bilinear, 0.1), steps) == pytest.approx(expected, abs=5e-7)


def test_a_thousand_steps() -> None:
    assert radius(simultaneous(bilinear, 0.1), 1000) == pytest.approx(2**0.5 * 1.01**500)
    assert radius(Optimistic(bilinear, 0.1), 1000) == pytest.approx(0.008916, abs=5e-7)


def test_a_ridge_must_be_followed() -> None:
    """-3 x^2 - y^2 + 4 x y: the origin is a local minimax, from which descent and ascent run away."""

    def gradient(x: float, y: float) -> tuple[float, float]:
        return -6 * x + 4 * y, -2 * y + 4 * x

    plain = follow(simultaneous(gradient, 0.05), (0.1, 0.1), 400)
    ridge = follow(follow_the_ridge(gradient, yy=-2, yx=4, rate=0.05), (0.1, 0.1), 400)
    assert np.abs(plain[-1]).max() == pytest.approx(3.6e15, rel=0.02)
    assert np.abs(ridge[-1]).max() == pytest.approx(4e-18, rel=0.15)

"""Convolution as a matrix is torch's, and the notes' worked numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from supervised.convolution import toeplitz

RNG = np.random.default_rng(0)
ONE_TO_FIVE = np.arange(1.0, 6.0)
KERNEL = np.array([[[1.0, 2.0, 3.0]]])


def test_the_notes_worked_examples() -> None:
    assert (toeplitz(KERNEL, (5,)) @ ONE_TO_FIVE).tolist() == [14, 20, 26]
    assert (toeplitz(KERNEL, (5,), stride=2) @ ONE_TO_FIVE).tolist() == [14, 26]
    assert (toeplitz(KERNEL, (5,), flipped=True) @ ONE_TO_FIVE).tolist() == [10, 16, 22]
    assert toeplitz(KERNEL, (5,)).tolist() == [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]


def test_a_detector_of_lonely_ones() -> None:
    """(-1, 2, -1) with a threshold of 1: 2 of a one alone, 1 of each of a pair."""
    detector = toeplitz(np.array([[[-1.0, 2.0, -1.0]]]), (8,), padding=1)
    found = np.maximum(detector @ np.array([0.0, 1, 0, 0, 1, 1, 0, 0]) - 1, 0)
    assert found.tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


CASES: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"dilation": 2},
    {"stride": 2, "padding": 2, "dilation": 2},
]


@pytest.mark.parametrize("options", CASES)
def test_it_is_what_torch_computes(options: dict[str, Any]) -> None:
    kernel, x = RNG.normal(size=(2, 3, 3, 2)), RNG.normal(size=(4, 3, 7, 6))
    matrix = toeplitz(kernel, (7, 6), **options)
    wanted = nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(kernel), **options)
    found = (x.reshape(4, -1) @ matrix.T).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-12)


def test_transposed_it_is_the_transposed_convolution() -> None:
    kernel, y = RNG.normal(size=(2, 3, 3, 3)), RNG.normal(size=(1, 2, 5, 5))
    back = toeplitz(kernel, (7, 7)).T @ y.ravel()
    wanted = nn.functional.conv_transpose2d(torch.from_numpy(y), torch.from_numpy(kernel))
    np.testing.assert_allclose(back, wanted.numpy().ravel(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("flipped", [True, False])
def test_kernel_and_signal_may_change_places_only_where_it_is_flipped(flipped: bool) -> None:
    a, b = RNG.normal(size=3), RNG.normal(size=2)

    def full(kernel: Any, signal: Any) -> Any:
        return toeplitz(kernel[None, None], signal.shape, padding=len(kernel) - 1, flipped=flipped) @ signal

    assert np.allclose(full(a, b), full(b, a)) == flipped
    assert np.allclose(full(a, b), np.convolve(a, b)) == flipped


def test_sobel_is_two_small_kernels_one_after_the_other() -> None:
    column, row = np.array([1.0, 2, 1]).reshape(1, 1, 3, 1), np.array([1.0, 0, -1]).reshape(1, 1, 1, 3)
    twice = toeplitz(row, (4, 6)) @ toeplitz(column, (6, 6))
    np.testing.assert_array_equal(twice, toeplitz(column * row, (6, 6)))


def test_two_windows_of_three_see_as_far_as_one_of_five() -> None:
    ones = np.ones((1, 1, 3, 3))
    twice = toeplitz(ones, (4, 4)) @ toeplitz(ones, (6, 6))
    np.testing.assert_array_equal(twice != 0, toeplitz(np.ones((1, 1, 5, 5)), (6, 6)) != 0)


def test_a_circle_is_diagonal_in_frequencies() -> None:
    """Where what runs out at one end comes in at the other, the eigenvalues are the kernel's Fourier transform."""
    kernel = RNG.normal(size=6)
    circle, over = np.split(toeplitz(kernel[None, None], (6,), padding=5, flipped=True), [6])
    circle[:5] += over
    transform = np.fft.fft(np.eye(6))
    np.testing.assert_allclose(transform @ circle @ np.linalg.inv(transform), np.diag(np.fft.fft(kernel)), atol=1e-12)


def test_the_weights_of_the_notes_network() -> None:
    count = [sum(p.numel() for p in nn.Conv2d(*shape, 5).parameters()) for shape in ((1, 32), (32, 64))]
    assert count == [832, 51_264]


def test_a_window_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="a window of 3 with dilation 2 has no place in 4"):
        toeplitz(KERNEL, (4,), dilation=2)

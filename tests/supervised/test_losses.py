"""Losses against numbers reckoned by hand."""

from __future__ import annotations

import math

import torch

from supervised.losses import LOSSES, absolute, accuracy, cross_entropy, huber, squared

LOGITS = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])
CLASSES = torch.tensor([1, 1])


def test_cross_entropy_is_minus_the_log_of_the_probability() -> None:
    torch.testing.assert_close(cross_entropy(LOGITS, CLASSES), torch.tensor([math.log(4 / 3), math.log(5.0)]))


def test_the_squared_error_is_of_each_number_and_not_halved() -> None:
    found = squared(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 2.5]]))
    torch.testing.assert_close(found, torch.tensor([[4.0, 0.25]]))


def test_the_squared_error_of_a_class_is_that_of_its_indicator() -> None:
    found = squared(torch.tensor([[0.25, 0.5, 0.0]]), torch.tensor([1]))
    torch.testing.assert_close(found, torch.tensor([[0.0625, 0.25, 0.0]]))


def test_far_points_count_less_in_the_absolute_error_and_in_hubers() -> None:
    outputs, targets = torch.tensor([[0.5, 3.0, -4.0]]), torch.zeros(1, 3)
    assert absolute(outputs, targets).tolist() == [[0.5, 3.0, 4.0]]
    assert huber(outputs, targets).tolist() == [[0.125, 2.5, 3.5]]


def test_accuracy_asks_where_the_largest_output_is() -> None:
    assert accuracy(LOGITS, CLASSES).tolist() == [1.0, 0.0]
    assert accuracy(torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, -2.0]]), torch.tensor([2, 1])).tolist() == [1.0, 1.0]


def test_every_loss_is_least_where_the_prediction_is_right() -> None:
    right, wrong = 9 * torch.eye(3), 9 * torch.eye(3)[[1, 2, 0]]
    for loss in LOSSES.values():
        assert loss(right, torch.arange(3)).mean() < loss(wrong, torch.arange(3)).mean()

"""Attacks and maximized units where the answer is known: at linear scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from supervised.attacks import attacked, maximizing
from supervised.losses import cross_entropy

W = torch.tensor([0.5, -1.0, 2.0])
X = torch.tensor([[1.0, 0.2, 0.3], [0.1, -0.4, 0.2]])


def score(x: Tensor) -> Tensor:
    """Logits of class 1 against class 0: the margin is w x."""
    return torch.stack([torch.zeros(len(x)), x @ W], -1)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_margin_of_a_linear_score_drops_by_epsilon_times_the_weights_sum(steps: int) -> None:
    away = attacked(score, X, torch.tensor([1, 1]), 0.1, steps=steps)
    torch.testing.assert_close(X @ W - away @ W, torch.full((2,), 0.35))
    torch.testing.assert_close((away - X).abs(), torch.full_like(X, 0.1))


def test_an_attack_with_a_target_goes_there() -> None:
    there = attacked(score, X, torch.tensor([0, 0]), 0.1, targeted=True)
    torch.testing.assert_close(there, attacked(score, X, torch.tensor([1, 1]), 0.1))


def test_what_is_attacked_stays_within_its_bounds() -> None:
    away = attacked(score, X.clamp(0, 1), torch.tensor([1, 1]), 0.5, bounds=(0.0, 1.0))
    assert away.min() >= 0 and away.max() <= 1


def test_more_steps_are_never_worse() -> None:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))
    for parameter in network.parameters():
        nn.init.normal_(parameter, generator=generator)
    x, classes = torch.randn(50, 6, generator=generator), torch.randint(4, (50,), generator=generator)
    once, often = (cross_entropy(network(attacked(network, x, classes, 0.3, steps=n)), classes) for n in (1, 8))
    assert (often >= once).all() and often.mean() > 1.02 * once.mean()
    assert (attacked(network, x, classes, 0.3, steps=8) - x).abs().max() <= 0.3 + 1e-6
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_linear_unit_is_maximized_by_its_weights() -> None:
    found = maximizing(lambda x: x @ W, (3,), 200, 0.2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, W / W.norm(), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.norm(), torch.tensor(1.0))

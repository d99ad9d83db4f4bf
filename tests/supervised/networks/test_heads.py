"""Heads: shapes, bounds and the dueling identity."""

from __future__ import annotations

import torch

from supervised.networks.heads import DuelingQ, Gaussian, Logits, Q, SquashedGaussian, Tanh, Value


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_heads() -> None:
    x = torch.randn(6, 5, generator=generator())
    assert Logits(5, 3, generator())(x).shape == (6, 3)
    assert Logits(5, 3, generator())(x).abs().max() < 0.1  # near uniform
    assert Value(5, generator())(x).shape == (6,)
    assert Q(5, 3, generator())(x).shape == (6, 3)
    assert (Tanh(5, 3, generator())(100 * x).abs() <= 1).all()
    mean, log_std = Gaussian(5, 2, generator(), log_std=-0.5)(x).chunk(2, -1)
    assert mean.abs().max() < 0.1
    torch.testing.assert_close(log_std, torch.full((6, 2), -0.5))
    _, log_std = SquashedGaussian(5, 2, generator())(1000 * x).chunk(2, -1)
    assert log_std.min() == -20 and log_std.max() == 2


def test_dueling_identity() -> None:
    """The mean over actions is V, and what remains is A less its mean."""
    head = DuelingQ(5, 3, 8, generator())
    x = torch.randn(6, 5, generator=generator(1))
    q, advantage = head(x), head.advantage(x)
    torch.testing.assert_close(q.mean(-1, keepdim=True), head.value(x))
    torch.testing.assert_close(q - q.mean(-1, keepdim=True), advantage - advantage.mean(-1, keepdim=True))

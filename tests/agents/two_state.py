"""A world of two states of which everything is known: to stay in 0 pays 1, in 1 pays 2, to switch pays nothing.

gamma 0.9, start (0.8, 0.2); the policy is a softmax with a logit for each state and action. Action 0 stays.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from envs.api import Array

GAMMA = 0.9
START = torch.tensor([0.8, 0.2], dtype=torch.float64)
REWARD = torch.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=torch.float64)  # [S, A]
NEXT = torch.tensor([[0, 1], [1, 0]])  # [S, A]
LOGITS = torch.tensor([[0.5, -0.2], [0.0, 0.3]], dtype=torch.float64)  # the policy of all numbers below

VALUE = [7.278491806, 7.478274841]
Q = [[7.550642625, 6.730447357], [8.730447357, 6.550642625]]
VISITS = [0.652008716, 0.347991284]  # discounted, they sum to 1
RETURN = 7.318448413
GRADIENT = [[1.185663831, -1.185663831], [1.854345971, -1.854345971]]
FISHER = [0.144558726, 0.085069362]  # of each state, times [[1, -1], [-1, 1]]
NATURAL = [[4.100976344, -4.100976344], [10.899023656, -10.899023656]]


def moves() -> Tensor:
    """P [S, A, S]."""
    return torch.eye(2, dtype=torch.float64)[NEXT]


def values(logits: Tensor) -> Tensor:
    """V [S] of a policy, differentiably."""
    policy = logits.softmax(-1)
    chain = torch.einsum("sa,sat->st", policy, moves())
    return torch.linalg.solve(torch.eye(2, dtype=torch.float64) - GAMMA * chain, (policy * REWARD).sum(-1))


def returned(logits: Tensor) -> Tensor:
    """J, differentiably."""
    return START @ values(logits)


def visits(logits: Tensor) -> Tensor:
    """Discounted visits [S], which sum to 1."""
    chain = torch.einsum("sa,sat->st", logits.softmax(-1), moves())
    return (1 - GAMMA) * torch.linalg.solve((torch.eye(2, dtype=torch.float64) - GAMMA * chain).T, START)


def action_values(logits: Tensor) -> Tensor:
    """Q [S, A]."""
    return REWARD + GAMMA * values(logits)[NEXT]


def of_every_action(table: Tensor) -> Tensor:
    """[S, A] or [S] for each of the four pairs (state, action), state first."""
    return (table if table.ndim == 2 else table[:, None].expand(2, 2)).reshape(-1)


def close(found: Tensor | Array, expected: object) -> None:
    """To the nine digits that are known."""
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=2e-9)

"""Losses and targets, as pure functions on tensors. Everything is per sample, [n]: the caller takes the mean, so
that importance weights can't be forgotten.

Targets come back detached: no gradient flows through what a network is trained towards. `discount` [n] is
gamma**k, and 0 where the episode terminated; it is all that a loss knows of the end of an episode. Masks: True = legal.
"""

from __future__ import annotations

import torch
from torch import Tensor

Number = float | Tensor  # a 0-d tensor, where a schedule moves it and a compiled update must not be compiled again


def _clamp(x: Tensor, low: Number, high: Number) -> Tensor:
    return x.clamp(low, high)  # type: ignore[arg-type]  # (its stub knows two numbers and two tensors, but no union)


# Policies


def policy_gradient(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """-A log pi(a|s) [n]: its gradient is minus the score times what the action is held to be worth.

    Williams (1992), https://doi.org/10.1007/BF00992696. `advantage` [n] is data, whatever estimates it.
    """
    return -advantage * log_prob


def surrogate(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor) -> Tensor:
    """-pi(a|s) / pi_old(a|s) A [n]: where both policies are one, its gradient is that of `policy_gradient`.

    https://arxiv.org/abs/1502.05477, eq. 14. `old_log_prob` and `advantage` [n] are data.
    """
    return -torch.exp(log_prob - old_log_prob) * advantage


def ppo_clip(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: Number) -> Tensor:
    """The clipped surrogate of PPO, negated, [n]: -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A).

    https://arxiv.org/abs/1707.06347, eq. 7. All arguments [n]; `old_log_prob` and `advantage` are data.
    """
    ratio = torch.exp(log_prob - old_log_prob)
    return -torch.minimum(ratio * advantage, _clamp(ratio, 1.0 - clip, 1.0 + clip) * advantage)


def deterministic_policy_gradient(q: Tensor) -> Tensor:
    """-Q(x, mu(x)) [n], to be minimized over the actor's parameters only. https://arxiv.org/abs/1509.02971, eq. 6.

    The gradient reaches the critic's parameters too: differentiate with respect to the actor's alone.
    """
    return -q


# Values. Squared errors are halved, as in Huber's loss: their gradient is the error itself.


def squared(delta: Tensor) -> Tensor:
    """delta^2 / 2, elementwise."""
    return 0.5 * delta.square()


def huber(delta: Tensor, kappa: float = 1.0) -> Tensor:
    """delta^2 / 2 up to |delta| = kappa, and from there on the tangent, kappa * (|delta| - kappa / 2), elementwise.

    Its gradient is delta clipped to [-kappa, kappa]: the "error clipping" of DQN (https://doi.org/10.1038/nature14236).
    """
    inner = delta.abs().clamp(max=kappa)
    return inner * (delta.abs() - 0.5 * inner)


def quantile_huber(quantile: Tensor, target: Tensor, kappa: float = 1.0) -> Tensor:
    """|tau_i - [delta < 0]| huber(delta) [n], delta = target_j - quantile_i, summed over i and averaged over j.

    Quantile i of N is the one at tau_i = (i + 1/2) / N; as kappa goes to 0 it is where a share tau_i of the targets
    lies below. `quantile` [n, N], `target` [n, M]. Dabney et al. 2018, https://arxiv.org/abs/1710.10044, eq. 10.
    """
    count = quantile.shape[-1]
    tau = ((torch.arange(count, device=quantile.device) + 0.5) / count).unsqueeze(-1)
    delta = target.unsqueeze(-2) - quantile.unsqueeze(-1)  # [n, N, M]
    return ((tau - (delta < 0).float()).abs() * huber(delta, kappa)).mean(-1).sum(-1)


def value_loss(value: Tensor, target: Tensor) -> Tensor:
    """(target - value)^2 / 2 [n]. Libraries that don't halve get the same with half their value coefficient."""
    return squared(target - value)


def value_loss_clipped(value: Tensor, target: Tensor, old_value: Tensor, clip: Number) -> Tensor:
    """PPO's clipped value loss [n]: the worse of the plain one and that of the value kept within `clip` of `old_value`.

    In PPO's code, not its paper: https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/, no. 9.
    """
    near = old_value + _clamp(value - old_value, -clip, clip)
    return torch.maximum(squared(target - value), squared(target - near))


# Targets


def td_target(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """r + discount * v_next [n], detached."""
    return (reward + discount * next_value).detach()


def _legal(q: Tensor, mask: Tensor | None) -> Tensor:
    # Not -inf: past the end of an episode nothing may be legal, and discount 0 times -inf would be NaN.
    return q if mask is None else torch.where(mask, q, torch.finfo(q.dtype).min)


def max_target(reward: Tensor, discount: Tensor, next_q: Tensor, next_mask: Tensor | None = None) -> Tensor:
    """Q-learning: r + discount * max_a Q(x', a) [n], detached. `next_q`, `next_mask` [n, A].

    Watkins (1989); with a target network's `next_q` DQN, https://doi.org/10.1038/nature14236.
    """
    return td_target(reward, discount, _legal(next_q, next_mask).amax(-1))


def double_target(
    reward: Tensor, discount: Tensor, next_q: Tensor, next_q_online: Tensor, next_mask: Tensor | None = None
) -> Tensor:
    """Double DQN [n], detached: the online network chooses the action, the target network's `next_q` [n, A] rates it.

    https://arxiv.org/abs/1509.06461, eq. 4.
    """
    choice = _legal(next_q_online, next_mask).argmax(-1, keepdim=True)
    return td_target(reward, discount, next_q.gather(-1, choice).squeeze(-1))


def quantile_target(
    reward: Tensor, discount: Tensor, next_quantiles: Tensor, next_q: Tensor, next_mask: Tensor | None = None
) -> Tensor:
    """r + discount * each quantile of the next action's return [n, N], detached: the action that is best by `next_q`
    [n, A]. `next_quantiles` [n, A, N]. https://arxiv.org/abs/1710.10044, algorithm 1."""
    choice = _legal(next_q, next_mask).argmax(-1)
    following = next_quantiles[torch.arange(len(choice), device=choice.device), choice]
    return td_target(reward.unsqueeze(-1), discount.unsqueeze(-1), following)


def clipped_target(reward: Tensor, discount: Tensor, next_q: Tensor) -> Tensor:
    """Clipped double Q-learning of TD3 [n], detached: the smallest of K critics' values [K, n] of the next action.

    https://arxiv.org/abs/1802.09477, eq. 10; with one critic DDPG's target.
    """
    return td_target(reward, discount, next_q.amin(0))

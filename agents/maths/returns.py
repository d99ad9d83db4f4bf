"""Returns and advantages over T steps of B rows, time first: float arrays [T, B] in and out.

Three arrays describe where episodes end, and no function here sees a done flag:

- `discount` [T, B] is gamma, and 0 where the step terminated its episode. At a truncation it stays gamma.
- `value_next` [T, B] is the value of the *true* next observation: at a truncation that of the final
  observation of the episode, not that of the first one of the next.
- `ended` [T, B] bool is `terminated | truncated`: nothing flows back over it from the next episode.

Sums are made in float64; the result has the dtype of `reward`. All but `n_step` and `transitions` are one
recursion, y[t] = x[t] + decay[t] * y[t + 1], and differ in what x and decay are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envs.api import Array


@njit(cache=True)
def _scan(x: Array, decay: Array, last: Array) -> Array:
    """y[t] = x[t] + decay[t] * y[t + 1] with y[T] = last. Where decay is 0, y[t + 1] is not even looked at."""
    y = np.empty_like(x)
    for b in range(x.shape[1]):
        following = last[b]
        for t in range(x.shape[0] - 1, -1, -1):
            following = x[t, b] if decay[t, b] == 0.0 else x[t, b] + decay[t, b] * following
            y[t, b] = following
    return y


def _float64(*arrays: Array) -> list[Array]:
    shape = arrays[0].shape
    if len(shape) != 2 or any(array.shape != shape for array in arrays):
        found = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"expected arrays of one shape [T, B], time first, but found {found}")
    return [np.ascontiguousarray(array, np.float64) for array in arrays]


def _backward(x: Array, decay: Array, last: Array | None = None) -> Array:
    return _scan(x, decay, np.zeros(x.shape[1]) if last is None else np.ascontiguousarray(last, np.float64))


def discounted(reward: Array, discount: Array, bootstrap: Array) -> Array:
    """Rewards to go: G[t] = r[t] + discount[t] * G[t + 1], with G[T] = `bootstrap` [B].

    There is no `ended` here: an episode that was cut off inside the window needs `lambda_returns` with lambda 1.
    """
    r, d = _float64(reward, discount)
    return _backward(r, d, bootstrap).astype(reward.dtype, copy=False)


@njit(cache=True)
def _n_step(reward: Array, discount: Array, ended: Array, value_next: Array, n: int) -> Array:
    steps, rows = reward.shape
    target = np.empty_like(reward)
    for t in range(steps):
        for b in range(rows):
            total, factor = 0.0, 1.0
            for i in range(t, min(t + n, steps)):
                total += factor * reward[i, b]
                factor *= discount[i, b]
                if ended[i, b] or i == t + n - 1 or i == steps - 1:
                    total += factor * value_next[i, b]
                    break
            target[t, b] = total
    return target


def n_step(reward: Array, discount: Array, ended: Array, value_next: Array, n: int) -> Array:
    """n-step targets: n rewards, then the value of where they lead. Sutton & Barto, eq. 7.1.

    Fewer than n where the episode or the window ends earlier; each bootstraps from its own last step.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, but is {n}")
    r, d, v = _float64(reward, discount, value_next)
    return _n_step(r, d, np.ascontiguousarray(ended, np.bool_), v, n).astype(reward.dtype, copy=False)


def lambda_returns(reward: Array, discount: Array, value_next: Array, ended: Array, lambda_: float) -> Array:
    """G[t] = r[t] + discount[t] * ((1 - lambda) * v_next[t] + lambda * G[t + 1]). Sutton & Barto, eq. 12.18.

    At an `ended` step, and at the last of the window, G[t] = r[t] + discount[t] * v_next[t].
    """
    r, d, v = _float64(reward, discount, value_next)
    mix = np.where(ended, 0.0, lambda_)
    return _backward(r + d * (1.0 - mix) * v, d * mix, v[-1]).astype(reward.dtype, copy=False)


def gae(reward: Array, value: Array, value_next: Array, discount: Array, ended: Array, lambda_: float) -> Array:
    """Generalized advantage estimates: sum of (discount * lambda)^i * delta[t + i] up to the end of the episode.

    delta = r + discount * v_next - v. https://arxiv.org/abs/1506.02438, eq. 16. `gae + value` is the lambda return.
    """
    r, v, after, d = _float64(reward, value, value_next, discount)
    return _backward(r + d * after - v, np.where(ended, 0.0, d * lambda_)).astype(reward.dtype, copy=False)


def vtrace(
    log_rho: Array,
    reward: Array,
    value: Array,
    value_next: Array,
    discount: Array,
    ended: Array,
    clip_rho: float = 1.0,
    clip_c: float = 1.0,
    lambda_: float = 1.0,
) -> tuple[Array, Array]:
    """V-trace targets `vs` and policy gradient advantages, both [T, B]. https://arxiv.org/abs/1802.01561, eq. 1.

    `log_rho` = log pi(a|x) - log mu(a|x) of the learner's policy pi and the actor's mu. The advantage is
    rho * (r + discount * ((1 - lambda) * v_next + lambda * vs_next) - v), as in rlax. The paper's code has vs_next
    alone, and a bar of its own for this rho: the same where lambda and all bars are 1.
    """
    log_rho, r, v, after, d = _float64(log_rho, reward, value, value_next, discount)
    rho = np.exp(np.minimum(log_rho, np.log(clip_rho)))
    c = lambda_ * np.exp(np.minimum(log_rho, np.log(clip_c)))
    inside = ~np.asarray(ended, np.bool_)
    correction = _backward(rho * (r + d * after - v), d * c * inside)  # vs - v
    following = np.zeros_like(v)
    following[:-1] = np.where(inside[:-1], correction[1:], 0.0)
    advantage = rho * (r + d * (after + lambda_ * following) - v)
    return (v + correction).astype(reward.dtype, copy=False), advantage.astype(reward.dtype, copy=False)


def retrace(
    log_rho: Array, reward: Array, q: Array, value_next: Array, discount: Array, ended: Array, lambda_: float = 1.0
) -> Array:
    """Retrace(lambda) targets [T, B] for `q` = Q(x, a) of the actions taken. https://arxiv.org/abs/1606.02647, eq. 4.

    `value_next` = sum_a pi(a|x') Q(x', a) under the target policy; c[t] = lambda * min(1, rho[t]).
    """
    log_rho, r, q64, after, d = _float64(log_rho, reward, q, value_next, discount)
    c = lambda_ * np.exp(np.minimum(log_rho, 0.0))
    decay = np.zeros_like(d)  # the trace of step t's error is cut by c[t + 1], the first action after it
    decay[:-1] = np.where(np.asarray(ended)[:-1], 0.0, d[:-1] * c[1:])
    return (q64 + _backward(r + d * after - q64, decay)).astype(reward.dtype, copy=False)


class NSteps(NamedTuple):
    """What `transitions` finds for each start."""

    reward: Array  # [T, B] float32, sum of gamma**i * r over k <= n steps
    discount: Array  # [T, B] float32, gamma**k * (not terminated)
    last: Array  # [T, B] int64, the index in the window of the last of the k steps


@njit(cache=True)
def _transitions(
    reward: Array, terminated: Array, truncated: Array, gamma: Array, n: int, starts: int
) -> tuple[Array, Array, Array]:
    steps, rows = reward.shape
    total = np.empty((starts, rows), np.float32)
    discount = np.empty((starts, rows), np.float32)
    last = np.empty((starts, rows), np.int64)
    for t in range(starts):
        for b in range(rows):
            summed, factor, i = 0.0, 1.0, t
            while True:
                summed += factor * reward[i, b]
                factor *= gamma[i, b]
                if terminated[i, b] or truncated[i, b] or i == t + n - 1 or i == steps - 1:
                    break
                i += 1
            total[t, b] = summed
            discount[t, b] = 0.0 if terminated[i, b] else factor
            last[t, b] = i
    return total, discount, last


def transitions(
    reward: Array, terminated: Array, truncated: Array, gamma: float | Array, n: int, starts: int
) -> NSteps:
    """n-step rows for replay: one for each of the first `starts` steps of a window [W, B] of consecutive steps.

    Each sums up to n rewards and stops where its episode or the window ends, so W = starts + n - 1 steps are
    enough for full sums. gamma: a number, or what each step discounts by [W, B]. `last` says which step the next
    observation comes after: that step's final observation if it was truncated, else the first of the step behind it.
    """
    if n < 1 or not 0 <= starts <= len(reward):
        raise ValueError(f"a window of {len(reward)} steps can't give {starts} starts of {n} steps")
    r, ends, cuts = np.ascontiguousarray(reward), np.ascontiguousarray(terminated), np.ascontiguousarray(truncated)
    each = np.ascontiguousarray(np.broadcast_to(np.asarray(gamma, np.float64), r.shape))
    return NSteps(*_transitions(r, ends, cuts, each, n, starts))

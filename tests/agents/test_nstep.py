"""n-step transitions from consecutive unrolls of several rows, against a plain walk along each row."""

from __future__ import annotations

import numpy as np
import pytest

from agents.api import Unroll
from agents.rollout import NStep
from envs.api import Array

GAMMA = 0.9


def history(steps: int, count: int, seed: int) -> Unroll:
    """Every observation is a number of its own, so that a wrong successor can't look right."""
    rng = np.random.default_rng(seed)
    ends = rng.random((steps, count))
    truncated = ends < 0.15
    cut_at = np.flatnonzero(truncated)
    return Unroll(
        obs=np.arange((steps + 1) * count, dtype=np.float32).reshape(steps + 1, count, 1),
        mask=rng.random((steps + 1, count, 3)) < 0.5,
        action=rng.integers(0, 3, (steps, count)),
        log_prob=None,
        reward=rng.standard_normal((steps, count)).astype(np.float32),
        terminated=(ends >= 0.15) & (ends < 0.3),
        truncated=truncated,
        cut_obs=-1 - cut_at[:, None].astype(np.float32),
        cut_at=cut_at,
        cut_mask=rng.random((len(cut_at), 3)) < 0.5,
    )


def part(unroll: Unroll, first: int, last: int) -> Unroll:
    """Steps first .. last - 1."""
    count = unroll.reward.shape[1]
    inside = (unroll.cut_at >= first * count) & (unroll.cut_at < last * count)
    assert unroll.mask is not None
    return Unroll(
        obs=unroll.obs[first : last + 1],
        mask=unroll.mask[first : last + 1],
        action=unroll.action[first:last],
        log_prob=None,
        reward=unroll.reward[first:last],
        terminated=unroll.terminated[first:last],
        truncated=unroll.truncated[first:last],
        cut_obs=unroll.cut_obs[inside],
        cut_at=unroll.cut_at[inside] - first * count,
        cut_mask=None if unroll.cut_mask is None else unroll.cut_mask[inside],
    )


def walked(unroll: Unroll, n: int, t: int, b: int) -> tuple[float, float, Array, Array]:
    """Reward, discount, next observation and next mask of the transition that starts at (t, b), by definition."""
    assert unroll.mask is not None
    reward, discount = 0.0, 1.0
    for i in range(t, t + n):
        reward += discount * float(unroll.reward[i, b])
        discount *= GAMMA
        if unroll.terminated[i, b]:
            return reward, 0.0, unroll.obs[i + 1, b], unroll.mask[i + 1, b]
        if unroll.truncated[i, b]:
            k = list(unroll.cut_at).index(i * unroll.reward.shape[1] + b)
            assert unroll.cut_mask is not None
            return reward, discount, unroll.cut_obs[k], unroll.cut_mask[k]
    return reward, discount, unroll.obs[t + n, b], unroll.mask[t + n, b]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_each_step_starts_one_transition(count: int, n: int, length: int) -> None:
    """However long the unrolls are that they come from; the last n - 1 steps are still to come."""
    steps = 42
    unroll = history(steps, count, seed=n)
    convert = NStep(n, GAMMA)
    pieces = [convert(part(unroll, first, first + length)) for first in range(0, steps, length)]
    rows = [(t, b) for t in range(steps - n + 1) for b in range(count)]
    expected = [walked(unroll, n, t, b) for t, b in rows]

    def found(field: str) -> Array:
        return np.concatenate([getattr(piece, field) for piece in pieces])

    np.testing.assert_array_equal(found("obs"), [unroll.obs[t, b] for t, b in rows])
    np.testing.assert_array_equal(found("action"), [unroll.action[t, b] for t, b in rows])
    np.testing.assert_allclose(found("reward"), [e[0] for e in expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found("discount"), [e[1] for e in expected], rtol=1e-6)
    alive = found("discount") > 0  # what comes after the end is never looked at
    np.testing.assert_array_equal(found("next_obs")[alive], np.array([e[2] for e in expected])[alive])
    np.testing.assert_array_equal(found("next_mask")[alive], np.array([e[3] for e in expected])[alive])


def test_what_waits_for_its_successors_is_kept_in_a_state() -> None:
    unroll = history(8, 2, seed=0)
    through, before = NStep(3, GAMMA), NStep(3, GAMMA)
    through(part(unroll, 0, 4))
    before(part(unroll, 0, 4))
    after = NStep(3, GAMMA)
    after.load_state_dict(before.state_dict())
    for expected, found in zip(through(part(unroll, 4, 8)), after(part(unroll, 4, 8)), strict=True):
        np.testing.assert_array_equal(found, expected)

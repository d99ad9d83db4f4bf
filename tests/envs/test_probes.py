"""Each probe pays what its docstring says."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from envs.api import Step
from envs.gymnasium_env import GymnasiumEnv, make


def start(name: str, count: int = 64, **options: Any) -> tuple[GymnasiumEnv, Step]:
    env = make(f"sparring/{name}-v0", count, options)
    return env, env.reset(3)


def test_one_step_probes() -> None:
    ones, zeros = np.ones(64, np.int64), np.zeros(64, np.int64)
    env, first = start("ConstantReward")
    step = env.step(zeros)
    assert (first.obs == 0).all()
    assert (step.reward == 1).all()
    assert step.terminated.all()

    env, first = start("ObservationReward")
    step = env.step(zeros)
    np.testing.assert_array_equal(step.reward, first.obs)
    assert set(first.obs.ravel().tolist()) == {-1.0, 1.0}
    assert step.terminated.all()

    env, _ = start("ActionReward")
    assert (env.step(ones).reward == 1).all()
    assert (env.step(zeros).reward == -1).all()

    env, first = start("ObservationActionReward")
    right = (first.obs[:, 0] > 0).astype(np.int64)
    step = env.step(right)
    assert (step.reward == 1).all()
    wrong = (step.obs[:, 0] < 0).astype(np.int64)
    assert (env.step(wrong).reward == -1).all()

    env, _ = start("ContinuousAction", 3)
    reward = env.step(np.array([[0.5], [-0.5], [1.0]], np.float32)).reward[:, 0]
    assert reward.tolist() == [0.0, -1.0, -0.25]


def test_two_step_discount() -> None:
    env, first = start("TwoStepDiscount", 1)
    middle = env.step(np.zeros(1, np.int64))
    last = env.step(np.zeros(1, np.int64))
    assert (first.obs.item(), middle.obs.item(), last.final_obs.item()) == (0.0, 1.0, 2.0)
    assert (middle.reward.item(), last.reward.item()) == (0.0, 1.0)
    assert (middle.terminated.item(), last.terminated.item()) == (False, True)


def test_truncation_values() -> None:
    """V by backing up the observed episode: 10 when the cut bootstraps, 4.0951 when it is taken for death."""
    env, _ = start("Truncation", 1)
    steps = [env.step(np.zeros(1, np.int64)) for _ in range(5)]
    assert [step.truncated.item() for step in steps] == [False] * 4 + [True]
    assert not any(step.terminated.item() for step in steps)
    gamma, value = 0.9, {True: 0.0, False: 0.0}
    for bootstrap in (True, False):
        for _ in range(200):  # all observations are equal: one value
            back = value[bootstrap] if bootstrap else 0.0
            for step in reversed(steps):
                back = step.reward.item() + gamma * back
            value[bootstrap] = back
    assert value[True] == pytest.approx(10.0, abs=1e-6)
    assert value[False] == pytest.approx(4.0951, abs=1e-6)


def test_lqr_with_the_optimal_gain_pays_the_optimal_cost() -> None:
    """P = 1.618034 and K = 0.618034 (shared/reference/ORACLES, scalar LQR); 20 steps are endless to 1e-6."""
    env, step = start("LQR")
    x0 = step.obs[:, 0].astype(np.float64)
    assert np.abs(x0).max() <= 1.0
    assert np.ptp(x0) > 1.0
    total = np.zeros(64)
    for time_ in range(20):
        step = env.step(-0.618034 * step.obs)
        total += step.reward[:, 0]
        assert step.truncated.all() == (time_ == 19)
        assert not step.terminated.any()
    np.testing.assert_allclose(total, -1.618034 * x0**2, atol=1e-5)


def test_memory_pays_for_the_cue() -> None:
    for flip, reward in ((0, 1.0), (1, -1.0)):
        env, first = start("Memory")
        cue = first.obs[:, 1].astype(np.int64)
        assert set(cue.tolist()) == {0, 1}
        steps = [env.step(cue ^ flip) for _ in range(4)]
        assert all((step.reward == 0).all() and not step.terminated.any() for step in steps[:3])
        assert all((step.obs[:, :2] == 0).all() for step in steps[:3]), "the cue is seen once"
        assert [step.obs[0, 2].item() for step in steps[:3]] == [0.0, 0.0, 1.0]
        assert (steps[3].reward == reward).all()
        assert steps[3].terminated.all()


def test_masked_action_pays_for_the_largest() -> None:
    env, step = start("MaskedAction")
    assert step.mask is not None
    assert len({tuple(row) for row in step.mask.tolist()}) > 15
    total = np.zeros(64)
    for _ in range(4):
        assert step.mask is not None
        step = env.step(4 - step.mask[:, ::-1].argmax(1))
        total += step.reward[:, 0]
    assert (total == 4).all()
    assert step.terminated.all()


def test_deep_sea_pays_at_its_far_end_alone() -> None:
    right = [0, 0, 1, 1, 0, 0]  # in each row
    env, first = start("DeepSea", 1, size=6)
    assert first.obs.tolist() == [[1, 0, 0, 0, 0, 0] * 2]
    steps = [env.step(np.array([action])) for action in right]
    assert [step.terminated.item() for step in steps] == [False] * 5 + [True]
    np.testing.assert_allclose([step.reward.item() for step in steps], [-0.1 / 6] * 5 + [1 - 0.1 / 6], rtol=1e-6)
    assert steps[4].obs.tolist() == [[0, 0, 0, 0, 0, 1] * 2]
    assert not steps[5].final_obs.any()
    for wrong in range(6):
        total = sum(env.step(np.array([action ^ (row == wrong)])).reward.item() for row, action in enumerate(right))
        assert total == pytest.approx(-0.1 * 5 / 6), "one step to the left, and the end is missed"
    for action in (0, 1):
        assert sum(env.step(np.array([action])).reward.item() for _ in right) <= 0, "no action is right everywhere"
    assert sum(env.step(np.array([1 - action])).reward.item() for action in right) == 0


def test_slow_takes_its_time() -> None:
    env, _ = start("Slow", 2, milliseconds=5.0)
    begin = time.perf_counter()
    env.step(np.zeros(2, np.int64))
    assert time.perf_counter() - begin >= 0.010


def test_faulty_without_a_fault_is_sound() -> None:
    env, _ = start("Faulty", 2)
    ends = [env.step(np.zeros(2, np.int64)).terminated.all() for _ in range(16)]
    assert [index for index, end in enumerate(ends) if end] == [7, 15]


def test_registering_twice_is_harmless() -> None:
    start("LQR", 1)
    start("LQR", 1)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from agents.config import Environment
from agents.experience.rollout import make_env
from envs.api import Array, EnvError
from envs.check import check_env
from envs.pixels import SPEED_X, Hover, make
from envs.spaces import UnsupportedEnv

ID = "pixels/Hover-v0"


def hover(count: int, **options: Any) -> Hover:
    return make(ID, count, options)


def mean_return(env: Hover, act: Callable[[Array], Array]) -> float:
    """Of the first episode of each row, by a rule of places and speeds [B, 4]."""
    env.reset(0)
    total, alive = np.zeros(env.count), np.ones(env.count, bool)
    while alive.any():
        step = env.step(act(env._state).astype(np.float32))
        total += alive * step.reward[:, 0]
        alive &= ~(step.terminated | step.truncated)
    return float(total.mean())


def test_it_keeps_to_the_interface() -> None:
    check_env(lambda count: make(ID, count, {}, max_steps=12), steps=60)


def test_it_moves_as_it_says() -> None:
    env = hover(2, gust=0.0)
    env.reset(0)
    before, action = env._state.copy(), np.array([[1.0, -0.5], [7.0, 0.0]], np.float32)
    step = env.step(action)
    place, speed = before[:, :SPEED_X], before[:, SPEED_X:]
    np.testing.assert_allclose(env._state[:, :SPEED_X], place + speed)
    np.testing.assert_allclose(env._state[:, SPEED_X:], speed + 0.02 * place + 0.03 * action.clip(-1, 1))
    np.testing.assert_allclose(step.reward[:, 0], 1 - 0.5 * (env._state[:, :SPEED_X] ** 2).sum(1))


def test_gusts_have_the_deviation_that_is_asked_for() -> None:
    """Of 8 000 of them: within 5 of its deviations, which an honest one leaves once in a million times."""
    env = hover(4_000, gust=0.05)
    env.reset(0)
    before = env._state.copy()
    env.step(np.zeros((4_000, 2), np.float32))
    gusts = env._state[:, SPEED_X:] - before[:, SPEED_X:] - 0.02 * before[:, :SPEED_X]
    assert gusts.std() == pytest.approx(0.05, abs=5 * 0.05 / np.sqrt(2 * gusts.size))


def test_the_picture_shows_the_place_and_not_the_speed() -> None:
    env = hover(500)
    obs = env.reset(3).obs[:, 0].astype(np.float64)
    weight = obs.sum((1, 2))
    x, y = (obs.sum(axis) @ np.arange(16) / weight for axis in (1, 2))
    shown = np.stack([x, y], 1) / 7.5 - 1
    np.testing.assert_allclose(shown, env._state[:, :SPEED_X], atol=0.01)
    same = env._draw()
    env._state[:, SPEED_X:] += 1
    np.testing.assert_array_equal(env._draw(), same)


def test_who_knows_the_speed_hovers_and_who_doesnt_falls() -> None:
    """The best linear rule of place and speed, by Riccati's equation, against the best of the place alone."""
    env = hover(200)
    push, thrust, _ = env.rules
    a, b = np.array([[1, 1], [push, 1]]), np.array([[0], [thrust]])
    cost = solve_discrete_are(a, b, np.diag([1.0, 0.0]), np.array([[1e-3]]))
    gain = np.linalg.solve(1e-3 + b.T @ cost @ b, b.T @ cost @ a)[0]
    seeing = mean_return(env, lambda state: -(gain[0] * state[:, :2] + gain[1] * state[:, 2:]))
    blind = max(mean_return(env, lambda state: -k * state[:, :2]) for k in (0.8, 1.0, 1.2, 1.5, 2.0, 3.0))  # noqa: B023
    rng = np.random.default_rng(0)
    thoughtless = mean_return(env, lambda state: rng.uniform(-1, 1, (200, 2)))
    assert seeing > 97 and blind < 40 and thoughtless < 12


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(UnsupportedEnv, match="did you mean \\['pixels/Hover-v0'\\]"):
        make("pixels/Hover-v1", 1, {})
    with pytest.raises(UnsupportedEnv, match="options {'wind': 1}.*wind"):
        hover(1, wind=1)
    with pytest.raises(UnsupportedEnv, match="size 4"):
        hover(1, size=4)
    with pytest.raises(UnsupportedEnv, match=r"env\.wrappers"):
        make_env(Environment(id=ID, wrappers=({"name": "TimeLimit"},)), 1)
    env = hover(2)
    env.reset(0)
    with pytest.raises(ValueError, match=r"float32 \[2, 2\]"):
        env.step(np.zeros(2, np.float32))
    with pytest.raises(EnvError, match="row 1, .*, step 1"):
        env.step(np.array([[0, 0], [0, np.nan]], np.float32))


def test_a_run_that_is_resumed_knows_its_limit_and_size() -> None:
    env = make_env(Environment(id=ID, max_episode_steps=7, options={"size": 12}), 2)
    assert env.spec.max_steps == 7 and env.reset(0).obs.shape == (2, 1, 12, 12)
    with pytest.raises(ValueError, match="same options"):
        hover(2).load_state_dict(env.state_dict())
    assert env.render(1).shape == (144, 144, 3)

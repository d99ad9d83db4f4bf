from __future__ import annotations

import math

import numpy as np
import pytest

from agents.experience.rewards.count import CountBonus
from agents.records import Lived, lived
from envs.api import Array
from tests.agents.experience.memory.test_steps import history


def at(*places: float) -> Lived:
    obs = np.array(places, np.float32)[:, None]
    none = np.zeros(len(obs))
    return Lived(obs, none.astype(int), none.astype(np.float32), obs, none.astype(bool))


def seen(model: CountBonus, obs: Array) -> None:
    """Let one row arrive at these observations."""
    steps = len(obs)
    unroll = history(steps, 1, 0)
    nowhere = np.zeros(0, np.int64)
    shown = np.concatenate([obs[:1], obs])[:, None]
    model.learn(unroll._replace(obs=shown, final_at=nowhere, final_obs=np.zeros((0, *obs.shape[1:]), obs.dtype)))


def test_the_bonus_falls_with_the_root_of_the_count() -> None:
    model = CountBonus(scale=0.5, resolution=1.0)
    assert model.judge(at(1.0, 2.0)).tolist() == [0.5, 0.5], "as if seen once"
    seen(model, np.array([[1.0], [2.0], [1.0], [1.2], [0.8]], np.float32))
    bonus = model.judge(at(1.0, 1.4, 2.0, 7.0)._replace(reward=np.array([1, 0, 0, 0], np.float32)))
    assert bonus.tolist() == pytest.approx([1.25, 0.25, 0.5, 0.5])
    metrics = model.metrics()
    assert metrics["count_states"] == 2
    assert metrics["count_bonus"] == pytest.approx((0.5 + 0.5 + 0.25 + 0.25 + 0.5 + 0.5) / 6)
    assert "count_bonus" not in model.metrics()


def test_counts_are_those_of_a_dictionary() -> None:
    rng, model, expected = np.random.default_rng(0), CountBonus(1.0, 1.0), dict[tuple[int, ...], int]()
    for _ in range(20):
        obs = rng.integers(-3, 4, (50, 3)).astype(np.float32)
        seen(model, obs)
        for row in obs.astype(int).tolist():
            expected[tuple(row)] = expected.get(tuple(row), 0) + 1
    asked = np.array(list(expected), np.float32)
    assert model.count(asked).tolist() == list(expected.values())
    assert model.count(np.full((1, 3), 9.0, np.float32)).tolist() == [0]
    assert len(model.keys) == len(expected) > 200


def test_the_last_observation_of_an_episode_counts_and_the_next_ones_first_does_not() -> None:
    unroll = history(30, 2, 1)
    model = CountBonus(1.0, 0.5)
    model.learn(unroll)
    assert (model.count(lived(unroll).next_obs) == 1).all()
    assert (model.count(unroll.final_obs) == 1).all()
    opening = unroll.obs[1:][unroll.first[1:]]
    assert len(opening) > 5 and not model.count(opening).any()


def test_a_model_goes_on_from_its_state() -> None:
    one, other = CountBonus(1.0, 1.0), CountBonus(1.0, 1.0)
    seen(one, np.array([[1.0], [2.0], [2.0]], np.float32))
    one.judge(at(2.0))
    other.load_state_dict(one.state_dict())
    for model in (one, other):
        seen(model, np.array([[2.0]], np.float32))
    assert one.judge(at(2.0)) == other.judge(at(2.0)) == pytest.approx(1 / math.sqrt(3))
    assert one.metrics() == other.metrics()

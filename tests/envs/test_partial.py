"""Worlds without velocities: the whole world goes on behind what is shown."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from envs import probes
from envs.check import check_env
from envs.gymnasium_env import make

WORLDS = {"CartPoleNoVelocity": ("CartPole-v1", [0, 2], 500), "PendulumNoVelocity": ("Pendulum-v1", [0, 1], 200)}


@pytest.mark.parametrize("name", WORLDS)
def test_part_of_what_the_whole_world_shows(name: str) -> None:
    probes.register()
    id, shown, limit = WORLDS[name]
    part, whole = gymnasium.make(f"sparring/{name}-v0"), gymnasium.make(id)
    assert part.spec is not None and part.spec.max_episode_steps == limit
    part.action_space.seed(0)
    seen = [(part.reset(seed=3)[0], whole.reset(seed=3)[0])]
    for _ in range(8):
        action = part.action_space.sample()
        (obs, *rest), (full, *expected) = part.step(action), whole.step(action)
        seen.append((obs, full))
        assert rest[:3] == expected[:3]
    for obs, full in seen:
        np.testing.assert_array_equal(obs, full[shown])
        assert part.observation_space.contains(obs)


@pytest.mark.parametrize("name", WORLDS)
def test_it_keeps_the_rules(name: str) -> None:
    check_env(lambda count: make(f"sparring/{name}-v0", count))


def returns(remembers: bool) -> float:
    """Mean over 20 episodes of pushing under the pole: by what is shown, or also by what was shown one step ago."""
    world, found = make("sparring/CartPoleNoVelocity-v0", 20), np.zeros(20)
    step = world.reset(0)
    before, alive = step.obs, np.ones(20, bool)
    for _ in range(500):
        rate = (step.obs - before) / 0.02 if remembers else 0 * before
        push = step.obs @ [0.1, 3.0] + rate @ [0.3, 1.0] > 0
        before = step.obs
        step = world.step(push.astype(np.int64))
        found += alive
        alive &= ~(step.terminated | step.truncated)
    world.close()
    return float(found.mean())


def test_one_step_of_memory_is_enough_and_none_is_not() -> None:
    assert returns(remembers=True) == 500.0
    assert returns(remembers=False) < 80

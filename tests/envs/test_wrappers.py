"""Gymnasium's wrappers by name."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from envs.check import check_env
from envs.gymnasium_env import episode_seed, make
from envs.spaces import UnsupportedEnv
from envs.wrappers import REFUSED


def test_the_first_is_the_innermost_and_lists_are_tuples() -> None:
    asked: list[dict[str, Any]] = [
        {"name": "FrameStackObservation", "stack_size": 3},
        {"name": "ReshapeObservation", "shape": [2, 6]},
    ]
    env = make("CartPole-v1", 2, wrappers=asked)
    assert env.spec.obs_shape == (2, 6)
    raw = gymnasium.wrappers.FrameStackObservation(gymnasium.make("CartPole-v1"), 3)
    env.reset(4)
    step = env.step(np.ones(2, np.int64))
    raw.reset(seed=episode_seed(4, 1, 0))
    np.testing.assert_array_equal(step.obs[1].ravel(), np.ravel(raw.step(1)[0]))


def test_a_wrapped_world_keeps_to_the_interface() -> None:
    """Also through snapshots: what a wrapper remembers is of this episode."""
    asked = [
        {"name": "TimeLimit", "max_episode_steps": 11},
        {"name": "FrameStackObservation", "stack_size": 2},
        {"name": "StickyAction", "repeat_action_probability": 0.5},
    ]
    check_env(lambda count: make("CartPole-v1", count, wrappers=asked), steps=60)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"name": "TimeLimits"}, "no wrapper 'TimeLimits'; there is TimeLimit"),
        ({"name": "vector"}, "no wrapper 'vector'; there is"),
        ({"max_episode_steps": 3}, "no wrapper 'None'; there is"),
        ({"name": "TimeLimit"}, r"TimeLimit can't be made with {}: TypeError: .* its arguments are max_episode_steps"),
        ({"name": "TimeLimit", "max_episode_steps": "three"}, "TimeLimit can't be made with .*'three'"),
        ({"name": "FlattenObservation", "depth": 1}, "FlattenObservation can't be made .* its arguments are none"),
        ({"name": "GrayscaleObservation"}, "GrayscaleObservation can't be made"),
        *(({"name": name}, f"{name} is refused: .*{REFUSED[name].split()[-1]}") for name in REFUSED),
    ],
)
def test_wrappers_that_cannot_be(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedEnv, match=f"CartPole-v1: .*{reason}"):
        make("CartPole-v1", 1, wrappers=[asked])

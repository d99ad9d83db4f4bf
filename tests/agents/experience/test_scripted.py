"""Rules that nobody trained reach what is known of them, and unknown worlds are refused."""

from __future__ import annotations

import numpy as np
import pytest

from agents.config import Environment
from agents.experience.demonstrations import recorded
from agents.experience.rollout import make_env
from agents.experience.scripted import Scripted


def mean_return(world: str, episodes: int) -> float:
    env = make_env(Environment(id=world), 1)
    unrolls = recorded(Scripted(env.spec), env, episodes, 0, np.random.default_rng(0), explore=False)
    return float(np.mean([unroll.reward.sum() for unroll in unrolls]))


@pytest.mark.parametrize(
    ("world", "least"), [("CartPole-v1", 500), ("MountainCar-v0", -122), ("Acrobot-v1", -110), ("Pendulum-v1", -250)]
)
def test_a_rule_solves_its_world(world: str, least: float) -> None:
    """Random play gets 23, -200, -500 and -1232. Rules are deterministic, and so are ten episodes of a seed."""
    assert mean_return(world, 10) >= least


def test_a_world_without_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="no rule is known for sparring/MaskedAction-v0, only for CartPole-v1"):
        Scripted(make_env(Environment(id="sparring/MaskedAction-v0"), 1).spec)

"""Config of A2C. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import Collection
from agents.experience.rewards.configs import Rewarded
from agents.parts.config import ActorCriticLearning, Descent
from experiment.config import Fixed, Fraction


class A2CLearner(Descent):
    gae_lambda: Fraction = 1.0
    """lambda of generalized advantage estimation: 0 = one-step, 1 = as many steps as were collected"""
    discount_states: Fixed[bool] = False  # what acts counts its steps if so, and remembers the count
    """weigh a step by gamma^t, t steps after the start of its episode, as the discounted return's gradient does"""


class A2C(ActorCriticLearning, Rewarded):
    algorithm: Literal["a2c"] = "a2c"
    """advantage actor-critic, synchronous"""
    rollout: Collection = Collection(steps=5)
    """how much is collected for one update"""
    learner: A2CLearner = A2CLearner()
    """the update"""

"""Config of the Q actor-critic. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import Collection, NetworkOptions, NormalizeOptions
from agents.experience.rewards.configs import Rewarded
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Fraction, NonNegative, PositiveFloat


class QActorCriticLearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the critic; a number or a schedule over the run"""
    policy_learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam for the policy; a number or a schedule over the run"""
    discount: Fraction = 0.99
    """gamma"""
    entropy_coefficient: NonNegative = 0.0
    """weight of the entropy bonus"""


class QActorCritic(Rewarded):
    algorithm: Literal["q_actor_critic"] = "q_actor_critic"
    """actor-critic whose critic values actions"""
    rollout: Collection = Collection(steps=1)
    """how much is collected for one update"""
    network: Fixed[NetworkOptions] = NetworkOptions()
    """policy and critic networks, of the same shape"""
    learner: QActorCriticLearner = QActorCriticLearner()
    """the update"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""

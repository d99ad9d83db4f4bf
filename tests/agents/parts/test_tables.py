from __future__ import annotations

import numpy as np

from agents.parts.tables import TabularPolicy
from envs.api import Step


def test_actions_are_drawn_by_the_row_of_the_state() -> None:
    """6,000 draws of a fair choice: between 2,700 and 3,300 but once in 1e14 seeds."""
    table = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.0]])
    states = np.tile([0, 1], 6000)
    obs, none = np.eye(3, dtype=np.float32)[states], np.zeros(len(states), bool)
    step = Step(obs, None, none.astype(np.int64), np.zeros((len(states), 1)), none, none, obs)
    policy = TabularPolicy(table)
    action = policy.act(policy.initial(len(states)), step, np.random.default_rng(0), explore=False).action
    assert (action[states == 0] == 1).all()
    counts = np.bincount(action[states == 1], minlength=3)
    assert counts[1] == 0 and 2700 < counts[0] < 3300


def test_weights_are_the_table() -> None:
    policy = TabularPolicy(np.zeros((2, 2)))
    policy.load(np.array([1.0, 0.0, 0.0, 1.0]))
    assert policy.probabilities.tolist() == [[1.0, 0.0], [0.0, 1.0]]

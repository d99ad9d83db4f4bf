"""A table as a policy: what the learners of finite worlds act by, however they came to it."""

from __future__ import annotations

import numpy as np

from agents.maths.explore import draw
from agents.records import Acted, Carry, forgets
from envs.api import Array, Step


class TabularPolicy:
    """Draws actions by probabilities [S, A], explore or not; an observation is the number of a state, one-hot."""

    initial = staticmethod(forgets)

    def __init__(self, probabilities: Array) -> None:
        self.probabilities = probabilities

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        chances = self.probabilities[step.obs.argmax(1)]
        return Acted(carry, draw(chances, rng.random(len(chances))), {})

    def load(self, weights: Array) -> None:
        self.probabilities = weights.reshape(self.probabilities.shape)

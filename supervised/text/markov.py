"""A source of symbols whose entropy is known: how well a model of sequences could do, without sampling.

source = Source(TRANSITIONS)
source.draw(1_000, rng)         # [1000] int64
source.entropy_rate             # 0.435217724 nats a symbol: nothing predicts the next one better
source.hidden_entropy           # 0.184173511 nats: nothing tells a symbol better from all the others
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TRANSITIONS = ((0.9, 0.1, 0.0), (0.0, 0.5, 0.5), (0.3, 0.0, 0.7))  # [from][to]


class Source:
    """A Markov chain of K symbols in its stationary distribution, of which there must be one alone."""

    def __init__(self, transitions: Any) -> None:
        self.transitions: Array = np.asarray(transitions, np.float64)
        states = len(self.transitions)
        balance = np.concatenate([self.transitions.T - np.eye(states), np.ones((1, states))])
        self.stationary: Array = np.linalg.lstsq(balance, np.eye(states + 1)[-1], rcond=None)[0]

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """n symbols in a row, [n] int64."""
        below = np.cumsum(self.transitions, 1)[:, :-1].tolist()
        chance = rng.random(n).tolist()
        state = int(rng.choice(len(self.stationary), p=self.stationary))
        found = [state]
        for number in chance[1:]:
            state = sum(number >= edge for edge in below[state])
            found.append(state)
        return np.array(found)

    def sequences(self, n: int) -> tuple[Array, Array]:
        """All sequences of n symbols that may come, [N, n] int64, and their probabilities [N]."""
        found, chances = np.arange(len(self.stationary))[:, None], self.stationary
        for _ in range(n - 1):
            following = chances[:, None] * self.transitions[found[:, -1]]
            row, symbol = np.nonzero(following)
            found, chances = np.concatenate([found[row], symbol[:, None]], 1), following[row, symbol]
        return found, chances

    @property
    def entropy_rate(self) -> float:
        """Of a symbol whose predecessors are known, in nats."""
        return float(self.stationary @ entropy(self.transitions))

    @property
    def hidden_entropy(self) -> float:
        """Of a symbol whose neighbours are known, in nats."""
        joint = np.einsum("a,ab,bc->acb", self.stationary, self.transitions, self.transitions)
        around = joint.sum(-1)
        return float((around * entropy(joint / np.maximum(around, 1e-300)[..., None])).sum())

    def cross_entropy(self, sequences: Array, chances: Array, predicted: Array) -> float:
        """Of what comes after each symbol, when it is predicted with log-probabilities [N, n, K], in nats: the mean
        over the n, in expectation over everything that may come. Never below the entropy rate."""
        following = self.transitions[sequences]  # [N, n, K]
        return float(-(chances @ (following * predicted).sum((1, 2))) / sequences.shape[1])


def entropy(chances: Array) -> Array:
    """Of distributions [..., K], in nats."""
    return -(chances * np.log(np.where(chances > 0, chances, 1))).sum(-1)

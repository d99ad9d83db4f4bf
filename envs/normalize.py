"""Running mean and variance of observations and returns, exact under merging.

Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
Actors collect with `update` and ship `take()`; the learner merges what they bring.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.api import Array

State = dict[str, Any]


class Moments:
    """Count, mean and population variance (numpy's `ddof=0`) of all batches seen, in float64."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._clear()

    @property
    def variance(self) -> Array:
        """[*shape]; zero before the first update."""
        return self._squares / max(self.count, 1)

    @property
    def deviation(self) -> Array:
        """[*shape], kept away from 0 for what never varies: sqrt(variance + 1e-8)."""
        return np.sqrt(self.variance + 1e-8)

    def update(self, batch: Array) -> None:
        """Add n observations, batch [n, *shape]. Raises ValueError for another shape."""
        batch = np.asarray(batch, np.float64)
        if batch.shape[1:] != self.shape:
            raise ValueError(f"a batch of shape {batch.shape} does not hold rows of shape {self.shape}")
        if len(batch):
            mean = batch.mean(0)
            self._add(len(batch), mean, np.square(batch - mean).sum(0))

    def merge(self, state: State) -> None:
        """Add everything that other moments saw: their `take()` or `state_dict()`."""
        if state["mean"].shape != self.shape:
            raise ValueError(f"moments of shape {state['mean'].shape} cannot join moments of shape {self.shape}")
        self._add(int(state["count"]), state["mean"], state["squares"])

    def take(self) -> State:
        """What was seen since the last take; these moments start anew."""
        state = self.state_dict()
        self._clear()
        return state

    def state_dict(self) -> State:
        return {"count": self.count, "mean": np.array(self.mean), "squares": np.array(self._squares)}

    def load_state_dict(self, state: State) -> None:
        self._clear()
        self.merge(state)

    def _clear(self) -> None:
        self.count = 0
        self.mean: Array = np.zeros(self.shape)
        self._squares: Array = np.zeros(self.shape)  # sum of squared deviations from the mean

    def _add(self, count: int, mean: Array, squares: Array) -> None:
        if count == 0:
            return
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self._squares = self._squares + squares + np.square(delta) * (self.count * count / total)
        self.count = total


class ReturnMoments:
    """Moments of each row's running discounted return g <- discount * g + reward, whose deviation scales rewards.

    Source: the `VecNormalize` of OpenAI baselines; unlike there, the return starts at zero in each episode.
    """

    def __init__(self, count: int, discount: float) -> None:
        self.moments = Moments(())
        self.discount = discount
        self._returns: Array = np.zeros(count)

    def update(self, reward: Array, ended: Array) -> None:
        """One step: reward [B], ended [B] bool, true where the episode ended with this reward."""
        self._returns = self.discount * self._returns + np.asarray(reward, np.float64)
        self.moments.update(self._returns)
        self._returns[np.asarray(ended, bool)] = 0.0

    def take(self) -> State:
        """The moments since the last take; the running returns go on."""
        return self.moments.take()

    def state_dict(self) -> State:
        return {"moments": self.moments.state_dict(), "returns": self._returns.copy()}

    def load_state_dict(self, state: State) -> None:
        if state["returns"].shape != self._returns.shape:
            raise ValueError(f"{len(state['returns'])} running returns do not fit {len(self._returns)} rows")
        self.moments.load_state_dict(state["moments"])
        self._returns = np.array(state["returns"], np.float64)

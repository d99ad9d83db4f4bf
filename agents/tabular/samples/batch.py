"""Values from a fixed batch of experience, gone through again and again (Sutton & Barto 2018, sections 6.3 and 11.3).

    weights = until_stable(features, td_rows(episodes), discount=1.0, step=0.01)
    values(features, weights)

With small enough steps the answer doesn't depend on them. For Monte-Carlo rows it is the least squares fit of the
returns; for TD rows it is exact for the most likely model of the batch (certainty equivalence).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.maths.bellman import action_values
from agents.tabular.samples.episodes import Episode, Features, kernel, value
from envs.api import Array
from envs.tabular.mdp import MDP


class StateSteps(NamedTuple):
    """n steps."""

    state: Array  # [n] int64
    reward: Array  # [n]
    next_state: Array  # [n] int64
    terminated: Array  # [n] bool, nothing is added to the reward


def td_rows(episodes: Sequence[Episode]) -> StateSteps:
    """Rewards, to be followed by what the next states are worth."""
    ends = [np.arange(len(e.action)) == (len(e.action) - 1 if e.terminated else -1) for e in episodes]
    return StateSteps(
        np.concatenate([episode.state[:-1] for episode in episodes]),
        np.concatenate([episode.reward for episode in episodes]),
        np.concatenate([episode.state[1:] for episode in episodes]),
        np.concatenate(ends),
    )


def mc_rows(episodes: Sequence[Episode], discount: float) -> StateSteps:
    """Returns, after which nothing follows. Raises ValueError for an episode that was cut off: its are not known."""
    if not all(episode.terminated for episode in episodes):
        raise ValueError("an episode was cut off, so that its returns are not known: learn from its steps, by td_rows")
    rows = td_rows(episodes)
    returns = rows.reward.copy()
    for t in range(len(returns) - 2, -1, -1):
        returns[t] += 0.0 if rows.terminated[t] else discount * returns[t + 1]
    return rows._replace(reward=returns, terminated=np.ones(len(returns), bool))


def until_stable(
    features: Features,
    rows: StateSteps,
    discount: float,
    step: float,
    tolerance: float = 1e-9,
    limit: int = 1_000_000,
) -> Array:
    """Weights [D] from 0 by batch updating: the moves of all rows are added up, and made at once, until none is larger
    than `tolerance` in its sum. Raises ValueError where that is never so."""
    weights = np.zeros(features.size)
    if _passes(features, rows, discount, step, tolerance, limit, weights) > tolerance:
        raise ValueError(f"after {limit} passes values still change: a smaller step than {step} may settle")
    return weights


@kernel
def _passes(
    features: Features,
    rows: StateSteps,
    discount: float,
    step: float,
    tolerance: float,
    limit: int,
    weights: Array,
) -> float:
    """How much the last pass changed."""
    largest, change = np.inf, np.empty(len(weights))
    for _ in range(limit):
        change[:] = 0.0
        for row in range(len(rows.state)):
            error = rows.reward[row] - value(features, weights, rows.state[row])
            if not rows.terminated[row]:
                error += discount * value(features, weights, rows.next_state[row])
            for k in range(features.active.shape[1]):
                change[features.active[rows.state[row], k]] += step * error * features.scale[rows.state[row], k]
        weights += change
        largest = np.abs(change).max()
        if not tolerance < largest < 1e100:
            break
    return largest


def refit(mdp: MDP, features: Array, weights: Array, discount: float) -> Array:
    """Fitted value iteration (Gordon 1995): the weights [D] whose values are closest to max_a Q of those before, by
    least squares over all states that are not terminal."""
    target = action_values(mdp, features @ weights, discount)[~mdp.terminal].max(1)
    fitted: Array = np.linalg.lstsq(features[~mdp.terminal], target)[0]
    return fitted

"""Episodes of a finite MDP in compiled code, and features of its states.

    space = room(limit=1000)
    length, terminated = sample(mdp.outcomes, behaviour, target, space, streams, row)      # in compiled code
    episode = cut(space, length, terminated)

Values are linear in features: value(s) = sum over k of weights[active[s, k]] * scale[s, k]. Where each state has a
feature of its own they are a table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from envs.api import Array
from envs.compiled import INLINED, STREAMS, compiler
from envs.streams import uniform
from envs.tabular import mdp as worlds
from envs.tabular.mdp import Outcomes, begin, step

SOURCES = [STREAMS, *sorted(Path(__file__).parent.glob("*.py")), Path(worlds.__file__)]
kernel, inner = compiler(SOURCES), compiler(SOURCES, **INLINED)


class Episode(NamedTuple):
    """T steps."""

    state: Array  # [T + 1] int64
    action: Array  # [T] int64
    reward: Array  # [T] of the step from state[t] to state[t + 1]
    ratio: Array  # [T] probability of the action under the target policy / under that which acted
    terminated: bool  # otherwise it was cut off


class Features(NamedTuple):
    """K of D features of each state are not 0."""

    active: Array  # [S, K] int64, which
    scale: Array  # [S, K] what they are
    size: int  # D


@kernel
def room(limit: int) -> Episode:
    """For an episode of at most so many steps."""
    return Episode(np.zeros(limit + 1, np.int64), np.zeros(limit, np.int64), np.zeros(limit), np.ones(limit), False)


def tilings(states: int, width: int = 1, count: int = 1) -> Features:
    """Neighbouring states share features: `count` partitions into groups of `width`, each shifted against the others.

    One tiling of width 1 is a table, one that is wider is state aggregation. Sutton & Barto, sections 9.3 and 9.5.4.
    """
    offsets = np.arange(count) * width // count
    group = (np.arange(states)[:, None] + offsets) // width
    per_tiling = int(group.max()) + 1
    return Features(group + per_tiling * np.arange(count), np.ones((states, count)), per_tiling * count)


def dense(features: Array) -> Features:
    """Of a matrix [S, D]."""
    states, size = features.shape
    return Features(np.tile(np.arange(size), (states, 1)), np.array(features, np.float64), size)


def matrix(features: Features) -> Array:
    """[S, D]."""
    whole = np.zeros((len(features.active), features.size))
    np.add.at(whole, (np.arange(len(whole))[:, None], features.active), features.scale)
    return whole


def values(features: Features, weights: Array) -> Array:
    """[..., S] of weights [..., D]."""
    return np.asarray((weights[..., features.active] * features.scale).sum(-1))


@inner
def value(features: Features, weights: Array, state: int) -> float:
    total = 0.0
    for k in range(features.active.shape[1]):
        total += weights[features.active[state, k]] * features.scale[state, k]
    return total


@inner
def act(policy: Array, state: int, streams: Array, row: int) -> int:
    """An action by the probabilities policy[state]."""
    left, chosen = uniform(streams, row), -1
    for action in range(policy.shape[1]):
        if policy[state, action] > 0:
            chosen = action
            left -= policy[state, action]
            if left < 0:
                break
    return chosen


@inner
def sample(
    outcomes: Outcomes, behaviour: Array, target: Array, space: Episode, streams: Array, row: int
) -> tuple[int, bool]:
    """An episode into the beginning of `space`; returns how long it is, and whether it ended by itself. Who acts is
    `behaviour` [S, A]."""
    state, limit = begin(outcomes, uniform(streams, row)), len(space.action)
    for t in range(limit):
        action = act(behaviour, state, streams, row)
        space.state[t], space.action[t] = state, action
        space.ratio[t] = target[state, action] / behaviour[state, action]
        state, reward, terminated = step(outcomes, state, action, uniform(streams, row))
        space.reward[t] = reward
        if terminated:
            space.state[t + 1] = state
            return t + 1, True
    space.state[limit] = state
    return limit, False


@kernel
def cut(space: Episode, length: int, terminated: bool) -> Episode:
    """The beginning of so many steps, as a view."""
    return Episode(
        space.state[: length + 1], space.action[:length], space.reward[:length], space.ratio[:length], terminated
    )


def starting(outcomes: Outcomes, states: Any) -> Outcomes:
    """The same world, whose episodes begin in any of `states` (numbers) with equal probability."""
    chance = np.zeros(len(outcomes.start_bound))
    chance[states] = 1.0 / len(states)
    bound = np.cumsum(chance)
    bound[max(states) :] = 1.0
    return outcomes._replace(start_bound=bound)


def schedule(rate: float | Schedule | None, first: int, n: int, budget: int) -> Array:
    """What a rate is in n episodes after the first ones [n]; 0 for None."""
    if rate is None or not isinstance(rate, Schedule):
        return np.full(n, rate or 0.0)
    return np.array([scheduled(rate, min((first + k) / budget, 1.0)) for k in range(n)])

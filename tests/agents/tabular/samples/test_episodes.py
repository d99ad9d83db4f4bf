from __future__ import annotations

import numpy as np
import pytest

from agents.maths.schedules import Schedule
from agents.tabular.samples.episodes import (
    Episode,
    cut,
    dense,
    kernel,
    matrix,
    room,
    sample,
    schedule,
    starting,
    tilings,
)
from envs.api import Array
from envs.streams import seed
from envs.tabular.make import make_mdp
from envs.tabular.mdp import Outcomes

WALK = make_mdp("random_walk")


@kernel
def lived(outcomes: Outcomes, behaviour: Array, target: Array, space: Episode, streams: Array) -> Episode:
    length, terminated = sample(outcomes, behaviour, target, space, streams, 0)
    return cut(space, length, terminated)


def streams(number: int = 0) -> Array:
    found = np.empty(1, np.uint64)
    seed(np.array([number], np.uint64), found)
    return found


def test_an_episode_follows_the_world_and_the_policy() -> None:
    grid, space = make_mdp("gridworld"), room(1000)
    behaviour = np.full(grid.legal.shape, [0.4, 0.3, 0.2, 0.1])
    luck, actions = streams(), list[int]()
    for _ in range(300):
        episode = lived(grid.outcomes, behaviour, grid.uniform(), space, luck)
        assert episode.terminated and grid.terminal[episode.state[-1]] and not grid.terminal[episode.state[:-1]].any()
        assert (grid.transition[episode.state[:-1], episode.action, episode.state[1:]] == 1).all()
        assert (episode.reward == -1).all()
        np.testing.assert_allclose(episode.ratio, 0.25 / np.array([0.4, 0.3, 0.2, 0.1])[episode.action])
        actions += episode.action.tolist()
    shares = np.bincount(actions) / len(actions)
    np.testing.assert_allclose(shares, [0.4, 0.3, 0.2, 0.1], atol=4 * np.sqrt(0.25 / len(actions)))  # 4 standard errors


def test_what_is_cut_off_has_not_terminated() -> None:
    space = room(2)
    episode = lived(WALK.outcomes, WALK.uniform(), WALK.uniform(), space, streams())
    assert not episode.terminated and episode.state[0] == 3 and len(episode.state) == 3


def test_episodes_may_begin_in_chosen_states() -> None:
    luck, outcomes = streams(), starting(WALK.outcomes, [2, 5])
    begun = [lived(outcomes, WALK.uniform(), WALK.uniform(), room(1), luck).state[0] for _ in range(400)]
    assert set(begun) == {2, 5} and np.mean(np.array(begun) == 2) == pytest.approx(0.5, abs=0.1)  # 4 standard errors


def test_features_of_neighbours() -> None:
    np.testing.assert_array_equal(matrix(tilings(3)), np.eye(3))
    np.testing.assert_array_equal(matrix(tilings(5, width=2)), np.repeat(np.eye(3), 2, 0)[:5])
    both = matrix(tilings(4, width=2, count=2))  # 0 1 | 2 3 and 0 | 1 2 | 3
    np.testing.assert_array_equal(
        both, [[1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1]]
    )
    features = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(matrix(dense(features)), features)


def test_rates_by_episode() -> None:
    assert schedule(None, 3, 2, 10).tolist() == [0.0, 0.0] and schedule(0.3, 3, 2, 10).tolist() == [0.3, 0.3]
    falling = Schedule(start=1.0, end=0.0)
    np.testing.assert_allclose(schedule(falling, 3, 2, 10), [0.7, 0.6])
    assert schedule(falling, 12, 1, 10).tolist() == [0.0]  # beyond the budget it stays

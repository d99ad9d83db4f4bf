from __future__ import annotations

import numpy as np
import pytest

from envs.tabular.chains import random_walk, river_swim, two_state


def test_two_states() -> None:
    mdp = two_state()
    assert mdp.reward.tolist() == [[1.0, 0.0], [2.0, 0.0]]
    assert mdp.transition.tolist() == [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]
    assert mdp.start.tolist() == [0.8, 0.2]


@pytest.mark.parametrize("states", [5, 19])
def test_a_random_walk_is_worth_how_likely_it_ends_on_the_right(states: int) -> None:
    mdp = random_walk(states, left=-1.0)
    chain = mdp.under(mdp.uniform())
    value = np.linalg.solve(np.eye(states + 2) - chain.transition, chain.reward)
    np.testing.assert_allclose(value[1:-1], 2 * np.arange(1, states + 1) / (states + 1) - 1, atol=1e-13)
    assert np.flatnonzero(mdp.terminal).tolist() == [0, states + 1]
    assert mdp.start[(states + 1) // 2] == 1.0


def test_who_always_swims_to_the_right_gets_the_average_reward_that_is_known() -> None:
    """.428622434, with the stationary distribution of the chain."""
    mdp = river_swim()
    always = np.tile(np.eye(2)[mdp.action("right")], (6, 1))
    chain = mdp.under(always)
    values, vectors = np.linalg.eig(chain.transition.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    np.testing.assert_allclose(stationary, [0.000119, 0.001428, 0.009997, 0.069979, 0.489854, 0.428622], atol=5e-7)
    assert stationary @ chain.reward == pytest.approx(0.428622434, abs=5e-10)


def test_a_chain_is_not_too_short() -> None:
    for world in (lambda: random_walk(0), lambda: river_swim(1)):
        with pytest.raises(ValueError, match="states is"):
            world()

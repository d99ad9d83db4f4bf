from __future__ import annotations

import numpy as np
import pytest

from envs.tabular.chains import (
    BAIRD_FEATURES,
    ROAD_HOME,
    ab_example,
    baird,
    driving_home,
    gambler,
    garnet,
    maximization_bias,
    random_walk,
    river_swim,
    two_state,
)


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
    for world in (random_walk, river_swim, gambler, maximization_bias, garnet):
        with pytest.raises(ValueError, match=f"{world.__name__}: .* expected"):
            world(0)


def test_a_gambler_stakes_what_he_has_and_needs() -> None:
    mdp = gambler()
    assert [int(mdp.legal[s].sum()) for s in (0, 1, 30, 50, 70, 99, 100)] == [0, 1, 30, 50, 30, 1, 0]
    s, stake = mdp.state(70), mdp.action(30)
    assert mdp.reward[s, stake] == 0.4
    assert mdp.transition[s, stake, [40, 100]].tolist() == [0.6, 0.4]


def test_the_model_of_eight_episodes() -> None:
    """Batch TD finds what is certain in it: both states are worth 3/4."""
    chain = ab_example().under(ab_example().uniform())
    assert np.linalg.solve(np.eye(3) - chain.transition, chain.reward).tolist() == [0.75, 0.75, 0.0]


def test_the_way_home_takes_what_it_took() -> None:
    mdp = driving_home()
    chain = mdp.under(mdp.uniform())
    value = np.linalg.solve(np.eye(6) - chain.transition, chain.reward)
    assert value.tolist() == [43 - minutes for _, minutes, _ in ROAD_HOME]


def test_bairds_seven_states_are_worth_nothing() -> None:
    mdp = baird()
    assert not mdp.reward.any() and not mdp.terminal.any()
    assert mdp.transition[:, mdp.action("solid")].tolist() == np.tile(np.eye(7)[6], (7, 1)).tolist()
    assert BAIRD_FEATURES[0].tolist() == [2, 0, 0, 0, 0, 0, 0, 1] and BAIRD_FEATURES[6].tolist() == [0] * 6 + [1, 2]


def test_the_arms_have_mean_minus_a_tenth_and_variance_one() -> None:
    mdp = maximization_bias(arms=3)
    assert mdp.reward[mdp.state("B"), 2:] == pytest.approx(-0.1)
    k = mdp.outcomes.first[mdp.state("B"), mdp.action("arm 1")]
    rewards = mdp.outcomes.reward[k : k + 21]
    assert rewards.std() == pytest.approx(1.0) and mdp.outcomes.probability[k : k + 21] == pytest.approx(1 / 21)
    assert mdp.legal[0].tolist() == [True, True, False, False, False]


def test_a_random_world_is_that_of_its_seed() -> None:
    mdp, same, other = garnet(seed=1), garnet(seed=1), garnet(seed=2)
    assert ((mdp.transition > 0).sum(2) == 3).all()
    np.testing.assert_array_equal(mdp.transition, same.transition)
    assert (mdp.transition != other.transition).any()

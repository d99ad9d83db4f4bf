from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from envs.api import Array
from envs.tabular.mdp import MDP
from envs.tabular.pomdp import POMDP, beliefs, tiger, tiger_beliefs


def value(world: POMDP, belief: Array, horizon: int) -> float:
    """The best that can be hoped for, by looking at everything that may be done and seen."""
    if horizon == 0:
        return 0.0
    best = -np.inf
    for action in range(len(world.mdp.actions)):
        worth = float(belief @ world.mdp.reward[:, action])
        for observation in range(len(world.observations)):
            following, chance = world.after(belief, action, observation)
            worth += chance * value(world, following, horizon - 1)
        best = max(best, worth)
    return best


def optimum(mdp: MDP, discount: float, sweeps: int) -> Array:
    values = np.zeros(len(mdp.states))
    for _ in range(sweeps):
        values = (mdp.reward + discount * mdp.onward @ values).max(1)
    return values


def test_what_is_believed_after_listening() -> None:
    """.85 for each time the tiger was heard there; left and right undo each other."""
    world = tiger()
    listen, left, right = world.mdp.action("listen"), world.observation("left"), world.observation("right")
    belief, chance = world.after(world.mdp.start, listen, left)
    assert [belief[0], chance] == pytest.approx([0.85, 0.5])
    twice, again = world.after(belief, listen, left)
    assert twice[0] == pytest.approx(0.85**2 / (0.85**2 + 0.15**2)) and again == pytest.approx(0.85**2 + 0.15**2)
    assert world.after(belief, listen, right)[0] == pytest.approx([0.5, 0.5])
    assert world.after(twice, world.mdp.action("open left"), right)[0] == pytest.approx([0.5, 0.5])


def test_a_filter_is_bayes_rule_over_whole_histories() -> None:
    """Of every string of four sounds: the tiger's side given all of them at once."""
    world = tiger(0.7)
    for sounds in product((0, 1), repeat=4):
        belief = world.mdp.start
        for sound in sounds:
            belief, _ = world.after(belief, 0, sound)
        likely = [np.prod([0.7 if sound == side else 0.3 for sound in sounds]) for side in (0, 1)]
        np.testing.assert_allclose(belief, np.array(likely) / sum(likely), atol=1e-12)


@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
def test_the_mdp_of_beliefs_is_worth_what_the_world_is(horizon: int) -> None:
    world = tiger()
    found = optimum(beliefs(world), 1.0, horizon)[0]
    assert found == pytest.approx(value(world, world.mdp.start, horizon), abs=1e-6)


def test_the_best_that_can_be_done_about_the_tiger() -> None:
    """19.37 with discount .95, as is known of this problem: listen until one side was heard twice more often."""
    mdp = tiger_beliefs()
    values = optimum(mdp, 0.95, 800)
    assert values[0] == pytest.approx(19.371, abs=1e-3)
    best = (mdp.reward + 0.95 * mdp.onward @ values).argmax(1)
    for state, action in zip(mdp.states, best):
        assert isinstance(state, tuple)
        expected = "open right" if state[0] > 0.9 else "open left" if state[0] < 0.1 else "listen"
        assert mdp.actions[action] == expected


def test_what_can_not_be_seen_is_refused() -> None:
    world = tiger(1.0)
    with pytest.raises(ValueError, match="'right' can't be seen after 'listen' with belief"):
        world.after(np.array([1.0, 0.0]), 0, world.observation("right"))
    assert len(beliefs(world).states) == 3


def test_what_is_no_pomdp_is_refused() -> None:
    world = tiger()
    with pytest.raises(ValueError, match=r"probabilities \[3, 2, 2\] of actions, states, observations"):
        POMDP(world.mdp, world.observations, world.seen[:2])
    with pytest.raises(ValueError, match="sum to 1 over the last axis"):
        POMDP(world.mdp, world.observations, world.seen * 0.9)
    with pytest.raises(ValueError, match="tiger leads to more than 10 beliefs"):
        beliefs(world, limit=10)
    ending = MDP.of("ending", {("a", "go"): [(1.0, "end", 0.0)]})
    with pytest.raises(ValueError, match="beliefs are of worlds without an end"):
        beliefs(POMDP(ending, ("nothing",), np.ones((1, 2, 1))))

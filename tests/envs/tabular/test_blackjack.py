from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from envs.api import Array
from envs.tabular.blackjack import NATURAL, blackjack, dealer, with_card
from envs.tabular.mdp import MDP


def best(mdp: MDP) -> tuple[Array, Array]:
    """Optimal values [S] and actions [S]; a hand grows by at most 21 cards."""
    value = np.zeros(len(mdp.states))
    for _ in range(22):
        q = np.where(mdp.legal, mdp.reward + mdp.onward @ value, -np.inf)
        value = np.where(mdp.terminal, 0.0, q.max(1))
    return value, q.argmax(1)


@pytest.mark.parametrize(
    ("options", "states", "expected"),
    [
        ({"natural": False, "sab": False}, 200, -0.046556),
        ({"natural": True, "sab": False}, 210, -0.025729),
        ({"natural": False, "sab": True}, 210, -0.043113),
    ],
)
def test_the_optimal_expectation_of_each_set_of_rules(options: dict[str, bool], states: int, expected: float) -> None:
    mdp = blackjack(**options)
    assert (~mdp.terminal).sum() == states
    assert best(mdp)[0] @ mdp.start == pytest.approx(expected, abs=5e-7)


def test_the_optimal_policy_is_that_of_the_book() -> None:
    """Figure 5.2, for the dealer's ace, 2, ..., 10."""
    mdp = blackjack()
    _, action = best(mdp)
    found = {
        (usable, count): "".join("SH"[action[mdp.state((count, card, usable))]] for card in range(1, 11))
        for usable in (True, False)
        for count in range(12, 22)
    }
    expected = {(True, count): "H" * 10 if count < 18 else "S" * 10 for count in range(12, 22)}
    expected |= {(False, count): "HSSSSSHHHH" if count < 17 else "S" * 10 for count in range(12, 22)}
    assert found == expected | {(True, 18): "HSSSSSSSHH", (False, 12): "HHHSSSHHHH"}


def test_an_ace_counts_eleven_while_it_can() -> None:
    assert with_card((10, False), 1) == (21, True)
    assert with_card((11, False), 1) == (12, False)
    assert with_card((16, True), 10) == (16, False)
    assert with_card((16, False), 10) == (26, False)


@pytest.mark.parametrize("card", [1, 6, 10])
def test_what_the_dealer_ends_with(card: int) -> None:
    final = dealer(card)
    assert sum(final.values()) == pytest.approx(1.0)
    assert final.get(NATURAL, 0.0) == pytest.approx({1: 4 / 13, 6: 0.0, 10: 1 / 13}[card])


@pytest.mark.parametrize("options", [{"natural": True, "sab": False}, {"natural": False, "sab": True}])
def test_gymnasiums_hands_end_as_the_model_says(options: dict[str, Any]) -> None:
    """1,000 hands of who sticks at 17: the mean is within 4 standard errors, a false alarm once in 15,000 seeds."""
    mdp = blackjack(**options)
    stick = np.array([isinstance(state, tuple) and (state[0] == NATURAL or state[0] >= 17) for state in mdp.states])
    policy = np.stack([stick, ~stick], 1) * mdp.legal
    chain = mdp.under(policy)
    value = np.linalg.solve(np.eye(len(mdp.states)) - chain.transition, chain.reward)
    world, returns = gymnasium.make("Blackjack-v1", **options), []
    for hand in range(1000):
        (count, _, _), _ = world.reset(seed=hand)
        over = False
        while not over:
            (count, _, _), reward, over, _, _ = world.step(int(count < 17))
        returns.append(float(reward))
    error = float(np.std(returns)) / np.sqrt(len(returns))
    assert np.mean(returns) == pytest.approx(mdp.start @ value, abs=4 * error)

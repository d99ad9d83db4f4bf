from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.search import config
from agents.search.api import Estimate, Evaluator
from agents.search.dynamics import dynamics_of
from agents.search.gumbel import considered_visits
from agents.search.search import Search
from envs.api import Array, Positions
from tests.agents.search.tree_game import bandit

ROWS = 64


def sequence(actions: int, simulations: int) -> list[int]:
    found = np.full(simulations, -1, np.int32)
    considered_visits(actions, simulations, found)
    return found.tolist()


PUBLISHED = {  # https://github.com/google-deepmind/mctx, mctx/_src/tests/seq_halving_test.py
    (8, 24): [0] * 8 + [1] * 4 + [2] * 4 + [3, 3, 4, 4, 5, 5, 6, 6],
    (8, 47): [0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [visits for visits in range(4, 17) for _ in (0, 1)] + [17],
    (8, 2): [0, 0],
    (8, 13): [0] * 8 + [1] * 4 + [2],
    (7, 24): [0] * 7 + [1] * 3 + [2] * 3 + [3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8],
    (0, 16): list(range(16)),
    (1, 16): list(range(16)),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_sequential_halving_considers_the_published_visits(case: tuple[int, int]) -> None:
    assert sequence(*case) == PUBLISHED[case]


def knowing(logits: Array, value: float) -> Evaluator:
    """The root's logits and its true value; what follows is the end of the game, where nobody is asked."""

    def evaluate(positions: Positions, seeds: Array) -> Estimate:
        n = len(positions)
        return Estimate(np.tile(logits, (n, 1)), np.tile([value, -value], (n, 1)))

    return evaluate


def searched(q: Array, logits: Array, **options: Any) -> tuple[Any, Array]:
    """The results of ROWS searches of a bandit with values q, and the prior."""
    prior = np.exp(logits) / np.exp(logits).sum()
    game: Any = bandit(q)
    search = Search(dynamics_of(game), config.SearchOptions(**options))
    evaluate = knowing(logits, float(prior @ q))
    return search.run(game.initial(ROWS), evaluate, np.arange(ROWS, dtype=np.uint64), explore=True), prior


@pytest.mark.parametrize("simulations", [4, 8, 16])
@pytest.mark.parametrize("rescale", [False, True])
def test_gumbel_improves_the_policy_of_a_bandit(simulations: int, rescale: bool) -> None:
    rng = np.random.default_rng(simulations)
    gains, played, spoiled = [], [], []
    for _ in range(20):
        q, logits = rng.uniform(-1, 1, 20), rng.normal(0, 2, 20).astype(np.float32)
        settings: dict[str, Any] = {"selection": "gumbel", "simulations": simulations, "rescale": rescale}
        result, prior = searched(q, logits, **settings)
        gains.append(result.policy @ q - prior @ q)
        played.append(q[result.action].mean() - prior @ q)
        # A broken variant: values with the wrong sign.
        spoiled.append(searched(-q, logits, **settings)[0].policy @ q - prior @ q)
        visited = result.visits > 0
        assert (visited.sum(1) == min(16, simulations)).all() if simulations <= 16 else True
        assert np.allclose(result.q[visited], np.tile(q, (ROWS, 1))[visited])
    assert (np.mean(gains, 1) > 0).all()  # over the seeds, in every bandit
    assert (np.array(gains) > 0).mean() > 0.95  # now and then the mixed value misjudges what was not tried
    assert np.mean(played) > 0.2
    assert np.mean(spoiled) < 0


def test_visits_of_puct_need_not_improve_a_policy() -> None:
    # The paper's motivation: with few simulations the likely actions are all that is tried.
    q, logits = np.array([0.0, 0.0, 1.0]), np.log(np.array([0.5, 0.3, 0.2])).astype(np.float32)
    worse, prior = searched(q, logits, selection="puct", simulations=2, dirichlet_fraction=0.0, unvisited="zero")
    assert (worse.policy @ q < prior @ q - 0.1).all()
    better, _ = searched(q, logits, selection="gumbel", simulations=2)
    assert (better.policy @ q).mean() > prior @ q


def test_without_noise_gumbel_is_greedy_and_halves_what_it_considers() -> None:
    q, logits = np.linspace(-0.1, 0.1, 8), np.zeros(8, np.float32)
    game: Any = bandit(q)
    search = Search(dynamics_of(game), config.SearchOptions(selection="gumbel", simulations=24, considered=8))
    result = search.run(game.initial(1), knowing(logits, 0.0), np.zeros(1, np.uint64))
    assert result.visits[0].tolist() == [1, 1, 1, 1, 3, 3, 7, 7]  # the better halves, as in the sequence above
    assert result.action[0] == 7
    sigma = (50 + 7) * 1.0 * (q + 1) / 2
    expected = np.exp(sigma - sigma.max())
    assert result.policy[0] == pytest.approx(expected / expected.sum())


def test_the_policy_completes_values_with_the_mixed_value() -> None:
    # By hand, appendix D: v_mix = (v + N sum(pi q) / sum(pi) over the tried) / (1 + N).
    prior, q = np.array([0.5, 0.25, 0.25]), np.array([0.4, -0.2, 0.8])
    game: Any = bandit(q)
    options = config.SearchOptions(selection="gumbel", simulations=2, considered=2, visit_scale=3.0, value_scale=0.5)
    result = Search(dynamics_of(game), options).run(
        game.initial(1), knowing(np.log(prior).astype(np.float32), 0.1), np.zeros(1, np.uint64)
    )
    assert result.visits[0].tolist() == [1, 1, 0]
    mixed = (0.1 + 2 * (0.5 * 0.4 + 0.25 * -0.2) / 0.75) / 3
    completed = np.array([0.4, -0.2, mixed])
    weight = prior * np.exp((3.0 + 1) * 0.5 * (completed + 1) / 2)
    assert result.policy[0] == pytest.approx(weight / weight.sum(), abs=1e-6)


def test_gumbel_wants_a_plan() -> None:
    with pytest.raises(ValueError, match="gumbel"):
        config.SearchOptions(selection="gumbel", seconds=1.0)

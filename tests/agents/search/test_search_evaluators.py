from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from agents.search import config
from agents.search.api import Estimate
from agents.search.dynamics import dynamics_of
from agents.search.evaluators import Cache, NetworkEvaluator, uniform
from agents.search.rollouts import Rollouts
from agents.search.search import Search
from envs.api import TERMINAL, Array, Game, Positions
from envs.games.make import make_game
from tests.agents.search.tree_game import TreeGame

needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")


class Oracle:
    """Says what only the position determines, and remembers what it was asked."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.asked: list[bytes] = []

    def __call__(self, positions: Positions, seeds: Array) -> Estimate:
        self.asked += [position.tobytes() for position in positions]
        assert len(seeds) == len(positions) > 0
        sums = np.sin(positions.astype(np.float64) @ np.arange(1, positions.shape[1] + 1))
        logits = np.sin(sums[:, None] * np.arange(1, self.game.spec.actions + 1)).astype(np.float32)
        return Estimate(logits, np.stack([sums, -sums], 1))


def walk(game: Game, n: int, moves: int, seed: int) -> Positions:
    rng, positions = np.random.default_rng(seed), game.initial(n)
    for _ in range(moves):
        legal = game.legal(positions)
        positions = game.step(positions, (rng.random(legal.shape) * legal).argmax(1))
        positions = positions[game.seat(positions) != TERMINAL]
    return positions


@pytest.mark.parametrize("capacity", [1, 64, 1 << 12])
def test_a_cache_gives_the_evaluators_answers_whatever_collides(capacity: int) -> None:
    # With room for four positions, all of them, every position collides with every other.
    game = make_game("tic_tac_toe")
    oracle, plain = Oracle(game), Oracle(game)
    cache = Cache(game, oracle, capacity)
    for seed in range(40):
        positions = walk(game, 30, seed % 5, seed)
        seeds = np.zeros(len(positions), np.uint64)
        found, wanted = cache(positions, seeds), plain(positions, seeds)
        assert found.logits.tobytes() == wanted.logits.tobytes()
        assert found.values.tobytes() == wanted.values.tobytes()
    if capacity == 1 << 12:  # all that tic-tac-toe has before the fifth move
        assert len(oracle.asked) == len(set(oracle.asked)) == len(set(plain.asked))
    else:
        assert len(oracle.asked) > len(set(oracle.asked))


def test_a_cache_asks_once_for_what_stands_in_a_batch_twice() -> None:
    game = make_game("connect_four")
    oracle = Oracle(game)
    cache = Cache(game, oracle, 100)
    positions = np.concatenate([game.initial(5), game.step(game.initial(2), np.array([3, 3]))])
    found = cache(positions, np.zeros(7, np.uint64))
    assert len(oracle.asked) == 2
    assert found.values[:, 0].tolist() == Oracle(game)(positions, np.zeros(7, np.uint64)).values[:, 0].tolist()
    assert cache.metrics() == {"search/cache_hit_rate": 5 / 7}
    cache(positions, np.zeros(7, np.uint64))
    assert len(oracle.asked) == 2
    assert cache.metrics() == {"search/cache_hit_rate": 1.0}
    assert cache.metrics() == {}
    cache.clear()
    cache(positions, np.zeros(7, np.uint64))
    assert len(oracle.asked) == 4


def test_a_cache_forgets_what_was_never_answered() -> None:
    game = make_game("tic_tac_toe")
    oracle = Oracle(game)

    def failing(positions: Positions, seeds: Array) -> Estimate:
        raise RuntimeError("no answer")

    cache: Any = Cache(game, failing, 100)
    with pytest.raises(RuntimeError, match="no answer"):
        cache(game.initial(1), np.zeros(1, np.uint64))
    cache.evaluator = oracle
    found = cache(game.initial(1), np.zeros(1, np.uint64))
    assert found.values[0, 0] == Oracle(game)(game.initial(1), np.zeros(1, np.uint64)).values[0, 0]


def test_a_search_with_a_cache_is_the_search_without() -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    positions = walk(game, 8, 3, 0)
    seeds = np.arange(8, dtype=np.uint64)
    search = Search(dynamics_of(game), config.SearchOptions(selection="gumbel", simulations=32))
    plain = search.run(positions, Oracle(game), seeds, explore=True)
    for capacity in (1, 1 << 12):
        cached = search.run(positions, Cache(game, Oracle(game), capacity), seeds, explore=True)
        for one, two in zip(plain, cached, strict=True):
            assert one.tobytes() == two.tobytes()


def test_what_can_not_be_cached_is_refused() -> None:
    tree: Any = TreeGame((0, [(1.0, 0.0), (0.0, 1.0)]))
    with pytest.raises(ValueError, match="not native"):
        Cache(tree, uniform(tree), 10)
    game = make_game("tic_tac_toe")
    with pytest.raises(ValueError, match="nothing"):
        Cache(game, uniform(game), 0)


def test_a_network_sees_what_the_seat_to_move_sees_and_speaks_for_it() -> None:
    game = make_game("connect_four(egocentric_obs_tensor=True)")
    positions = walk(game, 9, 3, 1)[:4]
    positions = np.concatenate([positions, game.step(positions, game.legal(positions).argmax(1))])
    seen = []

    def forward(obs: Array, seat: Array) -> tuple[Array, Array]:
        seen.append((obs.copy(), seat))
        return np.zeros((len(obs), 7), np.float32), np.full((len(obs), 1), 0.5)

    network = NetworkEvaluator(game, forward)
    for batch in (positions, positions[:3], positions):  # the buffer is used again, and was dirty
        estimate = network(batch, np.zeros(len(batch), np.uint64))
        mover = game.seat(batch)
        assert (seen[-1][0] == game.observe(batch)).all() and (seen[-1][1] == mover).all()
        assert (estimate.values[np.arange(len(batch)), mover] == 0.5).all()
        assert (estimate.values[np.arange(len(batch)), 1 - mover] == -0.5).all()
    assert {0, 1} == set(game.seat(positions).tolist())


def test_one_value_is_not_enough_for_games_that_do_not_sum_to_zero() -> None:
    game: Any = TreeGame((0, [(1.0, 0.0), (0.0, 1.0)]))
    network = NetworkEvaluator(game, lambda obs, seat: (np.zeros((len(obs), 2)), np.zeros((len(obs), 1))))
    with pytest.raises(ValueError, match="expected 2 values"):
        network(game.initial(1), np.zeros(1, np.uint64))


@needs_open_spiel
def test_rollouts_are_random_games_in_native_and_adapted_games() -> None:
    # Random tic-tac-toe: crosses win 131,184 of 255,168 games, weighted by their probability .585, noughts .288.
    expected = 0.5849 - 0.2881
    for native in (True, False):
        game = make_game("tic_tac_toe", native=native)
        n = 200 if native else 20
        estimate = Rollouts(game, 100)(game.initial(n), np.arange(n, dtype=np.uint64))
        assert estimate.values[:, 0].mean() == pytest.approx(expected, abs=4 * 0.9 / np.sqrt(100 * n))
        assert (estimate.values.sum(1) == 0).all()
    with pytest.raises(ValueError, match="at least 1"):
        Rollouts(make_game("tic_tac_toe"), 0)

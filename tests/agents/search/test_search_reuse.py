from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.api import fresh
from agents.search import config
from agents.search.dynamics import dynamics_of
from agents.search.evaluators import uniform
from agents.search.players import SearchPlayer, mcts
from agents.search.rollouts import Rollouts
from agents.search.search import Search
from agents.search.tree import SearchTree
from envs.api import CHANCE, Array
from envs.games.make import make_game
from tests.agents.search.test_search import Untold, assert_consistent, opinion, seeds
from tests.agents.search.tree_game import TreeGame


def subtree(tree: SearchTree, row: int, node: int) -> Any:
    """Everything that a tree knows below a node, whatever its numbers."""
    own = (tree.visits[row, node], tuple(tree.value[row, node]), bool(tree.solved[row, node]))
    branch = tree.branch[row, node]
    if branch < 0:
        return own
    first, width = tree.first[row, branch], tree.width[row, branch]
    children = [
        (tree.action[row, child], tree.prior[row, child], subtree(tree, row, child))
        for child in range(first, first + width)
    ]
    return own, tree.seat[row, branch], tree.raw[row, branch], tuple(tree.position[row, branch]), children


@pytest.mark.parametrize("evaluator", [Rollouts, opinion])
@pytest.mark.parametrize("kind", ["native", "adapted"])
def test_what_is_known_below_a_move_is_kept(evaluator: Any, kind: str) -> None:
    native: Any = make_game("connect_four(rows=4,columns=4)")
    game = native if kind == "native" else Untold(native)
    search = Search(dynamics_of(game), config.SearchOptions(selection="puct", simulations=80, dirichlet_fraction=0.0))
    positions, first = game.initial(3), seeds(3)
    result = search.run(positions, evaluator(game), first)
    for ply in range(4):
        actions = np.array([result.action[0], result.visits[1].argmin(), -1])
        below = [
            [subtree(search.tree, row, node) for node in range(1, 5) if search.tree.action[row, node] == action]
            for row, action in enumerate(actions.tolist())
        ]
        visits = result.visits[[0, 1], actions[:2]]
        search.follow(actions)
        for row in (0, 1):
            if visits[row] > 1:
                assert subtree(search.tree, row, 0) == below[row][0]
                assert_consistent(search.tree, row)
        following = actions.copy()
        following[2] = game.legal(positions)[2].argmax()
        positions = game.step(positions, following)
        result = search.run(positions, evaluator(game), seeds(3, 10 * ply + 10))
        kept = np.array([max(visits[0] - 1, 0), max(visits[1] - 1, 0), 0])
        assert (result.simulations == 80).all()
        assert (result.visits.sum(1) == 80 + kept).all()
        for row in range(3):
            assert_consistent(search.tree, row)
            assert game.legal(positions)[row, result.action[row]]
    assert kept[0] > 0


def test_a_tree_of_another_position_is_not_gone_on_with() -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    search = Search(dynamics_of(game), config.SearchOptions(simulations=50))
    best = search.run(game.initial(2), opinion(game), seeds(2)).action
    search.follow(best)
    there = game.step(game.initial(2), (best + [0, 1]) % 4)  # the second row went elsewhere
    result = search.run(there, opinion(game), seeds(2))
    assert result.visits[0].sum() > 50
    assert result.visits[1].sum() == 50
    again = search.run(there, opinion(game), seeds(2))  # nothing was followed: everything is new
    assert (again.visits.sum(1) == 50).all()
    with pytest.raises(ValueError, match="2 rows"):
        search.follow(np.array([1]))


def test_outcomes_of_chance_are_followed_too() -> None:
    gamble = (CHANCE, [(0.5, (1, [(1.0, 0.0), (0.0, 1.0)])), (0.5, (0.0, 0.0))])
    game: Any = TreeGame((0, [gamble, (0.4, 0.6)]))
    search = Search(dynamics_of(game), config.SearchOptions(simulations=60, puct_init=5.0))
    search.run(game.initial(1), uniform(game), seeds(1))
    search.follow(np.array([0]))
    search.follow(np.array([0]))
    there = game.step(game.step(game.initial(1), np.array([0])), np.array([0]))
    result = search.run(there, uniform(game), seeds(1))
    assert result.visits.sum() > 65
    assert result.action[0] == 1  # seat 1 takes its 1


# Players -------------------------------------------------------------------------------------------------------------


def played(moves: list[int], name: str = "tic_tac_toe") -> Array:
    game = make_game(name)
    position = game.initial(1)
    for move in moves:
        position = game.step(position, np.array([move]))
    return position


def test_mcts_wins_where_it_can_and_parries_where_it_must() -> None:
    game = make_game("tic_tac_toe")
    player = mcts(game, 300)
    positions = np.concatenate([played([0, 3, 1, 4]), played([0, 3, 1]), played([0, 1, 4, 2, 8][:4])])
    for seed in range(5):
        actions = fresh(player, positions, np.random.default_rng(seed))
        assert actions.dtype == np.int64
        assert actions.tolist() == [2, 2, 8]
    assert player.name == "mcts:300"
    assert mcts(game, seconds=0.5).name == "mcts:0.5s"
    with pytest.raises(ValueError, match="budget"):
        mcts(game)


def test_a_player_is_as_good_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make_game("connect_four")
    positions = np.concatenate([played(moves, "connect_four") for moves in ([], [3], [3, 3], [3, 3, 2], [0] * 6)])
    whole = fresh(mcts(game, 100), positions, np.random.default_rng(0))
    monkeypatch.setattr("agents.search.players.TOGETHER", 1400)
    pieces = mcts(game, 100)
    assert pieces.together == 2
    assert fresh(pieces, positions, np.random.default_rng(0)).tolist() == whole.tolist()


def test_a_player_does_not_think_about_its_only_move() -> None:
    game = make_game("tic_tac_toe")
    asked = []

    def evaluate(positions: Array, seeds: Array) -> Any:
        asked.append(len(positions))
        return uniform(game)(positions, seeds)

    player = SearchPlayer("net", game, evaluate, config.SearchOptions(selection="gumbel", simulations=8))
    last = played([0, 1, 2, 3, 5, 4, 6, 8])
    assert fresh(player, last, np.random.default_rng(0)).tolist() == [7]
    assert not asked
    assert fresh(player, np.concatenate([last, played([])]), np.random.default_rng(0))[0] == 7
    assert set(asked) == {1}
    with pytest.raises(ValueError, match="nobody is to move"):
        fresh(player, played([0, 3, 1, 4, 2]), np.random.default_rng(0))

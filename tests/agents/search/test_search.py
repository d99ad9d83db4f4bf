from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.search import config
from agents.search.api import Estimate, Evaluator
from agents.search.dynamics import dynamics_of
from agents.search.evaluators import NetworkEvaluator, uniform
from agents.search.rollouts import Rollouts
from agents.search.search import Search
from agents.search.tree import SearchTree
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from envs.games.make import make_game
from tests.agents.search.tree_game import TreeGame, random_tree

needs_open_spiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")


def seeds(n: int, first: int = 0) -> Array:
    return np.arange(first, first + n, dtype=np.uint64)


def opinion(game: Game) -> Evaluator:
    """Logits and values that depend on the position alone, and on nothing that makes sense."""

    def forward(obs: Array, seat: Array) -> tuple[Array, Array]:
        flat = obs.reshape(len(obs), -1)
        rows = np.arange(1, flat.shape[1] + 1)
        weights = np.sin(np.outer(np.arange(1, game.spec.actions + 2), rows))
        sums = np.sin((flat[:, None] * weights).sum(2))  # a matrix product's last bit depends on the number of rows
        return 2 * sums[:, 1:].astype(np.float32), sums[:, :1]

    return NetworkEvaluator(game, forward)


def some_positions(game: Game, n: int, moves: int, seed: int = 0) -> Positions:
    """n positions after so many random moves, in none of which the game is over."""
    rng, positions = np.random.default_rng(seed), game.initial(8 * n)
    for _ in range(moves):
        legal = game.legal(positions)
        positions = game.step(positions, (rng.random(legal.shape) * legal).argmax(1))
        positions = positions[game.seat(positions) != TERMINAL]
    return positions[:n]


def assert_consistent(tree: SearchTree, row: int) -> None:
    """A node's visits are 1 + its children's, or its children's where chance moves; what lies below adds up."""
    assert tree.nodes[row] <= tree.visits.shape[1]
    for branch in range(tree.branches[row]):
        node, first = tree.node[row, branch], tree.first[row, branch]
        children = slice(first, first + tree.width[row, branch])
        assert tree.branch[row, node] == branch
        own = 0 if tree.seat[row, branch] == CHANCE else 1
        assert tree.visits[row, node] == own + tree.visits[row, children].sum()
        assert tree.prior[row, children].sum() == pytest.approx(1)
        for child in range(children.start, children.stop):
            below = tree.branch[row, child]
            assert below < 0 or tree.parent[row, below] == branch


SELECTIONS: list[dict[str, Any]] = [
    {"selection": "ucb1"},
    {"selection": "puct"},
    {"selection": "gumbel", "considered": 3},
]


@pytest.mark.parametrize("options", SELECTIONS, ids=lambda options: options["selection"])
@pytest.mark.parametrize("evaluator", [Rollouts, opinion])
@pytest.mark.parametrize("kind", ["native", "adapted"])
def test_visits_sum_to_the_budget_of_each_row(options: dict[str, Any], evaluator: Any, kind: str) -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    positions = some_positions(game, 5, 6)
    if kind == "adapted":
        game = Untold(game)
    budgets = np.array([0, 1, 7, 40, 100])
    search = Search(dynamics_of(game), config.SearchOptions(**options))
    result = search.run(positions, evaluator(game), seeds(5), explore=True, budgets=budgets)
    assert (result.visits.sum(1) == budgets).all()
    assert (result.simulations == budgets).all()
    assert (search.tree.visits[:, 0] == budgets + 1).all()
    for row in range(5):
        assert_consistent(search.tree, row)
    legal = game.legal(positions)
    assert legal[np.arange(5), result.action].all()
    for table in (result.visits, result.policy, result.q, result.prior):
        assert not table[~legal].any()
    assert np.allclose(result.policy.sum(1), 1)
    assert np.allclose(result.value.sum(1), 0)


class Untold:
    """A native game that doesn't say so: it is searched through its `Game` interface."""

    def __init__(self, game: Any) -> None:
        self.game = game

    def __getattr__(self, name: str) -> Any:
        return getattr(self.game, name)


@pytest.mark.parametrize("options", [*SELECTIONS, {"selection": "puct", "bounds": "observed"}], ids=str)
def test_compiled_and_adapted_searches_are_the_same(options: dict[str, Any]) -> None:
    game = make_game("connect_four(rows=5,columns=5)")
    positions = some_positions(game, 8, 5)
    other = Untold(game)
    search, twin = (
        Search(dynamics_of(each), config.SearchOptions(simulations=60, **options)) for each in (game, other)
    )
    result = search.run(positions, opinion(game), seeds(8), explore=True)
    again = twin.run(positions, opinion(other), seeds(8), explore=True)
    for name in ("action", "visits", "policy", "value", "q", "prior"):
        assert np.allclose(getattr(result, name), getattr(again, name)), name


@pytest.mark.parametrize("options", SELECTIONS, ids=lambda options: options["selection"])
@pytest.mark.parametrize("evaluator", [Rollouts, opinion])
def test_a_row_depends_on_its_seed_and_not_on_its_neighbours(options: dict[str, Any], evaluator: Any) -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    positions = some_positions(game, 6, 4)
    search = Search(dynamics_of(game), config.SearchOptions(simulations=64, **options))
    result = search.run(positions, evaluator(game), seeds(6), explore=True)
    again = search.run(positions, evaluator(game), seeds(6), explore=True)
    for one, two in zip(result, again, strict=True):
        assert one.tobytes() == two.tobytes()
    for row in (0, 5):
        alone = Search(dynamics_of(game), config.SearchOptions(simulations=64, **options))
        lonely = alone.run(positions[row : row + 1], evaluator(game), seeds(1, row), explore=True)
        for one, two in zip(result, lonely, strict=True):
            assert one[row].tobytes() == two[0].tobytes()
    other = search.run(positions, evaluator(game), seeds(6, 100), explore=True)
    assert (other.visits != result.visits).any()  # or else no seed would matter


def test_a_tree_that_grows_is_the_tree_that_had_room(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    options = config.SearchOptions(selection="ucb1", simulations=300)
    roomy = Search(dynamics_of(game), options).run(game.initial(3), Rollouts(game), seeds(3))
    monkeypatch.setattr("agents.search.search.FIRST_ROOM", 1)
    search = Search(dynamics_of(game), options)
    tight = search.run(game.initial(3), Rollouts(game), seeds(3))
    assert search.tree.visits.shape[1] > 100
    for one, two in zip(roomy, tight, strict=True):
        assert one.tobytes() == two.tobytes()


# Proven results ------------------------------------------------------------------------------------------------------


def tic_tac_toe_by_ply() -> list[Positions]:
    """All positions that can be reached, by the number of stones."""
    game, plies = make_game("tic_tac_toe"), []
    positions = game.initial(1)
    while len(positions):
        plies.append(positions)
        going = positions[game.seat(positions) != TERMINAL]
        rows, actions = np.nonzero(game.legal(going))
        positions = np.unique(game.step(going[rows], actions), axis=0) if len(rows) else going[:0]
    return plies


def test_proven_values_equal_minimax_on_every_tic_tac_toe_position() -> None:
    game, plies = make_game("tic_tac_toe"), tic_tac_toe_by_ply()
    assert sum(map(len, plies)) == 5478
    truth: dict[bytes, float] = {}  # of seat 0
    for positions in reversed(plies):
        returns, seats, legal = game.returns(positions)[:, 0], game.seat(positions), game.legal(positions)
        over = seats == TERMINAL
        for position, value in zip(positions[over], returns[over], strict=True):
            truth[position.tobytes()] = value
        going = positions[~over]
        if not len(going):
            continue
        seats, legal = seats[~over], legal[~over]
        q = np.full(legal.shape, np.nan)
        for row, action in zip(*np.nonzero(legal), strict=True):
            q[row, action] = truth[game.step(going[row : row + 1], np.array([action]))[0].tobytes()]
        best = np.where(seats == 0, np.nanmax(q, 1), np.nanmin(q, 1))
        truth |= {position.tobytes(): value for position, value in zip(going, best, strict=True)}
        search = Search(
            dynamics_of(game), config.SearchOptions(selection="ucb1", simulations=10**6, proven=True, ucb_c=100.0)
        )
        result = search.run(going, Rollouts(game), seeds(len(going)))
        assert result.proven.all()
        assert (result.value[:, 0] == best).all()
        assert (result.value[:, 1] == -best).all()
        assert (q[np.arange(len(going)), result.action] == best).all()
        own = np.where(seats[:, None] == 0, q, -q)
        assert (result.q[result.solved] == own[result.solved]).all()
    assert truth[game.initial(1)[0].tobytes()] == 0


def test_without_proven_results_nothing_is_proven() -> None:
    game = make_game("tic_tac_toe")
    positions = some_positions(game, 20, 6)
    result = Search(dynamics_of(game), config.SearchOptions(selection="ucb1", simulations=500)).run(
        positions, Rollouts(game), seeds(20)
    )
    assert not result.proven.any()
    assert (result.simulations == 500).all()


@pytest.mark.parametrize("selection", ["ucb1", "puct", "gumbel"])
@pytest.mark.parametrize("seats", [2, 3])
def test_solved_trees_equal_backward_induction_for_any_seats_and_payoffs(selection: Any, seats: int) -> None:
    """General-sum games with chance. One who thinks that all others play against seat 0 gets many of them wrong."""
    rng, wrong = np.random.default_rng(seats), 0
    even: dict[str, Any] = {"ucb_c": 100.0, "puct_init": 100.0, "value_scale": 0.0}  # or the worst would stay unproven
    options = config.SearchOptions(selection=selection, simulations=4000, proven=True, chance="enumerated", **even)
    for _ in range(12):
        game: Any = TreeGame(random_tree(rng, seats, 4, luck=True))
        if game.seats[0] < 0:
            continue
        result = Search(dynamics_of(game), options).run(game.initial(1), uniform(game), seeds(1))
        assert result.proven[0]
        assert result.value[0] == pytest.approx(game.value())
        child = game.below[0][result.action[0]]
        assert game.value(child) == pytest.approx(game.value())
        wrong += abs(paranoid(game, 0) - game.value()[0]) > 1e-9
    assert wrong > 2


def paranoid(game: TreeGame, node: int) -> float:
    """What seat 0 would expect if all others only wanted to harm it: the sign trick."""
    if game.seats[node] == TERMINAL:
        return game.payoffs[node][0]
    values = [paranoid(game, child) for child in game.below[node]]
    if game.seats[node] == CHANCE:
        return float(np.average(values, weights=game.odds[node]))
    return max(values) if game.seats[node] == 0 else min(values)


THREE_SEATS = """EFG 2 R "three seats" { "one" "two" "three" } ""
p "" 1 1 "" { "left" "right" } 0
p "" 2 1 "" { "left" "right" } 0
t "" 1 "" { 5 2 0 }
t "" 2 "" { 1 1 4 }
p "" 3 1 "" { "left" "right" } 0
t "" 3 "" { 3 0 3 }
t "" 4 "" { 9 0 1 }
"""


@needs_open_spiel
@pytest.mark.parametrize("selection", ["ucb1", "puct"])
def test_three_seats_of_open_spiel_each_want_their_own(selection: Any, tmp_path: Path) -> None:
    # Seat 1 prefers 2 to 1, so going left pays 5 to seat 0; seat 2 prefers 3 to 1, so going right pays 3.
    (tmp_path / "three.efg").write_text(THREE_SEATS)
    game = make_game(f"efg_game(filename={tmp_path / 'three.efg'})")
    assert game.spec.seats == 3
    for proven in (False, True):
        options = config.SearchOptions(selection=selection, simulations=2000, proven=proven, puct_init=2.0)
        result = Search(dynamics_of(game), options).run(game.initial(1), Rollouts(game), seeds(1))
        assert result.action[0] == 0
        if proven:
            assert result.proven[0]
            assert result.value[0].tolist() == [5, 2, 0]
        else:
            assert result.value[0] == pytest.approx([5, 2, 0], abs=1)
            assert result.q[0] == pytest.approx([5, 3], abs=1)


@needs_open_spiel
def test_games_of_open_spiel_with_chance_are_played() -> None:
    game = make_game("pig(players=3,winscore=20)")
    positions = game.initial(4)
    search = Search(dynamics_of(game), config.SearchOptions(selection="ucb1", simulations=200))
    result = search.run(positions, Rollouts(game), seeds(4))
    assert (result.visits.sum(1) == 200).all()
    for row in range(4):
        assert_consistent(search.tree, row)
    assert np.allclose(result.value.sum(1), 0)  # pig pays the winner what the others lose
    assert (search.tree.seat[0, : search.tree.branches[0]] == CHANCE).any()


@pytest.mark.parametrize("chance", ["sampled", "enumerated"])
def test_outcomes_are_visited_as_often_as_they_are_likely(chance: Any) -> None:
    odds = [0.5, 0.3, 0.2]
    gamble = (CHANCE, [(p, (v, -v)) for p, v in zip(odds, (1.0, -1.0, 0.5), strict=True)])
    game: Any = TreeGame((0, [gamble, (0.25, -0.25)]))
    search = Search(dynamics_of(game), config.SearchOptions(selection="puct", simulations=1000, chance=chance))
    result = search.run(game.initial(1), uniform(game), seeds(1))
    visits = [
        int(search.tree.visits[0, node]) for node in range(search.tree.nodes[0]) if search.tree.action[0, node] >= 0
    ]
    total, outcomes = visits[0], np.array(visits[2:])
    assert outcomes.sum() == total
    slack = 1 if chance == "enumerated" else 4 * math.sqrt(total) / 2
    assert (np.abs(outcomes - total * np.array(odds)) <= slack).all()
    assert result.q[0, 0] == pytest.approx(0.3, abs=2 * slack / total)
    assert result.action[0] == 0
    if chance == "enumerated":
        assert result.q[0, 0] == pytest.approx(0.3, abs=0.01)


# Noise ---------------------------------------------------------------------------------------------------------------


def test_there_is_noise_only_when_exploring() -> None:
    game = make_game("connect_four")
    evaluate = opinion(game)
    positions = some_positions(game, 6, 8)
    logits = evaluate(positions, seeds(6)).logits.astype(np.float64)
    legal = game.legal(positions)
    weight = np.where(legal, np.exp(logits), 0)
    priors = weight / weight.sum(1, keepdims=True)
    for options in SELECTIONS:
        search = Search(dynamics_of(game), config.SearchOptions(simulations=20, **options))
        quiet = [search.run(positions, evaluate, seeds(6, first)) for first in (0, 50)]
        assert np.allclose(quiet[0].prior, priors, atol=1e-6)
        if options["selection"] != "ucb1":  # which tries untried actions in random order
            assert (quiet[0].visits == quiet[1].visits).all()
        loud = [search.run(positions, evaluate, seeds(6, first), explore=True) for first in (0, 50)]
        if options["selection"] == "puct":
            assert np.abs(loud[0].prior - priors)[legal].min() > 0
            noise = (loud[0].prior - 0.75 * priors) / 0.25
            assert np.allclose(noise.sum(1), 1)
            assert noise.min() > -1e-9
            assert not noise[~legal].any()
        else:
            assert np.allclose(loud[0].prior, priors, atol=1e-6)
        assert (loud[0].visits != loud[1].visits).any()


def test_a_fraction_of_nothing_is_no_noise() -> None:
    game = make_game("connect_four")
    search = Search(dynamics_of(game), config.SearchOptions(selection="puct", simulations=20, dirichlet_fraction=0.0))
    results = [search.run(game.initial(2), opinion(game), seeds(2), explore=explore) for explore in (False, True)]
    assert results[0].visits.tobytes() == results[1].visits.tobytes()


# Budgets, refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evaluator", [Rollouts, opinion])
def test_the_clock_stops_a_search(evaluator: Any) -> None:
    game = make_game("connect_four")
    search = Search(dynamics_of(game), config.SearchOptions(selection="ucb1", simulations=10**9, seconds=0.02))
    result = search.run(game.initial(2), evaluator(game), seeds(2))
    assert (result.simulations > 0).all()
    assert (result.simulations < 10**7).all()
    assert (result.visits.sum(1) == result.simulations).all()


def test_what_can_not_be_searched_is_refused() -> None:
    game = make_game("tic_tac_toe")
    search = Search(dynamics_of(game), config.SearchOptions())
    over = game.initial(1)
    for action in (0, 3, 1, 4, 2):
        over = game.step(over, np.array([action]))
    with pytest.raises(ValueError, match="row 1"):
        search.run(np.concatenate([game.initial(1), over]), Rollouts(game), seeds(2))
    with pytest.raises(ValueError, match="2 seeds"):
        search.run(game.initial(2), Rollouts(game), seeds(3))
    with pytest.raises(ValueError, match="budget"):
        search.run(game.initial(2), Rollouts(game), seeds(2), budgets=np.array([1, -1]))
    with pytest.raises(ValueError, match="can't go on with a tree"):
        Search(dynamics_of(game), config.SearchOptions(selection="gumbel")).follow(np.array([0]))


@pytest.mark.parametrize("kind", ["native", "adapted"])
def test_estimates_that_are_none_are_refused(kind: str) -> None:
    native = make_game("tic_tac_toe")
    game = native if kind == "native" else Untold(native)
    search = Search(dynamics_of(game), config.SearchOptions(simulations=5))
    for logits, values, told in [
        (np.zeros((1, 8)), np.zeros((1, 2)), "not logits"),
        (np.zeros((1, 9)), np.zeros(1), "not logits"),
        (np.full((1, 9), np.nan), np.zeros((1, 2)), "not finite"),
        (np.full((1, 9), -np.inf), np.zeros((1, 2)), "not finite"),
        (np.zeros((1, 9)), np.full((1, 2), np.nan), "not finite"),
    ]:
        with pytest.raises((ValueError, FloatingPointError), match=told):
            search.run(game.initial(1), constant(Estimate(logits, values)), seeds(1))


def constant(estimate: Estimate) -> Evaluator:
    return lambda positions, seeds: estimate


def test_no_rows_are_a_batch_too() -> None:
    game = make_game("tic_tac_toe")
    for evaluator in (Rollouts(game), opinion(game)):
        result = Search(dynamics_of(game), config.SearchOptions()).run(game.initial(0), evaluator, seeds(0))
        assert result.action.shape == (0,)
        assert result.visits.shape == (0, 9)

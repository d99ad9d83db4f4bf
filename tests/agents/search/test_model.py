"""Search in a model: against the game that it is a table of, a textbook's search, value iteration, and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from agents.search import config
from agents.search.api import ModelSpec, Result
from agents.search.dynamics import dynamics_of
from agents.search.model import Model, ModelDynamics, Prediction
from agents.search.search import Search
from agents.search.tree import SearchTree
from envs.api import Array
from envs.games.make import make_game
from tests.agents.search.table_model import TableModel, optimal_values, random_table, table_of
from tests.agents.search.test_search import assert_consistent, opinion, seeds, some_positions


def searched(model: TableModel, states: Any, **options: Any) -> tuple[Search[Model], Result]:
    search = Search(ModelDynamics(model.spec), config.SearchOptions(**options))
    return search, search.run(np.asarray(states), model, seeds(len(states)))


# The table of a game -------------------------------------------------------------------------------------------------


def compared(tree: SearchTree, other: SearchTree, row: int, node: int = 0, twin: int = 0) -> int:
    """How many nodes below `node` are not the same below `twin` of the other tree."""
    branch, below = tree.branch[row, node], other.branch[row, twin]
    if branch < 0 or below < 0:
        return int(branch >= 0)
    first, second, seat = tree.first[row, branch], other.first[row, below], tree.seat[row, branch]
    told = int(tree.raw[row, branch] != other.raw[row, below] or seat != other.seat[row, below])
    told += int(tree.width[row, branch] != other.width[row, below])
    for child in range(min(tree.width[row, branch], other.width[row, below])):
        here, there = first + child, second + child
        told += int(worth(tree, row, here, seat) != worth(other, row, there, seat))
        told += compared(tree, other, row, here, there)
    return told


def worth(tree: SearchTree, row: int, node: int, seat: int) -> tuple[float, ...]:
    """Everything about an action, to the last bit."""
    visits = int(tree.visits[row, node])
    value = float(tree.value[row, node, seat]) / visits if visits else 0.0
    if tree.edges is not None:
        value = float(tree.edges.reward[row, node, seat] + tree.edges.discount[row, node] * value)
    return int(tree.action[row, node]), float(tree.prior[row, node]), visits, value


@pytest.mark.parametrize("selection", ["puct", "gumbel"])
def test_the_table_of_a_game_is_searched_like_the_game(selection: Any) -> None:
    game = make_game("tic_tac_toe")
    model, number = table_of(game, opinion(game))
    assert len(number) == 5478
    positions = np.concatenate([some_positions(game, 4, moves) for moves in (0, 2, 5)])
    states = np.array([number[position.tobytes()] for position in positions])
    options = config.SearchOptions(selection=selection, simulations=300)
    native = Search(dynamics_of(game), options)
    result = native.run(positions, opinion(game), seeds(12), explore=True)

    def planned(table: TableModel) -> tuple[Search[Model], Result]:
        search = Search(ModelDynamics(game.spec), options)
        return search, search.run(states, table, seeds(12), explore=True)

    search, again = planned(model)
    for name in ("action", "visits", "policy", "q", "prior", "value"):
        assert getattr(again, name).tobytes() == getattr(result, name).tobytes(), name
    assert sum(compared(native.tree, search.tree, row) for row in range(12)) == 0
    search, again = planned(model._replace(reward=np.zeros_like(model.reward)))
    assert (again.visits != result.visits).any()  # who is told of no result is found out
    assert sum(compared(native.tree, search.tree, row) for row in range(12)) > 0


# A textbook's search -------------------------------------------------------------------------------------------------


class Textbook:
    """One search of one state, after MuZero's pseudocode (arXiv:1911.08265), but for values of every seat."""

    def __init__(self, model: TableModel, state: int, observed: bool) -> None:
        self.model, self.observed, self.met = model, observed, (math.inf, -math.inf)
        self.root = Node(model, state, np.zeros(model.reward.shape[2]), 1.0)

    def simulate(self) -> None:
        path = [self.root]
        while path[-1].visits and path[-1].state >= 0:
            path.append(self.child(path[-1]))
        value = path[-1].raw
        for node, above in zip(reversed(path), [*reversed(path[:-1]), None], strict=True):
            node.visits += 1
            node.total = node.total + value
            if above is not None:
                self.met = min(self.met[0], node.q(above.seat)), max(self.met[1], node.q(above.seat))
            value = node.reward + node.discount * value

    def child(self, node: Node) -> Node:
        low, high = self.met if self.observed and self.met[0] < self.met[1] else (-1.0, 1.0)
        c = (1.25 + math.log((1 + node.visits + 19652) / 19652)) * (high - low) / 2

        def score(action: int) -> float:
            child = node.children.get(action)
            own = node.total[node.seat] / node.visits if child is None else child.q(node.seat)
            return float(own + c * node.prior[action] * math.sqrt(node.visits) / (1 + (child.visits if child else 0)))

        action = max(range(len(node.prior)), key=score)
        if action not in node.children:
            model, state = self.model, node.state
            following = int(model.following[state, action])
            node.children[action] = Node(model, following, model.reward[state, action], model.discount[state, action])
        return node.children[action]


class Node:
    def __init__(self, model: TableModel, state: int, reward: Array, discount: float) -> None:
        self.state, self.reward, self.discount = state, reward, discount
        self.seat, self.raw = int(model.seat[state]), model.values[state]
        weight = np.exp(model.logits[state].astype(float))
        self.prior = weight / weight.sum()
        self.visits, self.total = 0, np.zeros(len(self.raw))
        self.children: dict[int, Node] = {}

    def q(self, seat: int) -> float:
        return float(self.reward[seat] + self.discount * self.total[seat] / self.visits)


def agrees(model: TableModel, states: int, observed: bool, textbook: TableModel) -> bool:
    """Whether visits and values of a search in `model` are those of the textbook's search in another."""
    bounds = "observed" if observed else "known"
    search, result = searched(model, range(states), selection="puct", simulations=200, bounds=bounds)
    for row in range(states):
        assert_consistent(search.tree, row)
        book = Textbook(textbook, row, observed)
        for _ in range(201):
            book.simulate()
        visits = [book.root.children[a].visits if a in book.root.children else 0 for a in range(model.spec.actions)]
        if result.visits[row].tolist() != visits:
            return False
        if result.value[row] != pytest.approx(book.root.total / book.root.visits):
            return False
    return True


@pytest.mark.parametrize("seats", [1, 2, 3])
@pytest.mark.parametrize(("observed", "scale"), [(False, 0.3), (True, 0.3), (True, 1000.0)])
def test_puct_grows_the_textbook_tree(seats: int, observed: bool, scale: float) -> None:
    model = random_table(np.random.default_rng(seats), 6, 4, seats, scale)
    assert agrees(model, 6, observed, model)
    for wrong in (
        model._replace(reward=np.zeros_like(model.reward)),
        model._replace(discount=np.ones_like(model.discount)),
        model._replace(seat=np.zeros_like(model.seat)) if seats > 1 else model._replace(values=0 * model.values),
    ):
        assert not agrees(model, 6, observed, wrong)


def test_only_bounds_that_are_observed_explore_among_large_values() -> None:
    """In a world where everything is worth thousands."""
    model = random_table(np.random.default_rng(3), 6, 4, scale=1000.0)
    _, known = searched(model, range(6), simulations=200)
    _, observed = searched(model, range(6), simulations=200, bounds="observed")
    _, small = searched(random_table(np.random.default_rng(3), 6, 4), range(6), simulations=200, bounds="observed")
    assert (observed.visits > 0).sum() > 1.5 * (known.visits > 0).sum()
    assert np.abs(observed.visits - small.visits).max() < 20  # the scale is hardly felt


# Value iteration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("selection", ["ucb1", "puct"])
def test_values_converge_to_those_of_value_iteration(selection: Any) -> None:
    rng = np.random.default_rng(11)
    model = random_table(rng, 5, 3)._replace(
        discount=np.full((5, 3), 0.8), logits=np.zeros((5, 3), np.float32), values=np.zeros((5, 1))
    )
    q, errors = optimal_values(model), []
    little: dict[str, Any] = {"bounds": "observed", "ucb_c": 0.5, "puct_init": 0.1, "puct_base": 1e9}
    for simulations in (100, 500, 3000):
        _, result = searched(model, range(5), selection=selection, simulations=simulations, **little)
        errors.append(np.abs(result.value[:, 0] - q.max(1)).max())
    assert (result.action == q.argmax(1)).all()
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.05
    myopic = optimal_values(model._replace(discount=np.zeros((5, 3))))
    assert np.abs(result.value[:, 0] - myopic.max(1)).max() > 0.3


# By hand -------------------------------------------------------------------------------------------------------------


def chain(rewards: list[list[float]], discounts: list[float], values: list[list[float]], seat: list[int]) -> TableModel:
    """States in a row, one action in each; the last leads to itself."""
    n = len(values)
    return TableModel(
        following=np.minimum(np.arange(1, n + 1), n - 1)[:, None],
        reward=np.array(rewards)[:, None],
        discount=np.array(discounts)[:, None],
        seat=np.array(seat),
        logits=np.zeros((n, 1), np.float32),
        values=np.array(values),
    )


def test_rewards_and_discounts_by_hand() -> None:
    # Values 4, 8, 2, 6; rewards 1, -2, 3 on the way; discounts 1/2, 1, 1/4. Each simulation goes one state further:
    #   the root itself: 4;   1 + 8 / 2 = 5;   1 + (-2 + 2) / 2 = 1;   1 + (-2 + 3 + 6 / 4) / 2 = 2.25
    model = chain([[1], [-2], [3], [0]], [0.5, 1, 0.25, 1], [[4], [8], [2], [6]], [0, 0, 0, 0])
    for simulations, backed_up in ((0, [4]), (1, [4, 5]), (2, [4, 5, 1]), (3, [4, 5, 1, 2.25])):
        search, result = searched(model, [0], simulations=simulations)
        assert result.value[0, 0] == np.mean(backed_up)
        assert result.q[0, 0] == (np.mean(backed_up[1:]) if simulations else 0)
    # In the first state's branch: 8, 0, 2.5; and so on: sums, not means, are kept.
    assert search.tree.visits[0, :4].tolist() == [4, 3, 2, 1]
    assert search.tree.value[0, :4, 0].tolist() == [12.25, 8 + 0 + 2.5, 2 + 4.5, 6]
    assert search.principal_variation(0) == [0, 0, 0]


def test_every_seat_gets_its_own_rewards() -> None:
    # Seat 0 moves, then seat 1; the first action pays 1 to seat 0 and 2 to seat 1, the second -3 and 5.
    model = chain([[1, 2], [-3, 5], [0, 0]], [1, 0.5, 1], [[0, 0], [0, 0], [2, 4]], [0, 1, 0])
    _, result = searched(model, [0, 1], simulations=2)
    # Row 0: 0; 1 and 2; 1 - 3 + 1 = -1 and 2 + 5 + 2 = 9.  Row 1: 0; -2 and 7; state 2 pays nothing: the same again.
    assert result.value.tolist() == [[0.0, 11 / 3], [-4 / 3, 14 / 3]]
    assert result.q[:, 0].tolist() == [0.0, 7.0]  # of who moves: seat 0, and seat 1


def test_gumbel_scales_values_by_the_bounds() -> None:
    # Everything ends after one action: its value is its reward.
    rewards, logits = np.array([300.0, -100.0, 250.0]), np.array([0.1, 0.4, -0.2])
    model = TableModel(
        following=np.zeros((1, 3), np.int64),
        reward=rewards.reshape(1, 3, 1),
        discount=np.zeros((1, 3)),
        seat=np.zeros(1, np.int64),
        logits=logits[None].astype(np.float32),
        values=np.zeros((1, 1)),
    )
    scale = {"visit_scale": 1.0, "value_scale": 0.2}
    _, result = searched(model, [0], selection="gumbel", simulations=12, bounds="observed", **scale)
    assert (result.visits > 0).all()
    weight = np.exp(logits + (1 + result.visits.max()) * 0.2 * (rewards + 100) / 400)
    assert result.policy[0] == pytest.approx(weight / weight.sum())
    _, known = searched(model, [0], selection="gumbel", simulations=12, **scale)
    assert known.policy[0, 0] > 0.99  # [-1, 1] it is not


# Masks, memory, refusals ---------------------------------------------------------------------------------------------


def test_what_is_illegal_is_not_imagined() -> None:
    model = random_table(np.random.default_rng(0), 5, 4)
    masked = model._replace(logits=np.where(np.arange(4) == 2, -np.inf, model.logits).astype(np.float32))

    class AtTheRoot(TableModel):
        def root(self, positions: Array, seeds: Array) -> Prediction:
            return masked.root(positions, seeds)

    search, result = searched(AtTheRoot(*model), [0, 1], simulations=60)
    assert not result.visits[:, 2].any()
    assert not result.prior[:, 2].any()
    below = [node for node in range(search.tree.nodes[0]) if search.tree.action[0, node] == 2]
    assert search.tree.visits[0, below].any()


def test_a_tree_that_grows_is_the_tree_that_had_room(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_table(np.random.default_rng(1), 6, 4)
    _, roomy = searched(model, range(6), simulations=100, bounds="observed")
    monkeypatch.setattr("agents.search.search.FIRST_ROOM", 1)
    search, tight = searched(model, range(6), simulations=100, bounds="observed")
    assert search.tree.visits.shape[1] > 100
    for one, two in zip(roomy, tight, strict=True):
        assert one.tobytes() == two.tobytes()


def test_embeddings_follow_the_tree() -> None:
    model = random_table(np.random.default_rng(2), 6, 3)
    search, result = searched(model, [0, 3], simulations=80)
    actions = result.visits.argmax(1)
    kept = result.visits.max(1) - 1
    search.follow(actions)
    states = model.following[[0, 3], actions]
    result = search.run(states, model, seeds(2))
    assert (result.visits.sum(1) == 80 + kept).all()
    tree, dynamics = search.tree, search.dynamics
    assert isinstance(dynamics, ModelDynamics)
    assert dynamics.embeddings is not None
    for row in range(2):
        assert_consistent(tree, row)
        assert dynamics.embeddings[row, 0] == states[row]
        for branch in range(1, tree.branches[row]):
            above, action = dynamics.embeddings[row, tree.parent[row, branch]], tree.action[row, tree.node[row, branch]]
            assert dynamics.embeddings[row, branch] == model.following[above, action]


def test_what_can_not_be_planned_with_is_refused() -> None:
    model = random_table(np.random.default_rng(0), 4, 3)
    spec = ModelSpec("table", 3)
    with pytest.raises(ValueError, match="proven"):
        Search(ModelDynamics(spec), config.SearchOptions(proven=True))
    for wrong, told in [
        (model._replace(values=np.full((4, 1), np.nan)), "not finite"),
        (model._replace(logits=np.full((4, 3), np.nan, np.float32)), "not finite"),
        (model._replace(logits=np.full((4, 3), -np.inf, np.float32)), "without an action"),
        (model._replace(reward=np.full((4, 3, 1), np.inf)), "rewards and discounts are not finite"),
        (model._replace(reward=np.zeros((4, 3, 2))), r"\[1, 2\], \[1\], \[1\], not \[1, 1\]"),
        (model._replace(seat=np.ones(4, np.int64)), "none of 0 .. 0"),
    ]:
        with pytest.raises((ValueError, FloatingPointError), match=told):
            Search(ModelDynamics(spec), config.SearchOptions(simulations=2)).run(np.zeros(1, np.int64), wrong, seeds(1))

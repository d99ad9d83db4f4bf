"""The compiled search against one that is written as in a textbook, and against trees worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from agents.search import config
from agents.search.api import Estimate, Evaluator
from agents.search.dynamics import dynamics_of
from agents.search.evaluators import uniform
from agents.search.search import Search
from envs.api import TERMINAL, Array, Game, Positions
from envs.games.make import make_game
from tests.agents.search.tree_game import TreeGame, random_tree


class Node:
    """A node of the textbook's tree, with a dict of children; one search of one position."""

    def __init__(self, game: Game, position: Positions, evaluate: Evaluator) -> None:
        self.game, self.evaluate = game, evaluate
        self.position, self.seat = position, int(game.seat(position)[0])
        self.visits, self.total = 0, np.zeros(game.spec.seats)
        self.children: dict[int, Node] = {}
        if self.seat == TERMINAL:
            self.value = game.returns(position)[0]
            return
        estimate = evaluate(position, np.zeros(1, np.uint64))
        self.value = np.asarray(estimate.values[0], float)
        legal = np.flatnonzero(game.legal(position)[0])
        weight = np.exp(estimate.logits[0, legal].astype(float))
        self.prior = dict(zip(legal.tolist(), weight / weight.sum(), strict=True))

    def q(self, action: int) -> float:
        child = self.children[action]
        return float(child.total[self.seat] / child.visits)

    def simulate(self, choose: Any) -> Array:
        """One simulation from here. Returns what it backed up."""
        if self.visits == 0 or self.seat == TERMINAL:
            result = self.value
        else:
            action = choose(self)
            if action not in self.children:
                following = self.game.step(self.position, np.array([action]))
                self.children[action] = Node(self.game, following, self.evaluate)
            result = self.children[action].simulate(choose)
        self.visits += 1
        self.total = self.total + result
        return result


def puct(node: Node) -> int:
    c = 1.25 + math.log((1 + node.visits + 19652) / 19652)
    parent = node.total[node.seat] / node.visits

    def score(action: int) -> float:
        n = node.children[action].visits if action in node.children else 0
        return (node.q(action) if n else parent) + c * node.prior[action] * math.sqrt(node.visits) / (1 + n)

    return max(node.prior, key=score)


def improved(node: Node) -> dict[int, float]:
    tried = node.children
    total = sum(child.visits for child in tried.values())
    mixed = node.value[node.seat]
    if tried:
        share = sum(node.prior[action] for action in tried)
        mixed = (mixed + total * sum(node.prior[a] * node.q(a) for a in tried) / share) / (1 + total)
    scale = 50 + max((child.visits for child in tried.values()), default=0)
    logits = {
        action: math.log(prior) + scale * ((node.q(action) if action in tried else mixed) + 1) / 2
        for action, prior in node.prior.items()
    }
    weight = {action: math.exp(logit - max(logits.values())) for action, logit in logits.items()}
    return {action: each / sum(weight.values()) for action, each in weight.items()}


def in_proportion(node: Node) -> int:
    policy = improved(node)
    visits = {action: child.visits for action, child in node.children.items()}
    return max(policy, key=lambda action: policy[action] - visits.get(action, 0) / (1 + sum(visits.values())))


def gumbel_below(actions: list[int]) -> Any:
    """At the root these actions in turn, below as the paper has it."""

    def choose(node: Node) -> int:
        return actions.pop(0) if getattr(node, "root", False) else in_proportion(node)

    return choose


def opinion(game: Game) -> Evaluator:
    rows = np.arange(1, int(np.prod(game.spec.obs_shape)) + 1)
    weights = np.sin(np.outer(np.arange(1, game.spec.actions + 2), rows))

    def evaluate(positions: Positions, seeds: Array) -> Estimate:
        sums = np.sin((game.observe(positions).reshape(len(positions), 1, -1) * weights).sum(2))
        return Estimate(2 * sums[:, 1:].astype(np.float32), np.stack([sums[:, 0], -sums[:, 0]], 1))

    return evaluate


@pytest.mark.parametrize("simulations", [1, 2, 50, 400])
def test_puct_grows_the_textbook_tree(simulations: int) -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    root = Node(game, game.initial(1), opinion(game))
    for _ in range(simulations + 1):
        root.simulate(puct)
    search = Search(dynamics_of(game), config.SearchOptions(selection="puct", simulations=simulations))
    result = search.run(game.initial(1), opinion(game), np.zeros(1, np.uint64))
    assert result.visits[0].tolist() == [root.children[a].visits if a in root.children else 0 for a in range(4)]
    assert result.value[0] == pytest.approx(root.total / root.visits)
    assert result.q[0] == pytest.approx([root.q(a) if a in root.children else 0 for a in range(4)])
    line, node = search.principal_variation(0), root
    for action in line:
        assert node.children[action].visits == max(child.visits for child in node.children.values())
        node = node.children[action]
    assert not node.children


def test_gumbel_grows_the_textbook_tree_below_the_root() -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    search = Search(dynamics_of(game), config.SearchOptions(selection="gumbel", simulations=200, considered=1))
    result = search.run(game.initial(1), opinion(game), np.zeros(1, np.uint64))
    action = int(result.visits[0].argmax())
    assert result.visits[0, action] == 200
    root = Node(game, game.initial(1), opinion(game))
    root.root = True  # type: ignore[attr-defined]
    choose = gumbel_below([action] * 200)
    for _ in range(201):
        root.simulate(choose)
    assert result.value[0] == pytest.approx(root.total / root.visits)
    assert result.policy[0] == pytest.approx(list(improved(root).values()))


def test_puct_by_hand() -> None:
    # Seat 0: a or b. After a, seat 1 takes 0.5 for seat 0 or -0.5; b ends the game with 0. Evaluator: nobody is ahead,
    # actions equally likely. c = 1 and, with so large a base, stays 1; untried actions count as 0.
    #   1: a and b tie, a comes first: worth 0 by the evaluator.       root 2 visits, 0
    #   2: a 0 + .5 sqrt2 / 2 = .35; b .5 sqrt2 = .71: b ends at 0.    root 3 visits, 0
    #   3: a .5 sqrt3 / 2 = .43, b the same: a. There both actions tie: the first, 0.5 for seat 0, -0.5 for seat 1.
    #   4: a .5 / 2 + .5 * 2 / 3 = .58; b .5 * 2 / 2 = .5: a. There seat 1 has -.5 + .5 sqrt2 / 2 = -.15 with the first,
    #      .5 sqrt2 = .71 with the second: -0.5 for seat 0. a: 0, 0.5, -0.5 in 3 visits.
    #   5: a .5 sqrt5 / 4 = .28; b .5 sqrt5 / 2 = .56: b.
    game: Any = TreeGame((0, [(1, [(0.5, -0.5), (-0.5, 0.5)]), (0.0, 0.0)]), (-1.0, 1.0))
    visits, values = [], []
    for simulations in range(1, 6):
        options = config.SearchOptions(
            selection="puct", simulations=simulations, puct_init=1.0, puct_base=1e12, unvisited="zero"
        )
        result = Search(dynamics_of(game), options).run(game.initial(1), uniform(game), np.zeros(1, np.uint64))
        visits.append(result.visits[0].tolist())
        values.append(result.value[0, 0])
    assert visits == [[1, 0], [1, 1], [2, 1], [3, 1], [3, 2]]
    assert values == pytest.approx([0, 0, 0.5 / 4, 0, 0])


def test_ucb1_by_hand() -> None:
    # One choice of seat 0, worth .2, .4 and .3; c = 1. Each is tried once, and then Q + sqrt(log N / n) decides:
    #   N = 4 (with the root's own visit): sqrt(log 4) = 1.18 for all: the best, .4.
    #   N = 5: sqrt(log 5) = 1.27: .2 -> 1.47, .4 -> .4 + .90 = 1.30, .3 -> 1.57: the third.
    #   N = 6: sqrt(log 6) = 1.34: .2 -> 1.54, .4 -> 1.35, .3 -> 1.25: the first.
    game: Any = TreeGame((0, [(0.2, 0.0), (0.4, 0.0), (0.3, 0.0)]), (-1.0, 1.0))
    visits = []
    for simulations in range(3, 7):
        search = Search(dynamics_of(game), config.SearchOptions(selection="ucb1", simulations=simulations, ucb_c=1.0))
        visits.append(search.run(game.initial(1), uniform(game), np.zeros(1, np.uint64)).visits[0].tolist())
    assert visits == [[1, 1, 1], [1, 2, 1], [1, 2, 2], [2, 2, 2]]


@pytest.mark.parametrize("seats", [1, 2, 3])
def test_the_textbook_tree_of_any_seats(seats: int) -> None:
    rng = np.random.default_rng(seats)
    for _ in range(10):
        game: Any = TreeGame(random_tree(rng, seats, 4), (-1.0, 1.0))
        if game.seats[0] < 0:
            continue
        root = Node(game, game.initial(1), uniform(game))
        for _ in range(101):
            root.simulate(puct)
        search = Search(dynamics_of(game), config.SearchOptions(selection="puct", simulations=100))
        result = search.run(game.initial(1), uniform(game), np.zeros(1, np.uint64))
        assert result.value[0] == pytest.approx(root.total / root.visits)
        for action, child in root.children.items():
            assert result.visits[0, action] == child.visits

"""Games that are written down as trees, for tests: any seats, any payoffs, chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.api import CHANCE, TERMINAL, Array, GameSpec, IllegalAction, Positions

Shape = Any  # a tuple of payoffs (floats), or (seat, [subtrees]), or (CHANCE, [(probability, subtree), ...])


class TreeGame:
    """`envs.api.Game` of a tree. Action i leads to subtree i; a position is a node's number, int64 [n, 1]."""

    def __init__(self, shape: Shape, utility: tuple[float, float] = (-np.inf, np.inf)) -> None:
        self.seats: list[int] = []
        self.below: list[list[int]] = []
        self.odds: list[list[float]] = []
        self.payoffs: list[tuple[float, ...]] = []
        self._add(shape)
        count = max(map(len, self.payoffs))
        self.payoffs = [payoff or (0.0,) * count for payoff in self.payoffs]
        luck = CHANCE in self.seats
        actions = max(map(len, self.below))
        self.spec = GameSpec("tree", count, actions, (0,), 99, False, luck, True, utility)

    def _add(self, shape: Shape) -> int:
        node = len(self.seats)
        over = not isinstance(shape[-1], list)
        self.seats.append(TERMINAL if over else shape[0])
        self.payoffs.append(tuple(map(float, shape)) if over else ())
        self.below.append([])
        self.odds.append([])
        for part in [] if over else shape[1]:
            odds, subtree = part if shape[0] == CHANCE else (0.0, part)
            self.odds[node].append(odds)
            self.below[node].append(self._add(subtree))
        return node

    def initial(self, n: int) -> Positions:
        return np.zeros((n, 1), np.int64)

    def step(self, positions: Positions, actions: Array) -> Positions:
        following = positions.copy()
        for row, (node, action) in enumerate(zip(positions[:, 0], actions, strict=True)):
            if not 0 <= action < len(self.below[node]):
                raise IllegalAction(f"row {row}: {action}")
            following[row] = self.below[node][action]
        return following

    def seat(self, positions: Positions) -> Array:
        return np.array([self.seats[node] for node in positions[:, 0]], np.int64)

    def legal(self, positions: Positions) -> Array:
        counts = np.array([len(self.below[node]) for node in positions[:, 0]], np.int64)
        return np.arange(self.spec.actions) < counts[:, None]

    def chance(self, positions: Positions) -> Array:
        odds = np.zeros((len(positions), self.spec.actions))
        for row, node in enumerate(positions[:, 0]):
            odds[row, : len(self.odds[node])] = self.odds[node]
        return odds

    def returns(self, positions: Positions) -> Array:
        return np.array([self.payoffs[node] for node in positions[:, 0]]).reshape(len(positions), self.spec.seats)

    def observe(self, positions: Positions, seat: Array | None = None) -> Array:
        return np.zeros((len(positions), 0), np.float32)

    def information_state(self, positions: Positions, seat: Array | None = None) -> list[str]:
        return [str(node) for node in positions[:, 0]]

    def value(self, node: int = 0) -> Array:
        """Backward induction: everybody maximizes their own payoff, chance averages."""
        if self.seats[node] == TERMINAL:
            return np.array(self.payoffs[node])
        values = [self.value(child) for child in self.below[node]]
        if self.seats[node] == CHANCE:
            return np.average(values, axis=0, weights=self.odds[node])
        return max(values, key=lambda value: value[self.seats[node]])


def random_tree(rng: np.random.Generator, seats: int, depth: int, luck: bool = False) -> Shape:
    """All payoffs differ, so that backward induction has one answer."""
    if depth == 0 or rng.random() < 0.1:
        return tuple(rng.uniform(-1, 1, seats))
    width = int(rng.integers(1, 4))
    subtrees = [random_tree(rng, seats, depth - 1, luck) for _ in range(width)]
    if luck and rng.random() < 0.4:
        return CHANCE, list(zip(rng.dirichlet(np.ones(width)), subtrees, strict=True))
    return int(rng.integers(seats)), subtrees


def bandit(values: Array) -> TreeGame:
    """One choice of seat 0, which then has values[action]."""
    return TreeGame((0, [(value, -value) for value in values]), (-1.0, 1.0))

"""External sampling, many traversals in lockstep: one call of the policy for all positions of a level.

One seat, the traverser, tries every action and passes the expectation under its own policy up; chance and the other
seats are sampled at every visit (Lanctot et al. 2009, https://papers.nips.cc/paper/3713; algorithm 2 of
Brown et al. 2019, https://arxiv.org/abs/1811.00164). The advantages at an information state, summed over its visits and
divided by the number of traversals, are unbiased for its counterfactual regrets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from agents.maths.explore import draw
from envs.api import CHANCE, TERMINAL, Array, Game, Positions

Policy = Callable[[Array, Array, Array], Array]  # known [n, F], legal [n, A], seat [n] -> probabilities [n, A]


class Advantages(NamedTuple):
    """What the traverser's actions brought at its n decisions, minus what its policy brought."""

    known: Array  # [n, F] float32, Game.information_tensor
    legal: Array  # [n, A] bool
    advantage: Array  # [n, A] float32, 0 where not legal
    iteration: Array  # [n] float32, from 1


class Strategies(NamedTuple):
    """How the other seats played at their n decisions."""

    known: Array  # [n, F] float32
    legal: Array  # [n, A] bool
    probability: Array  # [n, A] float32
    iteration: Array  # [n] float32


class Traversals(NamedTuple):
    advantages: Advantages
    strategies: Strategies
    traverser: int
    nodes: int  # positions that were visited


class _Level(NamedTuple):
    """n positions of the same depth. Their m successors, in the order of `parent`, are the next level."""

    result: Array  # [n] float64, the traverser's return where the game is over, else 0
    weight: Array  # [n, A] float64: the traverser's policy at its own decisions, 1 for what was sampled elsewhere
    parent: Array  # [m] int64
    action: Array  # [m] int64
    known: Array  # [d, F] float32, at the d decisions
    legal: Array  # [d, A]
    probability: Array  # [d, A] float64
    decision: Array  # [d] int64, the rows that are decisions
    own: Array  # [d] bool, the traverser's


def turn(number: int, seats: int) -> tuple[int, int]:
    """The iteration, from 1, and the seat whose turn it is in a round, from 0."""
    iteration, seat = divmod(number, seats)
    return iteration + 1, seat


def traverse(
    game: Game, traverser: int, count: int, iteration: int, policy: Policy, rng: np.random.Generator
) -> Traversals:
    """`count` traversals from the beginning of the game."""
    levels: list[_Level] = []
    positions, nodes = game.initial(count), 0
    while len(positions):
        level = _visit(game, positions, traverser, policy, rng)
        levels.append(level)
        nodes += len(positions)
        positions = game.step(positions[level.parent], level.action)
    value = np.zeros(0)
    advantages: list[Array] = []
    for level in reversed(levels):
        worth = np.zeros(level.weight.shape)  # [n, A] of each action that was tried
        worth[level.parent, level.action] = value
        value = level.result + expectation(level.weight, worth)
        own = level.decision[level.own]
        advantages.append((worth[own] - value[own, None]) * level.legal[level.own])
    advantages.reverse()

    def column(own: bool, values: list[Array]) -> tuple[Array, Array, Array, Array]:
        chosen = [level.own == own for level in levels]
        known = np.concatenate([level.known[rows] for level, rows in zip(levels, chosen, strict=True)])
        legal = np.concatenate([level.legal[rows] for level, rows in zip(levels, chosen, strict=True)])
        return known, legal, np.concatenate(values).astype(np.float32), np.full(len(known), iteration, np.float32)

    played = [level.probability[~level.own] for level in levels]
    return Traversals(Advantages(*column(True, advantages)), Strategies(*column(False, played)), traverser, nodes)


def expectation(weight: Array, worth: Array) -> Array:
    """What is passed up: [n] from the weights and the worths of actions [n, A]."""
    mean: Array = (weight * worth).sum(1)
    return mean


def _visit(game: Game, positions: Positions, traverser: int, policy: Policy, rng: np.random.Generator) -> _Level:
    """Decide what is tried in each of these positions."""
    seat, legal = game.seat(positions), game.legal(positions)
    result = np.zeros(len(seat))
    over = np.flatnonzero(seat == TERMINAL)
    result[over] = game.returns(positions[over])[:, traverser]
    weight = np.zeros(legal.shape)
    lucky = np.flatnonzero(seat == CHANCE)
    if len(lucky):
        weight[lucky] = game.chance(positions[lucky])
    decision = np.flatnonzero(seat >= 0)
    known = game.information_tensor(positions[decision], seat[decision])
    weight[decision] = probability = once_each(policy, known, legal[decision], seat[decision])
    tried = (seat == traverser)[:, None] & legal
    sampled = np.flatnonzero((seat != traverser) & (seat != TERMINAL))
    drawn = draw(weight[sampled], rng.random(len(sampled)))
    tried[sampled, drawn] = True
    weight[sampled] = 0.0
    weight[sampled, drawn] = 1.0
    parent, action = np.nonzero(tried)
    own = seat[decision] == traverser
    return _Level(result, weight, parent, action, known, legal[decision], probability, decision, own)


def once_each(policy: Policy, known: Array, legal: Array, seat: Array) -> Array:
    """The policy [n, A], asked once for each different row of `known`."""
    if not len(known):
        return np.zeros(legal.shape)
    rows = np.ascontiguousarray(known).view(np.dtype((np.void, known.dtype.itemsize * known.shape[1]))).ravel()
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    chosen: Array = policy(known[first], legal[first], seat[first])[which]
    return chosen


def regret_matching(advantage: Array, legal: Array) -> Array:
    """In proportion to what is positive; where nothing is, the best legal action (equals share). [n, A] float64."""
    positive = np.where(legal, advantage, 0.0).clip(min=0.0)
    best = np.where(legal, advantage, -np.inf)
    best = best == best.max(1, keepdims=True)
    weight = np.where((positive > 0).any(1, keepdims=True), positive, best)
    policy: Array = weight / weight.sum(1, keepdims=True)
    return policy

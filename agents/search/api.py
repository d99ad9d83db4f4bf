"""What a search is given and what it gives: estimates of leaves, and results.

search = Search(make_game("connect_four"), options)          # agents.search.search, agents.search.config
result = search.run(positions, evaluator, seeds)             # positions [B], seeds uint64 [B]
positions = game.step(positions, result.action)
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from envs.api import Array, Positions


class Estimate(NamedTuple):
    """What an evaluator says about n positions in which a seat is to move."""

    logits: Array  # [n, A] of the policy of the seat to move, up to a constant; what is not legal is not read
    values: Array  # [n, P] the return that each seat can expect


class Evaluator(Protocol):
    """Any callable that estimates leaves: a network, a solver, a rule of thumb. See `agents.search.evaluators`."""

    def __call__(self, positions: Positions, seeds: Array) -> Estimate:
        """n >= 1 positions, and uint64 [n] for those that need luck: each row's own, whatever stands beside it."""
        ...


class Result(NamedTuple):
    """What a search has found in B rows. Actions that are not legal have 0 everywhere."""

    action: Array  # [B] int64: the best
    visits: Array  # [B, A] int32: of the root's actions; those of a tree that was kept are counted too
    policy: Array  # [B, A] float64: gumbel's improved policy; else visits in proportion, priors where there are none
    value: Array  # [B, P] float64: what each seat can expect; exact where proven
    q: Array  # [B, A] float64: what the seat to move can expect of an action; 0 where it was not visited
    prior: Array  # [B, A] float64: the root's priors as the search used them, noise included
    simulations: Array  # [B] int32: made by this search
    proven: Array  # [B] bool: the root is solved
    solved: Array  # [B, A] bool: the action is solved, and q is exact

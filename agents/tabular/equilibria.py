"""What rational players may do in a matrix game: best responses, domination, Nash and correlated equilibria.

A profile is one strategy for each player, probabilities [A_p]. Linear programs are solved by HiGHS, through scipy.
Payoffs are compared up to `TOLERANCE` times the range of the player's payoffs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from envs.api import Array
from envs.tabular.matrix_games import MatrixGame

Profile = Sequence[Array]
TOLERANCE = 1e-9


# Values and best responses -------------------------------------------------------------------------------------------


def action_values(game: MatrixGame, profile: Profile, player: int) -> Array:
    """Expected payoff of each action of `player`, [A_p], if the others follow the profile."""
    strategies = _checked(game, profile)
    values = game.payoffs[player]
    for other in reversed(range(game.players)):  # from the last axis on, so that the numbers of the others stay
        if other != player:
            values = np.tensordot(values, strategies[other], axes=(other, 0))
    return values


def expected_payoffs(game: MatrixGame, profile: Profile) -> Array:
    """What each player gets on average, [P], if all follow the profile."""
    return np.array([action_values(game, profile, p) @ profile[p] for p in range(game.players)])


def best_responses(game: MatrixGame, profile: Profile, player: int) -> Array:
    """The actions of `player`, int64 [1 to A_p], that do best against the others' strategies."""
    values = action_values(game, profile, player)
    return np.flatnonzero(values >= values.max() - _slack(game.payoffs[player]))


def nash_conv(game: MatrixGame, profile: Profile) -> float:
    """What the players could gain by best responses, each alone, summed: 0 exactly at the Nash equilibria.

    https://arxiv.org/abs/1711.00832.
    """
    best = sum(action_values(game, profile, p).max() for p in range(game.players))
    return float(best - expected_payoffs(game, profile).sum())


def exploitability(game: MatrixGame, profile: Profile) -> float:
    """NashConv / 2, in a zero-sum game of two: what is lost on average, over both seats, to a best response.

    Raises ValueError for other games, where NashConv is the measure.
    """
    return nash_conv(_zero_sum(game), profile) / 2


def pure_equilibria(game: MatrixGame) -> list[tuple[int, ...]]:
    """Every Nash equilibrium in which nobody mixes, as one action for each player."""
    stable = np.ones(game.counts, np.bool_)
    for p, payoff in enumerate(game.payoffs):
        stable &= payoff >= payoff.max(axis=p, keepdims=True) - _slack(payoff)
    return [tuple(map(int, actions)) for actions in np.argwhere(stable)]


# Domination ----------------------------------------------------------------------------------------------------------


class Elimination(NamedTuple):
    """What is left, and what went when."""

    game: MatrixGame
    kept: tuple[tuple[int, ...], ...]  # for each player, the actions of the first game that are left
    rounds: tuple[tuple[tuple[int, int], ...], ...]  # for each round, (player, action) of what was removed


def eliminate_dominated(game: MatrixGame, weakly: bool = False) -> Elimination:
    """Remove dominated actions, also those dominated only by a mixture of others, until there are none.

    Each round removes all that are dominated, of all players. For strict domination the order makes no
    difference; with `weakly` another order may leave another game, and Nash equilibria may get lost.
    The tests are linear programs: Conitzer & Sandholm 2005, "Complexity of (iterated) dominance".
    """
    kept = [tuple(range(count)) for count in game.counts]
    rounds: list[tuple[tuple[int, int], ...]] = []
    while True:
        left = game.payoffs[np.ix_(range(game.players), *kept)]
        out = [
            (p, action)
            for p, actions in enumerate(kept)
            for index, action in enumerate(actions)
            if _dominated(_own_actions_first(_unit(left[p]), p), index, weakly)
        ]
        if not out:
            return Elimination(MatrixGame(left), tuple(kept), tuple(rounds))
        rounds.append(tuple(out))
        kept = [tuple(a for a in actions if (p, a) not in out) for p, actions in enumerate(kept)]


def _dominated(payoff: Array, action: int, weakly: bool) -> bool:
    """Is there a mixture of the rows of `payoff` [A, outcomes], in [0, 1], that beats row `action`?

    Strictly: in every outcome. Weakly: never worse, and better in the sum over outcomes.
    """
    margin = payoff - payoff[action]
    if weakly:
        mixture = _minimize(-margin.sum(1), A_ub=-margin.T, b_ub=np.zeros(margin.shape[1]), **_simplex(len(margin)))
        return bool(mixture @ margin.sum(1) > TOLERANCE)
    value, _ = _maximin(margin)
    return value > TOLERANCE


# Zero-sum games and guarantees ---------------------------------------------------------------------------------------


class SaddlePoint(NamedTuple):
    value: float  # what the first player gets
    profile: tuple[Array, Array]


def maximin(game: MatrixGame, player: int) -> tuple[float, Array]:
    """The most that `player` can guarantee, whatever the others do together, and a strategy [A_p] that does."""
    return _maximin(_own_actions_first(game.payoffs[player], player))


def solve_zero_sum(game: MatrixGame) -> SaddlePoint:
    """Value and one equilibrium of a zero-sum game of two. Raises ValueError for other games.

    By the minimax theorem (von Neumann 1928) these are the two maximin strategies.
    """
    value, row = maximin(_zero_sum(game), 0)
    _, column = maximin(game, 1)
    return SaddlePoint(value, (row, column))


def _maximin(payoff: Array) -> tuple[float, Array]:
    """max over mixtures x of min over columns of x @ payoff, [A, outcomes]: the value, and x."""
    low = payoff.min()
    spread = payoff.max() - low or 1.0
    scaled = (payoff - low) / spread
    rows, columns = payoff.shape
    found = _minimize(
        np.append(np.zeros(rows), -1.0),  # the last variable is the value, which is in [0, 1] too
        A_ub=np.hstack([-scaled.T, np.ones((columns, 1))]),
        b_ub=np.zeros(columns),
        A_eq=np.append(np.ones(rows), 0.0)[None],
        b_eq=np.ones(1),
    )
    strategy = _distribution(found[:-1])
    return float((strategy @ payoff).min()), strategy


# All equilibria of two players ---------------------------------------------------------------------------------------


class Enumeration(NamedTuple):
    equilibria: list[tuple[Array, Array]]
    degenerate: bool  # if True there may be more, even infinitely many


def support_enumeration(game: MatrixGame) -> Enumeration:
    """Every equilibrium of a non-degenerate game of two, by trying each pair of supports of one size.

    von Stengel 2007, "Equilibrium computation for two-player games in strategic and extensive form", chapter 3 of
    Algorithmic Game Theory. A game is degenerate if some strategy with k actions in its support has more than k
    best responses. Then those that are found are still equilibria, but neither all nor representative ones.
    Work grows like binomial(A_1 + A_2, A_1). Raises ValueError for more or fewer than two players.
    """
    if game.players != 2:
        raise ValueError(f"support enumeration takes two players, not {game.players}; see pure_equilibria")
    row, column = (_unit(payoff) for payoff in game.payoffs)
    equilibria = []
    for size in range(1, min(game.counts) + 1):
        for mine, theirs in _supports(game.counts, size, size):
            x = _indifferent(column.T, theirs, mine)  # my mixture makes them indifferent, and theirs me
            y = None if x is None else _indifferent(row, mine, theirs)
            if x is not None and y is not None and x[mine].min() > TOLERANCE and y[theirs].min() > TOLERANCE:
                equilibria.append((x, y))
    return Enumeration(equilibria, _degenerate(column.T) or _degenerate(row))


def _indifferent(payoff: Array, responses: list[int], support: list[int]) -> Array | None:
    """The one strategy y on `support` to which all of `responses` are best, if there is one; payoff [A, len(y)].

    Solves payoff[responses, support] @ y = v, sum(y) = 1 for (y, v). None if y isn't unique, isn't a
    distribution, or has a better response.
    """
    equations = np.zeros((len(responses) + 1, len(support) + 1))
    equations[:-1, :-1] = payoff[np.ix_(responses, support)]
    equations[:-1, -1] = -1.0
    equations[-1, :-1] = 1.0
    right = np.append(np.zeros(len(responses)), 1.0)
    solution, _, rank, _ = np.linalg.lstsq(equations, right, rcond=1e-12)
    if rank <= len(support) or np.abs(equations @ solution - right).max() > TOLERANCE:
        return None
    strategy, value = np.zeros(payoff.shape[1]), solution[-1]
    strategy[support] = solution[:-1]
    if strategy.min() < -TOLERANCE or (payoff @ strategy).max() > value + TOLERANCE:
        return None
    return _distribution(strategy)


def _degenerate(payoff: Array) -> bool:
    """Has a strategy of k actions, of the one who chooses the column of `payoff`, more than k best responses?

    The strategies on a support to which some responses are best are a polytope. If there are any then there is
    a vertex, which its best responses determine, on that support or a smaller one: these are looked for.
    """
    rows, columns = payoff.shape
    return any(
        _indifferent(payoff, responses, support) is not None
        for size in range(1, min(rows - 1, columns) + 1)
        for responses, support in _supports((rows, columns), size + 1, size)
    )


def _supports(counts: tuple[int, ...], first: int, second: int) -> Iterator[tuple[list[int], list[int]]]:
    for one in combinations(range(counts[0]), first):
        for two in combinations(range(counts[1]), second):
            yield list(one), list(two)


# Correlated play -----------------------------------------------------------------------------------------------------


def correlated_equilibrium(game: MatrixGame) -> Array:
    """A correlated equilibrium with the largest sum of payoffs: probabilities [A_1, ..., A_P] of joint actions.

    Who is told his part of a drawn joint action, and no more, does best to play it (Aumann 1974).
    """
    gains = []
    for p, payoff in enumerate(game.payoffs):
        values = np.moveaxis(payoff, p, 0)
        for told, other in _pairs(game.counts[p]):
            gain = np.zeros_like(values)
            gain[told] = values[other] - values[told]
            gains.append(np.moveaxis(gain, 0, p).ravel() / (np.ptp(payoff) or 1.0))
    limits: dict[str, Any] = dict(A_ub=np.array(gains), b_ub=np.zeros(len(gains))) if gains else {}
    found = _minimize(-game.payoffs.sum(0).ravel(), **limits, **_simplex(game.payoffs[0].size))
    return _distribution(found).reshape(game.counts)


def swap_gains(game: MatrixGame, joint: Array) -> Array:
    """What each player, [P], gains by the best reply to each of his recommendations: 0 at correlated equilibria."""
    gains = []
    for p, payoff in enumerate(game.payoffs):
        told, values = _own_actions_first(joint, p), _own_actions_first(payoff, p)
        replies = told @ values.T  # [told, played]
        gains.append((replies.max(1) - replies.diagonal()).sum())
    return np.array(gains)


def coarse_gains(game: MatrixGame, joint: Array) -> Array:
    """What each player, [P], gains by one fixed action instead of his part of `joint`, probabilities [A_1, ..., A_P].

    Nobody gains at a coarse correlated equilibrium. Fixed actions can also lose: the result may be negative.
    """
    gains = []
    for p, payoff in enumerate(game.payoffs):
        told, values = _own_actions_first(joint, p), _own_actions_first(payoff, p)
        gains.append((values @ told.sum(0)).max() - (told * values).sum())
    return np.array(gains)


# Parts ---------------------------------------------------------------------------------------------------------------


def _minimize(objective: Array, **constraints: Any) -> Array:
    """An x >= 0 that makes objective @ x smallest, within the constraints."""
    from scipy.optimize import linprog

    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    result = linprog(objective, **constraints, method="highs", options=tight)
    if result.x is None:
        raise ArithmeticError(f"the linear program was not solved: {result.message}")
    found: Array = result.x
    return found


def _simplex(size: int) -> dict[str, Any]:
    return {"A_eq": np.ones((1, size)), "b_eq": np.ones(1)}


def _distribution(x: Array) -> Array:
    """Without the solver's rounding errors."""
    positive = np.where(x > 1e-12, x, 0.0)
    return positive / positive.sum()


def _own_actions_first(array: Array, player: int) -> Array:
    """[A_1, ..., A_P] as [A_p, all that the others may do]."""
    return np.moveaxis(array, player, 0).reshape(array.shape[player], -1)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(count) for b in range(count) if a != b)


def _unit(payoff: Array) -> Array:
    """Moved and stretched to [0, 1], which changes no equilibrium."""
    return (payoff - payoff.min()) / (np.ptp(payoff) or 1.0)


def _slack(payoff: Array) -> float:
    return TOLERANCE * float(np.ptp(payoff) or 1.0)


def _zero_sum(game: MatrixGame) -> MatrixGame:
    if not game.two_player_zero_sum:
        raise ValueError("this takes a zero-sum game of two players; for others see support_enumeration and nash_conv")
    return game


def _checked(game: MatrixGame, profile: Profile) -> Profile:
    shapes = [np.shape(strategy) for strategy in profile]
    if shapes != [(count,) for count in game.counts]:
        raise ValueError(f"a profile has one strategy for each player, of sizes {game.counts}, but found {shapes}")
    for strategy in profile:
        if np.min(strategy) < 0 or abs(np.sum(strategy) - 1) > 1e-6:
            raise ValueError(f"a strategy is a distribution, but found {strategy}")
    return profile

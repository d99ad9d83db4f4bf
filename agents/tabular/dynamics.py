"""Learning to play a matrix game, round after round: each rule updates all players at the same time.

Every function plays `rounds` rounds from the strategies `start` (one [A_p] for each player; uniform if None) and
returns a `Play`. The payoff vector of a player is what each of his actions is worth against what the others play.

Where there is an `rng`, an action is drawn from each strategy, the trajectory holds the actions played (one-hot),
and what is learned from is the payoff against them; without one, players meet each other's mixed strategies.
The same start and the same generator state give the same play.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.api import Array
from envs.tabular.matrix_games import MatrixGame

Profile = Sequence[Array]


class Trajectories(NamedTuple):
    average: tuple[Array, ...]  # for each player [A_p], the mean of the trajectory over rounds (weights: see the rule)
    trajectory: tuple[Array, ...]  # for each player [rounds, A_p], what was played


def joint_play(trajectory: Sequence[Array]) -> Array:
    """How often each joint action was played, [A_1, ..., A_P]: the mean over rounds of the strategies' product.

    This can be a coarse correlated equilibrium where the product of the averages is nothing of the kind.
    """
    axes = ascii_lowercase[: len(trajectory)]
    product = ",".join(f"z{axis}" for axis in axes) + "->" + axes
    return np.einsum(product, *trajectory, optimize=True) / len(trajectory[0])


def fictitious_play(game: MatrixGame, rounds: int, start: Profile | None = None) -> Trajectories:
    """Everybody plays a best response to the others' average strategies so far. Brown 1951, Robinson 1951.

    Of several best responses the first is played. The averages converge in zero-sum games of two (Robinson), but
    not in every game (Shapley 1964). With more than two players the others are taken to be independent.
    """
    payoffs, actions, first = _padded(game, start, rounds)
    return _play(game, _fictitious(payoffs, actions, first, np.array(game.counts), rounds))


def regret_matching(
    game: MatrixGame,
    rounds: int,
    start: Profile | None = None,
    rng: np.random.Generator | None = None,
    plus: bool = False,
) -> Trajectories:
    """Everybody plays each action in proportion to its positive regret. Hart & Mas-Colell 2000.

    The regret of an action is what it would have got more, over all rounds; if none is positive the strategy is
    uniform. Joint play approaches the coarse correlated equilibria as 1 / sqrt(rounds), and with it the averages
    in a zero-sum game of two the equilibria. `plus` is regret matching+: sums are cut off at 0 in each round, and
    the average weighs round t by t (Tammelin 2014, https://arxiv.org/abs/1407.5042).
    """
    payoffs, actions, first = _padded(game, start, rounds)
    trajectory = _regret(payoffs, actions, first, _uniforms(rng, rounds, game), np.array(game.counts), rounds, plus)
    return _play(game, trajectory, np.arange(1.0, rounds + 1) if plus else None)


def multiplicative_weights(
    game: MatrixGame,
    rounds: int,
    step: float,
    start: Profile | None = None,
    rng: np.random.Generator | None = None,
) -> Trajectories:
    """Everybody multiplies the weight of each action by exp(step * payoff). Freund & Schapire 1999, as Hedge.

    If payoffs span d, the regret per round is at most log(A) / (step * rounds) + step * d**2 / 8.
    An action that `start` never plays is never played.
    """
    if step <= 0:
        raise ValueError(f"step must be positive, but is {step}")
    payoffs, actions, first = _padded(game, start, rounds)
    return _play(game, _hedge(payoffs, actions, first, _uniforms(rng, rounds, game), rounds, float(step)))


def replicator(game: MatrixGame, rounds: int, step: float, start: Profile) -> Trajectories:
    """dx_a/dt = x_a * (payoff of a - mean payoff), for all players at once. Taylor & Jonker 1978, two populations.

    One round is `step` of time, by the classical Runge-Kutta rule on log x, which keeps every x positive. A
    uniform start is a rest point of many games, such as rock-paper-scissors: hence a start is asked for.
    """
    if step <= 0:
        raise ValueError(f"step must be positive, but is {step}")
    payoffs, actions, first = _padded(game, start, rounds)
    return _play(game, _replicate(payoffs, actions, first, rounds, float(step)))


# Kernels: payoffs [P, N] of the N joint actions [N, P]; strategies [P, A], 0 where a player has fewer than A ----------


@njit(cache=True)
def _values(payoffs: Array, actions: Array, strategies: Array) -> Array:
    """What each action is worth, [P, A], against the strategies of the others."""
    values = np.zeros_like(strategies)
    for n in range(actions.shape[0]):
        for p in range(actions.shape[1]):
            weight = payoffs[p, n]
            for other in range(actions.shape[1]):
                if other != p:
                    weight *= strategies[other, actions[n, other]]
            values[p, actions[n, p]] += weight
    return values


@njit(cache=True)
def _played(strategies: Array, uniforms: Array, t: int) -> Array:
    """The strategies themselves, or an action drawn from each, one-hot, where there are uniforms [rounds, P]."""
    if len(uniforms) == 0:
        return strategies
    drawn = np.zeros_like(strategies)
    for p in range(strategies.shape[0]):
        total, action = 0.0, 0
        for a in range(strategies.shape[1]):
            if strategies[p, a] > 0.0:
                total += strategies[p, a]
                action = a
                if uniforms[t, p] < total:
                    break
        drawn[p, action] = 1.0
    return drawn


@njit(cache=True)
def _fictitious(payoffs: Array, actions: Array, first: Array, counts: Array, rounds: int) -> Array:
    trajectory = np.zeros((rounds, first.shape[0], first.shape[1]))
    trajectory[0] = first
    total = first.copy()  # not the average: it has the same best responses, and whole numbers stay exact
    for t in range(1, rounds):
        values = _values(payoffs, actions, total)
        for p in range(first.shape[0]):
            trajectory[t, p, np.argmax(values[p, : counts[p]])] = 1.0
        total += trajectory[t]
    return trajectory


@njit(cache=True)
def _regret(
    payoffs: Array, actions: Array, first: Array, uniforms: Array, counts: Array, rounds: int, plus: bool
) -> Array:
    trajectory = np.empty((rounds, first.shape[0], first.shape[1]))
    strategies, regrets = first.copy(), np.zeros_like(first)
    for t in range(rounds):
        played = _played(strategies, uniforms, t)
        trajectory[t] = played
        values = _values(payoffs, actions, played)
        for p in range(first.shape[0]):
            regrets[p, : counts[p]] += values[p, : counts[p]] - (values[p] * played[p]).sum()
            if plus:
                regrets[p] = np.maximum(regrets[p], 0.0)
            positive = np.maximum(regrets[p], 0.0)
            total = positive.sum()
            if total > 0.0:
                strategies[p] = positive / total
            else:
                strategies[p, : counts[p]] = 1.0 / counts[p]
    return trajectory


@njit(cache=True)
def _softmax(logits: Array) -> Array:
    result = np.empty_like(logits)
    for p in range(logits.shape[0]):
        result[p] = np.exp(logits[p] - logits[p].max())
        result[p] /= result[p].sum()
    return result


@njit(cache=True)
def _hedge(payoffs: Array, actions: Array, first: Array, uniforms: Array, rounds: int, step: float) -> Array:
    trajectory = np.empty((rounds, first.shape[0], first.shape[1]))
    logits = np.log(first)  # -inf for what is never played, and stays so
    for t in range(rounds):
        trajectory[t] = _played(_softmax(logits), uniforms, t)
        logits += step * _values(payoffs, actions, trajectory[t])
    return trajectory


@njit(cache=True)
def _replicate(payoffs: Array, actions: Array, first: Array, rounds: int, step: float) -> Array:
    trajectory = np.empty((rounds, first.shape[0], first.shape[1]))
    logits = np.log(first)  # d(log x_a - log x_b)/dt is the difference of the two payoffs
    for t in range(rounds):
        trajectory[t] = _softmax(logits)
        k1 = _values(payoffs, actions, trajectory[t])
        k2 = _values(payoffs, actions, _softmax(logits + 0.5 * step * k1))
        k3 = _values(payoffs, actions, _softmax(logits + 0.5 * step * k2))
        k4 = _values(payoffs, actions, _softmax(logits + step * k3))
        logits += step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return trajectory


# Between games and kernels -------------------------------------------------------------------------------------------


def _padded(game: MatrixGame, start: Profile | None, rounds: int) -> tuple[Array, Array, Array]:
    """Payoffs [P, N], joint actions int64 [N, P], and the first strategies [P, A]."""
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, but is {rounds}")
    if start is None:
        start = [np.full(count, 1.0 / count) for count in game.counts]
    if [np.shape(strategy) for strategy in start] != [(count,) for count in game.counts]:
        raise ValueError(f"start needs one strategy for each player, of sizes {game.counts}")
    first = np.zeros((game.players, max(game.counts)))
    for p, strategy in enumerate(start):
        if np.min(strategy) < 0 or abs(np.sum(strategy) - 1) > 1e-6:
            raise ValueError(f"a strategy is a distribution, but found {strategy}")
        first[p, : game.counts[p]] = strategy
    actions = np.ascontiguousarray(np.indices(game.counts).reshape(game.players, -1).T)
    return np.ascontiguousarray(game.payoffs.reshape(game.players, -1)), actions, first


def _uniforms(rng: np.random.Generator | None, rounds: int, game: MatrixGame) -> Array:
    return np.empty((0, game.players)) if rng is None else rng.random((rounds, game.players))


def _play(game: MatrixGame, trajectory: Array, weights: Array | None = None) -> Trajectories:
    parts = tuple(trajectory[:, p, :count] for p, count in enumerate(game.counts))
    return Trajectories(tuple(np.average(part, axis=0, weights=weights) for part in parts), parts)

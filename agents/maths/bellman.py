"""Bellman's equations of a finite MDP: what states and actions are worth, under a policy or at best.

    values = evaluate(mdp, mdp.uniform(), discount=0.9)             # [S], by solving linear equations
    policy = improve(mdp, action_values(mdp, values, 0.9))          # [S, A], greedy; equals share
    found = sweep(mdp, 0.9, tolerance=1e-9)                         # value iteration
    found = sweep(mdp, 0.9, mdp.uniform(), in_place=False)          # iterative policy evaluation with two arrays

With a temperature each step also pays temperature * H(pi(. | s)), the entropy of the policy in nats, and the best
policy is exp(Q / temperature), normalized (maximum-entropy reinforcement learning: Ziebart 2010; Haarnoja et al. 2017,
https://arxiv.org/abs/1702.08165). Terminal states are worth 0. Sutton & Barto, 2nd edition, chapters 3 and 4.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

from envs.api import Array
from envs.compiled import INLINED, compiler
from envs.tabular import mdp as worlds
from envs.tabular.mdp import MDP, Chain, Outcomes

_SOURCES = [Path(__file__), Path(worlds.__file__)]
kernel = compiler(_SOURCES)
inner = compiler(_SOURCES, **INLINED)

LIMIT = 1_000_000  # sweeps after which one gives up
TIE = 1e-9  # action values that differ by less, relative to their size, are equal


class Swept(NamedTuple):
    """What sweeps over all states have come to."""

    values: Array  # [S]
    sweeps: int
    change: float  # the largest of the last sweep


# Exactly -------------------------------------------------------------------------------------------------------------


def evaluate(mdp: MDP, policy: Array, discount: float, temperature: float = 0.0) -> Array:
    """V [S] of a policy [S, A]: the solution of V = r + discount * T V.

    Raises ValueError where it has none: without discount, with rewards for ever.
    """
    chain = _paid(mdp.under(policy), policy, temperature)
    matrix = np.eye(len(chain.reward)) - discount * chain.transition
    if discount == 1:
        for state in np.flatnonzero(endless(chain) & (chain.reward != 0))[:1].tolist():
            raise ValueError(
                f"{mdp.name}: with discount 1 a policy has no value that comes back to {mdp.states[state]!r} for ever, "
                f"where the reward is {chain.reward[state]:.6g}: set discount below 1"
            )
        matrix[endless(chain)] = np.eye(len(matrix))[endless(chain)]
    return np.linalg.solve(matrix, chain.reward)


def endless(chain: Chain) -> Array:
    """[S] bool: states of classes that nothing leads out of, neither to another state nor to the end of the episode."""
    linked = chain.transition > 0
    _, of = connected_components(linked, connection="strong")
    out = (linked & (of[:, None] != of)).any(1) | (chain.transition.sum(1) < 1 - worlds.CLOSE)
    return ~np.isin(of, of[out])


def action_values(mdp: MDP, values: Array, discount: float) -> Array:
    """Q [S, A] = sum over s', r of p(s', r | s, a) (r + discount * V(s')); -inf where an action is not legal."""
    k = mdp.outcomes
    target = k.reward + discount * np.where(k.terminated, 0.0, values[k.next_state])
    summed = np.bincount(mdp.pair, k.probability * target, mdp.legal.size).reshape(mdp.legal.shape)
    return np.where(mdp.legal, summed, -np.inf)


def improve(mdp: MDP, q: Array, temperature: float = 0.0) -> Array:
    """The policy [S, A] that is best by Q [S, A]. Greedy: actions that are equally good are equally likely.

    The policy improvement theorem holds for any split among them. Terminal states get zeros.
    """
    best = np.where(mdp.terminal, 0.0, q.max(1, initial=-np.inf))[:, None]
    if temperature > 0:
        weight = np.exp((q - best) / temperature)
    else:
        weight = (q >= best - TIE * np.maximum(np.abs(best), 1.0)).astype(float)
    weight *= mdp.legal
    return weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)


def residual(mdp: MDP, values: Array, discount: float, temperature: float = 0.0) -> float:
    """The largest error max |V(s) - max_a Q(s, a)| of Bellman's equation of the optimum; 0 only at the optimum."""
    return sweep(mdp, discount, values=values, limit=1, in_place=False, temperature=temperature).change


def finite_horizon(
    mdp: MDP, horizon: int, discount: float = 1.0, policy: Array | None = None, temperature: float = 0.0
) -> Array:
    """V [horizon + 1, S] with so many steps to go, of a policy [S, A] or at best; with none it is 0."""
    values = np.zeros((horizon + 1, len(mdp.states)))
    for h in range(horizon):
        found = sweep(mdp, discount, policy, values=values[h], limit=1, in_place=False, temperature=temperature)
        values[h + 1] = found.values
    return values


def _paid(chain: Chain, policy: Array, temperature: float) -> Chain:
    """With temperature * entropy for each step."""
    entropy = -np.where(policy > 0, policy * np.log(np.where(policy > 0, policy, 1.0)), 0.0).sum(1)
    return chain._replace(reward=chain.reward + temperature * entropy)


# By sweeps -----------------------------------------------------------------------------------------------------------

NOBODY = np.zeros((0, 0))  # in place of a policy: the optimum


def sweep(
    mdp: MDP,
    discount: float,
    policy: Array | None = None,
    *,
    values: Array | None = None,
    tolerance: float = 0.0,
    limit: int = LIMIT,
    in_place: bool = True,
    temperature: float = 0.0,
) -> Swept:
    """Back up every state, in order, until no value changes by more than `tolerance`, or `limit` times.

    Of a policy [S, A]: iterative policy evaluation; without one: value iteration. in_place: later states of a sweep
    already see the new values of earlier ones (Gauss-Seidel), otherwise those of the sweep before (Jacobi: two arrays).
    values [S]: where to begin, in place of zeros.
    """
    found = np.zeros(len(mdp.states)) if values is None else np.array(values, np.float64)
    acted = NOBODY if policy is None else np.ascontiguousarray(policy, np.float64)
    sweeps, change = _sweeps(mdp.outcomes, discount, temperature, acted, found, tolerance, limit, in_place)
    return Swept(found, sweeps, change)


@inner
def action_value(outcomes: Outcomes, discount: float, values: Array, state: int, action: int) -> float:
    """Q(s, a) of a legal action."""
    total = 0.0
    for k in range(outcomes.first[state, action], outcomes.first[state, action + 1]):
        future = 0.0 if outcomes.terminated[k] else discount * values[outcomes.next_state[k]]
        total += outcomes.probability[k] * (outcomes.reward[k] + future)
    return total


@inner
def optimum(outcomes: Outcomes, discount: float, temperature: float, values: Array, state: int) -> float:
    """max_a Q(s, a), or temperature * log sum_a exp(Q(s, a) / temperature); 0 in terminal states."""
    best, total = -np.inf, 0.0  # total: sum of exp((Q - best) / temperature)
    for action in range(outcomes.first.shape[1] - 1):
        if outcomes.first[state, action] < outcomes.first[state, action + 1]:
            q = action_value(outcomes, discount, values, state, action)
            if temperature > 0:
                larger = max(best, q)
                total = total * math.exp((best - larger) / temperature) + math.exp((q - larger) / temperature)
            best = max(best, q)
    if best == -np.inf:
        return 0.0
    return best + temperature * math.log(total) if temperature > 0 else best


@inner
def expectation(
    outcomes: Outcomes, discount: float, temperature: float, policy: Array, values: Array, state: int
) -> float:
    """sum_a pi(a | s) (Q(s, a) - temperature * log pi(a | s))."""
    total = 0.0
    for action in range(policy.shape[1]):
        p = policy[state, action]
        if p > 0:
            total += p * action_value(outcomes, discount, values, state, action)
            if temperature > 0:
                total -= p * temperature * math.log(p)
    return total


@kernel
def _sweeps(
    outcomes: Outcomes,
    discount: float,
    temperature: float,
    policy: Array,
    values: Array,
    tolerance: float,
    limit: int,
    in_place: bool,
) -> Any:
    """Sweep over `values`; returns how often, and the largest change of the last sweep."""
    change, before = np.inf, values.copy()
    for count in range(limit):
        before[:] = values
        seen = values if in_place else before
        change = 0.0
        for state in range(len(values)):
            if len(policy) == 0:
                values[state] = optimum(outcomes, discount, temperature, seen, state)
            else:
                values[state] = expectation(outcomes, discount, temperature, policy, seen, state)
            change = max(change, abs(values[state] - before[state]))
        if change <= tolerance:
            return count + 1, change
    return limit, change

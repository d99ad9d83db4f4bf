"""Finite Markov decision processes as arrays: what follows a state and an action, p(s', r | s, a).

    robot = MDP.of("robot", {
        ("high", "search"): [(0.9, "high", 3.0), (0.1, "low", 3.0)],
        ("low", "search"): [(0.4, "low", 3.0), (0.6, "high", -3.0)],
        ("low", "recharge"): [(1.0, "high", 0.0)],
    })
    robot.reward[robot.state("low"), robot.action("search")]            # r(s, a) = -0.6

In compiled code, with u uniform in [0, 1) as `envs.streams.uniform` draws it:

    state = begin(robot.outcomes, u)
    state, reward, terminated = step(robot.outcomes, state, action, u)

A state in which no action is legal is terminal: nothing comes after it. An episode also ends with any outcome that is
marked as terminated, whatever state it leads to, as in Gymnasium. How the future is discounted is the solver's affair.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.api import Array
from envs.compiled import INLINED, compiler

Name = Hashable  # of a state or an action: text, or what describes it, such as (row, column)
CLOSE = 1e-9  # how far a sum of probabilities may be from 1

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
kernel = compiler(_SOURCES)
inner = compiler(_SOURCES, **INLINED)


class Outcomes(NamedTuple):
    """p(s', r | s, a) for compiled code, K entries in the order of (s, a).

    What may follow action a in state s are the entries first[s, a] <= k < first[s, a + 1]; an illegal action has none.
    """

    first: Array  # [S, A + 1] int64
    probability: Array  # [K]
    bound: Array  # [K] probabilities summed up to here, of each (s, a) by itself; 1 in its last entry
    next_state: Array  # [K] int64
    reward: Array  # [K]
    terminated: Array  # [K] bool, no future
    start_bound: Array  # [S] probabilities of first states, summed up to here


class Chain(NamedTuple):
    """A Markov reward process, as an MDP becomes one when a policy is followed."""

    transition: Array  # [S, S] probability that the episode goes on, and in which state
    reward: Array  # [S] expected reward of the next step
    start: Array  # [S]


@dataclass(frozen=True, eq=False)
class MDP:
    """Made by `of`, `of_arrays` or `of_table`. Raises ValueError, with the place, where these are no probabilities."""

    name: str
    states: tuple[Name, ...]  # S
    actions: tuple[Name, ...]  # A
    outcomes: Outcomes
    start: Array  # [S] probability that an episode begins here

    @classmethod
    def of(
        cls,
        name: str,
        dynamics: Mapping[tuple[Any, Any], Iterable[tuple[float, Any, float]]],
        start: Mapping[Any, float] | None = None,
        states: Iterable[Name] = (),
        actions: Iterable[Name] = (),
    ) -> MDP:
        """From (probability, next state, reward) of what may follow each (state, action), all by name.

        Numbers are given in the order in which names come up, first those of `states` and `actions`. States of which
        nothing is said are terminal. start: probabilities; the first state is the only one if there are none.
        """
        rows = [(*pair, *outcome) for pair, following in dynamics.items() for outcome in following]
        s = _numbered([*states, *(row[0] for row in rows), *(row[3] for row in rows)])
        a = _numbered([*actions, *(row[1] for row in rows)])
        begins = np.zeros(len(s))
        for state, p in (start or {next(iter(s)): 1.0}).items():
            begins[s[state]] = p
        numbers = [(s[state], a[action], p, s[following], r, False) for state, action, p, following, r in rows]
        return cls._of_rows(name, tuple(s), tuple(a), numbers, begins)

    @classmethod
    def of_arrays(
        cls, name: str, transition: Array, reward: Array, start: Array | None = None, terminal: Sequence[int] = ()
    ) -> MDP:
        """From p(s' | s, a) [S, A, S], zeros where an action is illegal, and r(s, a, s') [S, A, S] or r(s, a) [S, A].

        `terminal` are states in which an episode ends. States and actions are named by their numbers.
        """
        transition = np.array(transition, np.float64)
        if transition.ndim != 3 or transition.shape[0] != transition.shape[2]:
            raise ValueError(f"{name}: transitions have shape [S, A, S], but found {transition.shape}")
        transition[list(terminal)] = 0.0
        paid = np.broadcast_to(np.asarray(reward, np.float64).reshape(*transition.shape[:2], -1), transition.shape)
        rows = [(s, a, transition[s, a, t], t, paid[s, a, t], False) for s, a, t in np.argwhere(transition)]
        begins = np.eye(len(transition))[0] if start is None else np.array(start, np.float64)
        return cls._of_rows(name, tuple(range(len(transition))), tuple(range(transition.shape[1])), rows, begins)

    @classmethod
    def of_table(cls, name: str, table: Mapping[int, Mapping[int, Sequence[Any]]], start: Array) -> MDP:
        """From Gymnasium's `P`: table[s][a] are (probability, next state, reward, terminated). Numbers stay the same.

        A state that only ever ends again where it is, for nothing, is terminal.
        """
        over = {
            s
            for s, choices in table.items()
            if all((t, r, bool(ends)) == (s, 0, True) for following in choices.values() for _, t, r, ends in following)
        }
        rows = [
            (s, a, p, t, r, ends)
            for s, choices in table.items()
            if s not in over
            for a, following in choices.items()
            for p, t, r, ends in following
        ]
        actions = 1 + max(a for choices in table.values() for a in choices)
        return cls._of_rows(name, tuple(range(len(table))), tuple(range(actions)), rows, np.array(start, np.float64))

    @classmethod
    def _of_rows(
        cls, name: str, states: tuple[Name, ...], actions: tuple[Name, ...], rows: Sequence[Any], start: Array
    ) -> MDP:
        """rows: (s, a, probability, s', reward, terminated) by number, in any order; equal outcomes are added up."""
        going = {s for s, _, p, *_ in rows if p > 0}
        merged: dict[tuple[int, int, int, float, bool], float] = {}
        for s, a, p, t, reward, ends in rows:
            if not (np.isfinite([p, reward]).all() and p >= 0):
                where = f"{actions[a]!r} in {states[s]!r} leads to {states[t]!r}"
                raise ValueError(f"{name}: {where} with probability {p} and reward {reward}, expected numbers, p >= 0")
            if p > 0:
                outcome = s, a, t, float(reward), bool(ends) or t not in going
                merged[outcome] = merged.get(outcome, 0.0) + float(p)
        found = sorted(merged, key=lambda outcome: outcome[:2])
        pair = np.array([s * len(actions) + a for s, a, *_ in found], np.int64)
        probability = np.array([merged[outcome] for outcome in found])
        _check(name, states, actions, pair, probability, start)
        flat = np.searchsorted(pair, np.arange(len(states) * len(actions) + 1))
        outcomes = Outcomes(
            np.column_stack([flat[:-1].reshape(len(states), -1), flat[len(actions) :: len(actions)]]),
            probability,
            _bounds(pair, probability),
            np.array([t for _, _, t, _, _ in found], np.int64),
            np.array([reward for *_, reward, _ in found]),
            np.array([ends for *_, ends in found]),
            _bounds(np.zeros(len(states), np.int64), start),
        )
        for array in (*outcomes, start):
            array.setflags(write=False)
        return cls(name, states, actions, outcomes, start)

    @cached_property
    def _number(self) -> tuple[dict[Name, int], dict[Name, int]]:
        return _numbered(self.states), _numbered(self.actions)

    def state(self, name: Name) -> int:
        """Raises KeyError where there is none of this name."""
        return self._number[0][name]

    def action(self, name: Name) -> int:
        """Raises KeyError where there is none of this name."""
        return self._number[1][name]

    @cached_property
    def pair(self) -> Array:
        """[K] int64: s * A + a of each outcome."""
        count = np.diff(self.outcomes.first, axis=1)
        return np.repeat(np.arange(count.size), count.reshape(-1))

    @cached_property
    def legal(self) -> Array:
        """[S, A] bool."""
        return np.asarray(np.diff(self.outcomes.first, axis=1) > 0)

    @cached_property
    def terminal(self) -> Array:
        """[S] bool."""
        return np.asarray(~self.legal.any(1))

    @cached_property
    def transition(self) -> Array:
        """[S, A, S]: p(s' | s, a) = sum_r p(s', r | s, a)."""
        return self._summed(self.outcomes.probability)

    @cached_property
    def onward(self) -> Array:
        """[S, A, S]: the probability that the episode goes on, in s'."""
        return self._summed(np.where(self.outcomes.terminated, 0.0, self.outcomes.probability))

    @cached_property
    def reward(self) -> Array:
        """[S, A]: r(s, a) = sum_r r sum_s' p(s', r | s, a); 0 where the action is not legal."""
        weighted = self.outcomes.probability * self.outcomes.reward
        return np.bincount(self.pair, weighted, self.legal.size).reshape(self.legal.shape)

    @cached_property
    def reward_to(self) -> Array:
        """[S, A, S]: r(s, a, s') = sum_r r p(s', r | s, a) / p(s' | s, a); 0 where s' can't follow."""
        paid = self._summed(self.outcomes.probability * self.outcomes.reward)
        return np.divide(paid, self.transition, out=np.zeros_like(paid), where=self.transition > 0)

    def uniform(self) -> Array:
        """The policy [S, A] of all legal actions alike; zeros in terminal states."""
        return self.legal / np.maximum(self.legal.sum(1, keepdims=True), 1)

    def under(self, policy: Array) -> Chain:
        """What it is while `policy` [S, A], probabilities, is followed."""
        count, k = len(self.states), self.outcomes
        going = policy.reshape(-1)[self.pair] * k.probability * ~k.terminated
        where = self.pair // len(self.actions) * count + k.next_state
        transition = np.bincount(where, going, count * count).reshape(count, count)
        return Chain(transition, (policy * self.reward).sum(1), self.start)

    def trembling(self, epsilon: float) -> MDP:
        """The same world, where with probability `epsilon` any legal action is done in place of the chosen one.

        What is best here is, done epsilon-greedily, the best of all epsilon-soft policies: Sutton & Barto, section 5.4.
        """
        k = self.outcomes
        share = epsilon / np.maximum(self.legal.sum(1), 1)
        rows = []
        for s, a in np.argwhere(self.legal).tolist():
            for done in np.flatnonzero(self.legal[s]).tolist():
                weight = share[s] + (1 - epsilon) * (done == a)
                for n in range(k.first[s, done], k.first[s, done + 1]):
                    rows.append((s, a, weight * k.probability[n], int(k.next_state[n]), k.reward[n], k.terminated[n]))
        return MDP._of_rows(f"{self.name}, trembling", self.states, self.actions, rows, self.start.copy())

    def _summed(self, weight: Array) -> Array:
        """[S, A, S]: sums over the outcomes with this successor."""
        count = len(self.states)
        where = self.pair * count + self.outcomes.next_state
        return np.bincount(where, weight, self.legal.size * count).reshape(*self.legal.shape, count)


# In compiled code ----------------------------------------------------------------------------------------------------


@inner
def begin(outcomes: Outcomes, u: float) -> Any:
    """A first state."""
    return np.searchsorted(outcomes.start_bound, u, side="right")


@inner
def step(outcomes: Outcomes, state: int, action: int, u: float) -> tuple[int, float, bool]:
    """Next state, reward, and whether the episode has terminated, after a legal action."""
    k = outcomes.first[state, action]
    while outcomes.bound[k] <= u:
        k += 1
    return outcomes.next_state[k], outcomes.reward[k], outcomes.terminated[k]


# Making --------------------------------------------------------------------------------------------------------------


def _numbered(names: Iterable[Name]) -> dict[Name, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _check(
    name: str, states: Sequence[Name], actions: Sequence[Name], pair: Array, probability: Array, start: Array
) -> None:
    total = np.bincount(pair, probability, len(states) * len(actions))
    given = np.bincount(pair, minlength=len(total)) > 0
    for wrong in np.flatnonzero(given & ~(np.abs(total - 1) <= CLOSE)).tolist():
        state, action = divmod(wrong, len(actions))
        what = f"probabilities of what follows {actions[action]!r} in {states[state]!r} sum to {total[wrong]:.12g}"
        raise ValueError(f"{name}: {what}, expected 1")
    if start.shape != (len(states),) or not (start >= 0).all() or not abs(start.sum() - 1) <= CLOSE:
        raise ValueError(f"{name}: start is {start}, expected probabilities of {len(states)} states that sum to 1")
    over = ~given.reshape(len(states), -1).any(1)
    for wrong in np.flatnonzero((start > 0) & over).tolist():
        raise ValueError(f"{name}: an episode can't begin in {states[wrong]!r}, for no action is legal there")


def _bounds(owner: Array, probability: Array) -> Array:
    """Probabilities of entries in the order of their owners, summed up for each owner.

    What rounding leaves at the end of a sum is made up: a number below 1 always finds an entry, none of probability 0.
    """
    bound = np.zeros(len(probability))
    for entries in np.split(np.arange(len(owner)), np.flatnonzero(np.diff(owner)) + 1):
        bound[entries] = np.cumsum(probability[entries])
        bound[entries[np.flatnonzero(probability[entries])[-1] :]] = 1.0
    return bound

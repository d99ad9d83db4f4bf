"""Dynamic programming in a finite MDP whose probabilities are known (Bellman 1957; Howard 1960).

    planner = Planner(mdp, DynamicProgramming(mdp=mdp.name, method="policy_iteration", discount=0.9))
    planner.iterate(100)
    planner.values, planner.policy

policy_evaluation      values of the policy that takes all legal actions alike
value_iteration        V(s) <- max_a Q(s, a) for all states
policy_iteration       evaluate, improve, until the values are those of the policy before. That the policies are equal
                       is no sign of the end: among equally good actions they could change for ever
prioritized_sweeping   V(s) <- max_a Q(s, a) where the error is largest: Moore & Atkeson 1993, Peng & Williams 1993

Logs train/iterations and train/backups (of states) until it has converged, train/change (of values, the largest of the
last iteration), train/converged; eval/value (expected at the start, by the values), eval/policy_value (expected by who
follows the policy that is read off them), eval/bellman_error. docs/tabular.md says more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.api import Algorithm, State
from agents.maths import bellman
from agents.maths.bellman import action_values, endless, evaluate, improve, optimum, residual, sweep
from agents.parts.state import Assembled
from agents.tabular.configs.dynamic_programming import DynamicProgramming
from envs.api import Array
from envs.compiled import compiler
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP, Outcomes
from experiment.course import Failure
from experiment.seeding import Seeds

kernel = compiler([Path(bellman.__file__)])


# Where the error is largest ------------------------------------------------------------------------------------------


class Predecessors(NamedTuple):
    """States from which each state can follow: those of s are state[first[s]], ..., state[first[s + 1] - 1]."""

    first: Array  # [S + 1] int64
    state: Array  # int64


def predecessors(mdp: MDP) -> Predecessors:
    going = ~mdp.outcomes.terminated
    pairs = np.stack([mdp.outcomes.next_state[going], mdp.pair[going] // len(mdp.actions)], 1)
    found = np.unique(pairs, axis=0)
    return Predecessors(np.searchsorted(found[:, 0], np.arange(len(mdp.states) + 1)), np.ascontiguousarray(found[:, 1]))


@kernel
def prioritized(
    outcomes: Outcomes,
    before: Predecessors,
    discount: float,
    temperature: float,
    values: Array,
    tolerance: float,
    backups: int,
) -> Any:
    """Back up the state with the largest error, so many times or until none is larger than `tolerance`, in `values`.

    Returns how often, and the largest error that is left. After a backup only errors of predecessors are new.
    """
    error = np.empty(len(values))
    for state in range(len(values)):
        error[state] = abs(optimum(outcomes, discount, temperature, values, state) - values[state])
    for count in range(backups):
        state = int(np.argmax(error))
        if error[state] <= tolerance:
            return count, error[state]
        values[state] = optimum(outcomes, discount, temperature, values, state)
        error[state] = abs(optimum(outcomes, discount, temperature, values, state) - values[state])
        for k in range(before.first[state], before.first[state + 1]):
            other = before.state[k]
            error[other] = abs(optimum(outcomes, discount, temperature, values, other) - values[other])
    return backups, error.max()


# As a run ------------------------------------------------------------------------------------------------------------


class Planner(Assembled):
    """A solver (`agents.api.Solver`). What it saves is the values, and the policy that it acts by.

    An iteration is a sweep over all states, an evaluation with the improvement after it, or as many backups as there
    are states. Once it has converged it does nothing more.
    """

    STATE = ("values", "policy", "iterations", "backups", "change")

    def __init__(self, mdp: MDP, config: DynamicProgramming) -> None:
        self.mdp, self.config = mdp, config
        self.values, self.policy = np.zeros(len(mdp.states)), mdp.uniform()
        self.iterations = self.backups = 0
        self.change: float | None = None  # of the last iteration
        self._before = predecessors(mdp)
        self._iterate = {
            "policy_evaluation": self._evaluate,
            "policy_iteration": self._improve,
            "value_iteration": self._sweep,
            "prioritized_sweeping": self._prioritize,
        }[config.method]

    @property
    def converged(self) -> bool:
        return self.change is not None and self.change <= self.config.tolerance

    def iterate(self, n: int) -> None:
        """n more iterations, as far as there is something to do. n calls of 1 give the same as 1 call of n.

        Raises Failure where an improved policy has no value: the optimum is infinite.
        """
        for _ in range(n):
            if self.converged:
                break
            self._iterate()
            self.iterations += 1

    def metrics(self) -> Mapping[str, float]:
        found: dict[str, float] = {"train/iterations": self.iterations, "train/backups": self.backups}
        found["train/converged"] = float(self.converged)
        return found | ({} if self.change is None else {"train/change": self.change})

    def evaluate(self) -> Mapping[str, float]:
        """The policy's value is left out where it has none: without discount, with rewards for ever."""
        options, mdp = self.config, self.mdp
        found = {
            "eval/value": float(mdp.start @ self.values),
            "eval/bellman_error": residual(mdp, self.values, options.discount, options.temperature),
        }
        chain = mdp.under(self.policy)
        if options.discount < 1 or not chain.reward[endless(chain)].any():
            values = evaluate(mdp, self.policy, options.discount)
            found["eval/policy_value"] = float(mdp.start @ values)
        return found

    def _evaluate(self) -> None:
        self._swept(self.policy, 1)

    def _sweep(self) -> None:
        self._swept(None, 1)
        self._greedy()

    def _improve(self) -> None:
        before, options = self.values, self.config
        if options.sweeps is None:
            try:
                self.values = evaluate(self.mdp, self.policy, options.discount, options.temperature)
            except ValueError as error:
                raise Failure(str(error)) from error
            self.backups += len(self.values)
        else:
            self._swept(self.policy, options.sweeps)
        self.change = float(np.abs(self.values - before).max()) if self.iterations else None  # zeros were no policy's
        self._greedy()

    def _prioritize(self) -> None:
        options, states = self.config, len(self.values)
        problem = self.mdp.outcomes, self._before, options.discount, options.temperature
        count, error = prioritized(*problem, self.values, options.tolerance, states)
        self.backups += int(count)
        self.change = float(error)
        self._greedy()

    def _swept(self, policy: Array | None, sweeps: int) -> None:
        options = self.config
        found = sweep(
            self.mdp,
            options.discount,
            policy,
            values=self.values,
            tolerance=options.tolerance,
            limit=sweeps,
            in_place=options.in_place,
            temperature=options.temperature,
        )
        self.values, self.change = found.values, found.change
        self.backups += found.sweeps * len(self.values)

    def _greedy(self) -> None:
        options = self.config
        self.policy = improve(self.mdp, action_values(self.mdp, self.values, options.discount), options.temperature)


def make(config: DynamicProgramming, seeds: Seeds) -> Planner:
    """Raises ValueError where there is no such MDP, or no value to begin with."""
    mdp = make_mdp(config.mdp)
    if config.method == "policy_iteration" and config.sweeps is None:
        evaluate(mdp, mdp.uniform(), config.discount, config.temperature)
    return Planner(mdp, config)


def table(config: DynamicProgramming, state: State) -> Array:
    """What it does, [S, A]."""
    found: Array = state["solver"]["policy"]
    return found


ALGORITHM = Algorithm[DynamicProgramming](solver=make, table=table)

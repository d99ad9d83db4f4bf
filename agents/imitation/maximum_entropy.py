"""Maximum causal entropy inverse reinforcement learning (Ziebart et al. 2010, https://doi.org/10.1184/R1/6720692):
the rewards under which a softly optimal policy does what an expert does, in a finite MDP whose probabilities are known.

With r(s, a) = theta . phi(s, a), V(s) = log sum_a exp Q(s, a), Q = r + discount * E V(s') and pi = exp(Q - V), the
likelihood sum of d_E(s, a) log pi(a|s) is concave in theta, d being how often, discounted, one is where. Its gradient
is the difference of feature expectations, the expert's minus pi's, and its curvature minus the Fisher matrix

    F = sum of d(s) pi(a|s) g g', g = d log pi(a|s) / d theta = phi + discount * E dV(s') - dV(s)

so each iteration is a step of Newton's, halved until the likelihood grows. Rewards are found up to what shapes them.

Logs train/iterations, train/log_likelihood, train/feature_error (the largest difference of expectations),
train/converged; eval/return and eval/expert_return (discounted, of the world's own rewards).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from agents.api import Algorithm, State
from agents.imitation.configs.maximum_entropy import MaximumEntropy
from agents.maths.bellman import action_values, evaluate, improve, sweep
from agents.parts.state import Assembled
from envs.api import Array
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from experiment.seeding import Seeds

SMALL = 1e-10  # added to the curvature, which is flat where rewards only shape


class Soft(NamedTuple):
    """What is best by rewards, entropy counted with temperature 1."""

    values: Array  # [S]
    policy: Array  # [S, A]


def softly_optimal(mdp: MDP, reward: Array, discount: float, start: Soft | None = None) -> Soft:
    """By soft policy iteration from rewards [S, A], to the last digits; it converges as Newton's method does."""
    values = np.zeros(len(mdp.states)) if start is None else start.values
    while True:
        q = np.where(mdp.legal, reward + discount * mdp.onward @ values, -np.inf)
        policy = improve(mdp, q, 1.0)
        entropy = -(policy * np.log(np.where(policy > 0, policy, 1.0))).sum(1)
        paid = (policy * reward).sum(1) + entropy
        before, values = values, np.linalg.solve(_flow(mdp, policy, discount), paid)
        if np.abs(values - before).max() <= 1e-12 * max(1.0, np.abs(values).max()):
            return Soft(values, policy)


def visits(mdp: MDP, policy: Array, discount: float) -> Array:
    """How often, discounted, one is expected to be in s and to do a, [S, A]."""
    states: Array = np.linalg.solve(_flow(mdp, policy, discount).T, mdp.start)
    return states[:, None] * policy


def _flow(mdp: MDP, policy: Array, discount: float) -> Array:
    """I - discount * P under a policy, [S, S]."""
    return np.eye(len(policy)) - discount * np.einsum("sa,sat->st", policy, mdp.onward)


def log_likelihood(expert: Array, policy: Array) -> float:
    """Sum of d_E(s, a) log pi(a|s), of the expert's visits [S, A]; minus infinity for what never does as it did."""
    with np.errstate(divide="ignore"):
        return float((expert * np.log(np.where(expert > 0, policy, 1.0))).sum())


def features_of(mdp: MDP, kind: str) -> Array:
    """phi [S, A, F]: one-hot, of the state or of state and action."""
    states, actions = mdp.legal.shape
    if kind == "state":
        return np.repeat(np.eye(states)[:, None], actions, 1)
    return np.eye(states * actions).reshape(states, actions, -1)


class Inverse(Assembled):
    """A solver (`agents.api.Solver`). Once it has converged it does nothing more."""

    STATE = ("theta", "values", "policy", "iterations")

    def __init__(self, mdp: MDP, config: MaximumEntropy) -> None:
        self.mdp, self.config = mdp, config
        best = sweep(mdp, config.discount, tolerance=1e-12, temperature=config.temperature).values
        self.expert = improve(mdp, action_values(mdp, best, config.discount), config.temperature)
        self.shown = visits(mdp, self.expert, config.discount)
        self.phi = features_of(mdp, config.features)
        self.theta, self.iterations = np.zeros(self.phi.shape[2]), 0
        self.values, self.policy = softly_optimal(mdp, self.phi @ self.theta, config.discount)

    @property
    def gradient(self) -> Array:
        """Feature expectations [F], the expert's minus those of what was learned."""
        found: Array = np.einsum(
            "sa,saf->f", self.shown - visits(self.mdp, self.policy, self.config.discount), self.phi
        )
        return found

    @property
    def error(self) -> float:
        return float(np.abs(self.gradient).max())

    @property
    def converged(self) -> bool:
        return self.error <= self.config.tolerance

    def objective(self, theta: Array, policy: Array) -> float:
        return log_likelihood(self.shown, policy) - self.config.regularization / 2 * float(theta @ theta)

    def fisher(self) -> Array:
        """Minus the curvature of the likelihood [F, F]."""
        discount, onward, policy = self.config.discount, self.mdp.onward, self.policy
        expected = np.linalg.solve(_flow(self.mdp, policy, discount), np.einsum("sa,saf->sf", policy, self.phi))  # dV
        slope = self.phi + discount * onward @ expected - expected[:, None]  # d log pi
        found: Array = np.einsum("sa,saf,sag->fg", visits(self.mdp, policy, discount), slope, slope, optimize=True)
        return found

    def iterate(self, n: int) -> None:
        for _ in range(n):
            if self.converged:
                break
            self.climb()
            self.iterations += 1

    def climb(self) -> None:
        """Newton's step, or a part of it."""
        penalty = self.config.regularization
        curvature = self.fisher() + (penalty + SMALL) * np.eye(len(self.theta))
        step = np.linalg.solve(curvature, self.gradient - penalty * self.theta)
        before = self.objective(self.theta, self.policy)
        for _ in range(30):
            theta = self.theta + step
            found = softly_optimal(self.mdp, self.phi @ theta, self.config.discount, Soft(self.values, self.policy))
            if self.objective(theta, found.policy) >= before - 1e-13 * abs(before):
                self.theta, (self.values, self.policy) = theta, found
                return
            step = step / 2

    def metrics(self) -> Mapping[str, float]:
        return {
            "train/iterations": self.iterations,
            "train/log_likelihood": log_likelihood(self.shown, self.policy),
            "train/feature_error": self.error,
            "train/converged": float(self.converged),
        }

    def evaluate(self) -> Mapping[str, float]:
        """Of the world's own rewards, which were not looked at."""
        start, discount = self.mdp.start, self.config.discount
        return {
            "eval/return": float(start @ evaluate(self.mdp, self.policy, discount)),
            "eval/expert_return": float(start @ evaluate(self.mdp, self.expert, discount)),
        }


def make(config: MaximumEntropy, seeds: Seeds) -> Inverse:
    """Raises ValueError where there is no such MDP."""
    return Inverse(make_mdp(config.mdp), config)


def table(config: MaximumEntropy, state: State) -> Array:
    """What it does, [S, A]."""
    found: Array = state["solver"]["policy"]
    return found


ALGORITHM = Algorithm[MaximumEntropy](solver=make, table=table)

"""How to explore a many-armed bandit (Sutton & Barto 2018, chapter 2): thousands of learners in one compiled call.

    worlds = normal_testbed(2000, np.random.default_rng(0))
    curves = play(worlds, Greedy(epsilon=0.1), steps=1000)
    curves.reward, curves.optimal                           # the two curves of figure 2.2

Every row is a learner in a problem of its own, with random numbers of its own: what other rows there are changes
nothing. Equal scores are decided by chance.

epsilon_greedy   greedy, and with optimistic initial values, by its options
ucb1             Auer, Cesa-Bianchi & Fischer 2002, https://doi.org/10.1023/A:1013689704352
ucb_deviation    mean + c * standard deviation
gradient         REINFORCE of one step, Williams 1992
thompson         Thompson 1933; for normal rewards of known deviation, or Bernoulli ones

Logs, as means over rows and over the pulls since the last line, train/reward, train/optimal (whether the best arm was
pulled) and train/regret (by how much its mean is better); evaluates eval/optimal and eval/regret of the arm that is
thought best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agents.api import Algorithm, State
from agents.tabular.configs.bandit import Bandit, Estimating, Gradient, Greedy, Rule, Testbed, UCBDeviation
from envs.api import Array
from envs.compiled import INLINED, STREAMS, compiler
from envs.streams import below, draw, gamma, normal, seed, uniform
from envs.tabular import bandits as worlds_of_bandits
from envs.tabular.bandits import Bandits, bernoulli_testbed, drift, normal_bandits, pull
from experiment.seeding import Seeds

_SOURCES = [STREAMS, Path(worlds_of_bandits.__file__)]
kernel, inner = compiler(_SOURCES), compiler(_SOURCES, **INLINED)

EPSILON_GREEDY, UCB1, UCB_DEVIATION, GRADIENT, THOMPSON = range(5)
RULES = {"epsilon_greedy": EPSILON_GREEDY, "ucb1": UCB1, "ucb_deviation": UCB_DEVIATION, "gradient": GRADIENT,
         "thompson": THOMPSON}  # fmt: skip


class Options(NamedTuple):
    """A rule for compiled code: its number, and of its options those that it has."""

    rule: int
    epsilon: float = 0.0
    c: float = 0.0
    of_mean: bool = False
    step_size: float = 0.0  # 0: 1 / n
    baseline: bool = False


class Known(NamedTuple):
    """What is known about each arm, kept up to date reward by reward."""

    counts: Array  # [B, K] float64
    values: Array  # [B, K] estimates of the means; of a gradient bandit preferences
    means: Array  # [B, K] of the rewards
    squares: Array  # [B, K] sums of squared differences to the mean
    overall: Array  # [B] mean of all rewards
    streams: Array  # [B] uint64
    scores: Array  # [K] scratch


class Curves(NamedTuple):
    """Means over the rows at each pull, all [steps]."""

    reward: Array
    optimal: Array  # share of rows in which the arm with the highest mean was pulled
    regret: Array  # by how much its mean was higher than that of the arm that was pulled


def options(rule: Rule) -> Options:
    number = RULES[rule.name]
    if isinstance(rule, Greedy):
        return Options(number, epsilon=rule.epsilon, step_size=rule.step_size or 0.0)
    if isinstance(rule, Gradient):
        return Options(number, step_size=rule.step_size, baseline=rule.baseline)
    if isinstance(rule, Estimating):
        of_mean = isinstance(rule, UCBDeviation) and rule.of == "mean"
        return Options(number, c=rule.c, of_mean=of_mean, step_size=rule.step_size or 0.0)
    return Options(number)


# Compiled ------------------------------------------------------------------------------------------------------------


@inner
def best(scores: Array, n: int, streams: Array, row: int) -> int:
    """A largest of n scores, one of them by chance where there are several."""
    chosen, ties = 0, 1
    for arm in range(1, n):
        if scores[arm] > scores[chosen]:
            chosen, ties = arm, 1
        elif scores[arm] == scores[chosen]:
            ties += 1
            if below(streams, row, ties) == 0:
                chosen = arm
    return chosen


@inner
def softmax(preferences: Array, probabilities: Array) -> None:
    """In proportion to exp(preference)."""
    top, total = preferences[0], 0.0
    for preference in preferences:
        top = max(top, preference)
    for arm in range(len(preferences)):
        probabilities[arm] = math.exp(preferences[arm] - top)
        total += probabilities[arm]
    for arm in range(len(preferences)):
        probabilities[arm] /= total


@inner
def sampled_mean(worlds: Bandits, known: Known, row: int, arm: int) -> float:
    """From the posterior of an arm's mean, whose prior is standard normal, or uniform where rewards are 1 or 0."""
    n, mean = known.counts[row, arm], known.means[row, arm]
    if worlds.bernoulli:
        wins = gamma(known.streams, row, 1.0 + n * mean)
        return wins / (wins + gamma(known.streams, row, 1.0 + n * (1.0 - mean)))
    precision = n / max(worlds.deviation**2, 1e-12)
    return (precision * mean) / (1.0 + precision) + normal(known.streams, row) / math.sqrt(1.0 + precision)


@inner
def score(rule: Options, worlds: Bandits, known: Known, row: int, arm: int, pulls: int) -> float:
    """What an arm is chosen by: the largest is."""
    n, estimate = known.counts[row, arm], known.values[row, arm]
    if rule.rule == THOMPSON:
        return sampled_mean(worlds, known, row, arm)
    if rule.rule == UCB1:
        return math.inf if n < 1 else estimate + rule.c * math.sqrt(math.log(pulls) / n)
    if rule.rule == UCB_DEVIATION:
        if n < 2:
            return math.inf
        variance = known.squares[row, arm] / (n - 1)
        return estimate + rule.c * math.sqrt(variance / n if rule.of_mean else variance)
    return estimate


@inner
def choose(rule: Options, worlds: Bandits, known: Known, row: int, pulls: int) -> int:
    """An arm, after so many pulls in this row."""
    arms = known.counts.shape[1]
    if rule.rule == GRADIENT:
        softmax(known.values[row], known.scores)
        return draw(known.streams, row, known.scores, arms)
    if rule.epsilon > 0 and uniform(known.streams, row) < rule.epsilon:
        return below(known.streams, row, arms)
    for arm in range(arms):
        known.scores[arm] = score(rule, worlds, known, row, arm, pulls)
    return best(known.scores, arms, known.streams, row)


@inner
def learn(rule: Options, known: Known, row: int, arm: int, reward: float, pulls: int) -> None:
    """mean += (reward - mean) / n, and the squares with it (Welford 1962); the values by the rule's step size."""
    if rule.rule == GRADIENT:
        baseline = (known.overall[row] if pulls > 0 else reward) if rule.baseline else 0.0
        gain = rule.step_size * (reward - baseline)
        for other in range(known.counts.shape[1]):
            known.values[row, other] -= gain * known.scores[other]
        known.values[row, arm] += gain
    known.overall[row] += (reward - known.overall[row]) / (pulls + 1)
    known.counts[row, arm] += 1
    before = reward - known.means[row, arm]
    known.means[row, arm] += before / known.counts[row, arm]
    known.squares[row, arm] += before * (reward - known.means[row, arm])
    if rule.rule != GRADIENT:
        step = rule.step_size if rule.step_size > 0 else 1.0 / known.counts[row, arm]
        known.values[row, arm] += step * (reward - known.values[row, arm])


@kernel
def explore(rule: Options, worlds: Bandits, known: Known, pulls: int, curves: Curves) -> None:
    """As many pulls in each row as the curves are long; `pulls` were made before."""
    rows = len(known.streams)
    for row in range(rows):
        top = worlds.means[row].argmax()
        for t in range(len(curves.reward)):
            arm = choose(rule, worlds, known, row, pulls + t)
            reward = pull(worlds, row, arm, known.streams)
            learn(rule, known, row, arm, reward, pulls + t)
            curves.reward[t] += reward / rows
            curves.optimal[t] += (arm == top) / rows
            curves.regret[t] += (worlds.means[row, top] - worlds.means[row, arm]) / rows
            if worlds.drift > 0:
                drift(worlds, row, known.streams)
                top = worlds.means[row].argmax()


# As a run ------------------------------------------------------------------------------------------------------------


class Exploration:
    """A solver (`agents.api.Solver`): an iteration is a pull in each row. Worlds that drift are drifting copies."""

    def __init__(self, worlds: Bandits, rule: Rule, seed_of_rows: int = 0) -> None:
        rows, arms = worlds.means.shape
        self.worlds = worlds._replace(means=worlds.means.copy())
        self.rule, self.pulls = options(rule), 0
        values = np.full((rows, arms), rule.initial if isinstance(rule, Estimating) else 0.0)
        counts, means, squares = np.zeros((3, rows, arms))
        self.known = Known(counts, values, means, squares, np.zeros(rows), np.empty(rows, np.uint64), np.empty(arms))
        seed(np.arange(rows, dtype=np.uint64) + np.uint64(seed_of_rows), self.known.streams)
        self.curves = Curves(*np.zeros((3, 0)))  # since they were last told

    def iterate(self, n: int) -> None:
        """n more pulls in each row. n calls of 1 give the same as 1 call of n."""
        curves = Curves(*np.zeros((3, n)))
        explore(self.rule, self.worlds, self.known, self.pulls, curves)
        self.pulls += n
        self.curves = Curves(*map(np.append, self.curves, curves))

    def metrics(self) -> Mapping[str, float]:
        told = {f"train/{name}": float(curve.mean()) for name, curve in self.curves._asdict().items() if len(curve)}
        self.curves = Curves(*np.zeros((3, 0)))
        return told

    def evaluate(self) -> Mapping[str, float]:
        """Of the arm with the best estimate, or the largest preference."""
        means, rows = self.worlds.means, np.arange(len(self.worlds.means))
        chosen = self.known.values.argmax(1)
        return {
            "eval/optimal": float((chosen == means.argmax(1)).mean()),
            "eval/regret": float((means.max(1) - means[rows, chosen]).mean()),
        }

    def state_dict(self) -> State:
        """Everything: a run that loads it goes on as if it had never stopped."""
        known = {name: array.copy() for name, array in self._arrays().items()}
        return {"known": known, "curves": dict(self.curves._asdict()), "pulls": self.pulls}

    def load_state_dict(self, state: State) -> None:
        for name, array in self._arrays().items():
            array[:] = state["known"][name]
        self.curves, self.pulls = Curves(**state["curves"]), int(state["pulls"])

    def _arrays(self) -> dict[str, Array]:
        arrays = self.known._asdict()
        del arrays["scores"]  # nothing is left there from pull to pull
        return arrays | {"worlds": self.worlds.means}


def play(worlds: Bandits, rule: Rule, steps: int, seed_of_rows: int = 0) -> Curves:
    """What a rule that knows nothing at first gets in `steps` pulls of each row."""
    exploration = Exploration(worlds, rule, seed_of_rows)
    exploration.iterate(steps)
    return exploration.curves


def testbed(asked: Testbed, rng: np.random.Generator) -> Bandits:
    """The problems that a config asks for."""
    if asked.rewards == "bernoulli":
        return bernoulli_testbed(asked.rows, rng, asked.arms)
    return normal_bandits(rng.normal(asked.mean, asked.spread, (asked.rows, asked.arms)), drift=asked.drift)


def make(config: Bandit, seeds: Seeds) -> Exploration:
    return Exploration(testbed(config.testbed, seeds.generator("testbed")), config.rule, seeds.integer("rows"))


ALGORITHM = Algorithm[Bandit](solver=make)

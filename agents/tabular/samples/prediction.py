"""What states are worth under a policy, learned from episodes (Sutton & Barto 2018, chapters 5 to 7, 9 and 12).

    mdp = make_mdp("random_walk(states=19,left=-1.0)")
    predictor = Predictor(mdp, TabularPrediction(mdp=mdp.name, method=Traces(decay=0.8), step_size=0.1))
    predictor.iterate(10)                                   # episodes, in each of 100 runs
    predictor.values()                                      # [runs, S]

td            n-step TD, TD(0): Sutton 1988, https://doi.org/10.1007/BF00115009
td_lambda     the same paper; replacing traces: Singh & Sutton 1996; true online: van Seijen & Sutton 2014
monte_carlo   first or every visit; importance sampling where another policy acts: Precup, Sutton & Singh 2000

Semi-gradient methods where states share weights. A policy that doesn't change is evaluated, so an episode is sampled
first and learned from afterwards, in the order of its steps: the same numbers as while it goes on.

Logs train/return and train/length of episodes, means over the runs and over the episodes since the last line; evaluates
eval/rms_error, over states the root of the mean squared error, as a mean over the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agents.api import Algorithm
from agents.maths.bellman import evaluate
from agents.parts.state import Assembled
from agents.tabular.configs.tabular_prediction import MonteCarloReturns, NStepReturns, TabularPrediction, Target
from agents.tabular.samples.episodes import (
    Episode,
    Features,
    cut,
    inner,
    kernel,
    room,
    sample,
    schedule,
    starting,
    tilings,
    value,
    values,
)
from envs.api import Array
from envs.streams import seed
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP, Outcomes
from experiment.seeding import Seeds

FIRST, EVERY, N_STEP, ACCUMULATING, REPLACING, DUTCH, OFFLINE, FORWARD = range(8)
VIEWS = {"accumulating": ACCUMULATING, "replacing": REPLACING, "dutch": DUTCH, "offline": OFFLINE, "forward": FORWARD}


class Method(NamedTuple):
    """A target for compiled code."""

    kind: int
    n: int = 1
    decay: float = 0.0
    weighted: bool = True


class Learned(NamedTuple):
    """What a run knows, and room to work."""

    weights: Array  # [D]
    counts: Array  # [D] how often each was learned, for steps of 1 / n; of weighted returns the sum of their weights
    trace: Array  # [D] scratch, as is all below
    change: Array  # [D]
    first: Array  # [S] int64
    returns: Array  # [L]
    importance: Array  # [L]


def compiled(target: Target) -> Method:
    if isinstance(target, MonteCarloReturns):
        return Method(FIRST if target.visits == "first" else EVERY, weighted=target.importance == "weighted")
    if isinstance(target, NStepReturns):
        return Method(N_STEP, n=target.n)
    return Method(VIEWS[target.view], decay=target.decay)


# One episode ---------------------------------------------------------------------------------------------------------


@inner
def move(features: Features, learned: Learned, state: int, step: float, error: float, weight: float) -> None:
    """weights += step * error * gradient; with step 0 by error * weight / the sum of the weights so far."""
    for k in range(features.active.shape[1]):
        at = features.active[state, k]
        learned.counts[at] += weight
        size = step if step > 0 else weight / learned.counts[at]
        learned.weights[at] += size * error * features.scale[state, k]


@inner
def beyond(features: Features, weights: Array, episode: Episode) -> float:
    """What comes after an episode: nothing, or where it was cut off its last state's value."""
    return 0.0 if episode.terminated else value(features, weights, episode.state[-1])


@inner
def monte_carlo(
    features: Features, method: Method, discount: float, step: float, episode: Episode, learned: Learned
) -> None:
    """V(s) moves to the return from each visit to s, or from the first. Sutton & Barto, sections 5.1, 5.5 and 9.3."""
    future, importance = beyond(features, learned.weights, episode), 1.0
    for t in range(len(episode.action) - 1, -1, -1):
        future = episode.reward[t] + discount * future
        importance *= episode.ratio[t]
        learned.returns[t], learned.importance[t] = future, importance
        learned.first[episode.state[t]] = t
    for t in range(len(episode.action)):
        state, importance = episode.state[t], learned.importance[t]
        if method.kind == EVERY or learned.first[state] == t:
            old = value(features, learned.weights, state)
            if not method.weighted:
                move(features, learned, state, step, importance * learned.returns[t] - old, 1.0)
            elif importance > 0:
                move(features, learned, state, step * importance, learned.returns[t] - old, importance)


@inner
def n_step(
    features: Features, method: Method, discount: float, step: float, episode: Episode, learned: Learned
) -> None:
    """V(s_t) moves to r_t + ... + gamma^(n - 1) r_(t + n - 1) + gamma^n V(s_(t + n)). Sutton & Barto, eq. 7.2, 7.9."""
    length = len(episode.action)
    for t in range(length):
        end = min(t + method.n, length)
        target, importance = 0.0, 1.0
        if end < length or not episode.terminated:
            target = value(features, learned.weights, episode.state[end])
        for k in range(end - 1, t - 1, -1):
            target = episode.reward[k] + discount * target
            importance *= episode.ratio[k]
        error = target - value(features, learned.weights, episode.state[t])
        move(features, learned, episode.state[t], step, importance * error, 1.0)


@inner
def backward(
    features: Features, method: Method, discount: float, step: float, episode: Episode, learned: Learned
) -> None:
    """Every weight moves by its trace, which fades by gamma * lambda. Sutton & Barto, sections 12.2, 12.5 and 12.7."""
    weights, trace, change = learned.weights, learned.trace, learned.change
    length, before = len(episode.action), 0.0  # before: what the state was worth until weights moved
    for at in range(features.size):
        trace[at] = change[at] = 0.0
    for t in range(length):
        state, now, future = episode.state[t], value(features, weights, episode.state[t]), 0.0
        if t + 1 < length or not episode.terminated:
            future = value(features, weights, episode.state[t + 1])
        error = episode.reward[t] + discount * future - now
        fade(features, method, discount * method.decay, step, episode.ratio[t], state, learned)
        surplus = now - before if method.kind == DUTCH else 0.0
        for at in range(features.size):
            size = step if step > 0 else 1.0 / max(learned.counts[at], 1.0)  # where it is 0, so is the trace
            change[at] += size * (error + surplus) * trace[at]
        for k in range(features.active.shape[1]):
            change[features.active[state, k]] -= step * surplus * features.scale[state, k]
        before = future
        if method.kind != OFFLINE or t == length - 1:
            for at in range(features.size):
                weights[at] += change[at]
                change[at] = 0.0


@inner
def fade(
    features: Features, method: Method, left: float, step: float, ratio: float, state: int, learned: Learned
) -> None:
    """The trace after a step: what is left of it, and the state's features."""
    trace, overlap = learned.trace, 0.0
    for k in range(features.active.shape[1]):
        learned.counts[features.active[state, k]] += 1.0
        overlap += trace[features.active[state, k]] * features.scale[state, k]
    for at in range(features.size):
        trace[at] *= left
    for k in range(features.active.shape[1]):
        at, scale = features.active[state, k], features.scale[state, k]
        if method.kind == REPLACING:
            trace[at] = scale
        elif method.kind == DUTCH:
            trace[at] += (1.0 - step * left * overlap) * scale
        else:
            trace[at] += scale
    for at in range(features.size):
        trace[at] *= ratio


@inner
def forward(
    features: Features, method: Method, discount: float, step: float, episode: Episode, learned: Learned
) -> None:
    """V(s) moves to its lambda-return, of the values before the episode. Sutton & Barto, eq. 12.2 and 12.18."""
    mixed = beyond(features, learned.weights, episode)
    future = mixed
    for t in range(len(episode.action) - 1, -1, -1):
        mixed = episode.reward[t] + discount * ((1.0 - method.decay) * future + method.decay * mixed)
        future = value(features, learned.weights, episode.state[t])
        learned.returns[t] = mixed - future
    for t in range(len(episode.action)):
        move(features, learned, episode.state[t], step, learned.returns[t], 1.0)


@kernel
def learn(features: Features, method: Method, discount: float, step: float, episode: Episode, learned: Learned) -> None:
    """Learn from an episode, with a step size or, where it is 0, with 1 / n."""
    if method.kind == FIRST or method.kind == EVERY:
        monte_carlo(features, method, discount, step, episode, learned)
    elif method.kind == N_STEP:
        n_step(features, method, discount, step, episode, learned)
    elif method.kind == FORWARD:
        forward(features, method, discount, step, episode, learned)
    else:
        backward(features, method, discount, step, episode, learned)


# Many episodes -------------------------------------------------------------------------------------------------------


@kernel
def predict(
    outcomes: Outcomes,
    behaviour: Array,
    target: Array,
    features: Features,
    method: Method,
    discount: float,
    steps: Array,
    weights: Array,
    counts: Array,
    streams: Array,
    limit: int,
    told: Array,
) -> None:
    """In each run an episode for each of the step sizes; told [2, episodes] adds up mean returns and lengths."""
    runs, size, states = len(streams), features.size, len(target)
    space, trace, change = room(limit), np.empty(size), np.empty(size)
    first, returns, importance = np.empty(states, np.int64), np.empty(limit), np.empty(limit)
    for run in range(runs):
        learned = Learned(weights[run], counts[run], trace, change, first, returns, importance)
        for number in range(len(steps)):
            length, terminated = sample(outcomes, behaviour, target, space, streams, run)
            episode = cut(space, length, terminated)
            learn(features, method, discount, steps[number], episode, learned)
            told[0, number] += episode.reward.sum() / runs
            told[1, number] += length / runs


class Predictor(Assembled):
    """A solver (`agents.api.Solver`): an iteration is an episode in each run.

    policy [S, A]: whose values are learned, of the uniform one if None; behaviour: who acts, if not that policy, and
    takes any action that it may take. starts: numbers of the states in which episodes begin, in place of the world's
    own: what it costs to learn about some states doesn't depend on how many there are.
    """

    STATE = ("weights", "counts", "streams", "episodes", "told")

    def __init__(
        self,
        mdp: MDP,
        options: TabularPrediction,
        policy: Array | None = None,
        behaviour: Array | None = None,
        features: Features | None = None,
        starts: Sequence[int] = (),
        seed_of_runs: int = 0,
    ) -> None:
        self.mdp, self.options, self.method = mdp, options, compiled(options.method)
        self.features = features or tilings(len(mdp.states), options.width, options.tilings)
        self.policy = mdp.uniform() if policy is None else np.ascontiguousarray(policy, np.float64)
        self.behaviour = self.policy if behaviour is None else np.ascontiguousarray(behaviour, np.float64)
        if ((self.policy > 0) & (self.behaviour <= 0)).any():
            raise ValueError(f"{mdp.name}: the policy takes actions that its behaviour never takes")
        self.outcomes = starting(mdp.outcomes, starts) if len(starts) else mdp.outcomes
        self.weights = np.full((options.runs, self.features.size), options.initial)
        self.counts = np.zeros_like(self.weights)
        self.streams = np.empty(options.runs, np.uint64)
        seed(np.arange(options.runs, dtype=np.uint64) + np.uint64(seed_of_runs), self.streams)
        self.episodes, self.told = 0, np.zeros((2, 0))  # told: returns and lengths since they were last asked for
        self._truth: Array | None = None

    def iterate(self, n: int) -> None:
        """n more episodes in each run. n calls of 1 give the same as 1 call of n."""
        options, told = self.options, np.zeros((2, n))
        steps = schedule(options.step_size, self.episodes, n, options.steps) / options.tilings
        predict(
            self.outcomes,
            self.behaviour,
            self.policy,
            self.features,
            self.method,
            options.discount,
            steps,
            self.weights,
            self.counts,
            self.streams,
            options.episode_limit,
            told,
        )
        self.episodes += n
        self.told = np.concatenate([self.told, told], axis=1)

    def values(self) -> Array:
        """[runs, S]; 0 in terminal states."""
        return np.where(self.mdp.terminal, 0.0, values(self.features, self.weights))

    def errors(self) -> Array:
        """[runs]: root of the mean squared error of the values, over all states that are not terminal."""
        if self._truth is None:
            self._truth = evaluate(self.mdp, self.policy, self.options.discount)
        wrong = (self.values() - self._truth)[:, ~self.mdp.terminal]
        return np.asarray(np.sqrt((wrong**2).mean(1)))

    def metrics(self) -> Mapping[str, float]:
        (returns, lengths), self.told = self.told, np.zeros((2, 0))
        return {"train/return": float(returns.mean()), "train/length": float(lengths.mean())} if len(returns) else {}

    def evaluate(self) -> Mapping[str, float]:
        return {"eval/rms_error": float(self.errors().mean())}


def make(config: TabularPrediction, seeds: Seeds) -> Predictor:
    """Raises ValueError where there is no such MDP."""
    return Predictor(make_mdp(config.mdp), config, seed_of_runs=seeds.integer("runs"))


ALGORITHM = Algorithm[TabularPrediction](solver=make)

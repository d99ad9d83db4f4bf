"""Probabilistic programs: a Python function that draws at random, and what follows where its draws meet what was seen.

    def program() -> bool:
        rain = sample("rain", Bernoulli(0.2))
        observe("wet", Bernoulli(0.9 if rain else 0.1), True)
        return rain

    enumerate_(program).probability()           # exact
    importance(program, 10_000, rng).mean()     # and rejection, metropolis, variational

What `sample` and `observe` do is said by whoever runs the program (effect handlers, Plotkin and Pretnar 2009; in this
use Moore and Gorinova 2018, https://arxiv.org/abs/1811.06150). A draw is known by its name, which must be another one
for each draw of a run. Names may depend on earlier draws, and so may their number.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from generative.inference.distributions import Bernoulli, Categorical, Distribution, Gaussian

Program = Callable[[], Any]


class Impossible(ValueError):
    """What was seen can't be."""


# What a program calls


def sample(name: Hashable, distribution: Distribution) -> Any:
    """A draw. Raises RuntimeError outside a run."""
    return _runner().sample(name, distribution)


def observe(name: Hashable, distribution: Distribution, value: Any) -> None:
    """What would have been drawn is known."""
    factor(distribution.log_prob(value))


def condition(holds: bool) -> None:
    """It is known that this holds."""
    factor(0.0 if holds else -math.inf)


def factor(log_weight: float) -> None:
    """Let this run count exp(log_weight) times."""
    _runner().weigh(log_weight)


# Who runs it


class Runner(Protocol):
    def sample(self, name: Hashable, distribution: Distribution) -> Any: ...

    def weigh(self, log_weight: float) -> None: ...


_RUNNERS: list[Runner] = []  # the innermost last


def _runner() -> Runner:
    if not _RUNNERS:
        raise RuntimeError("sample, observe, condition and factor belong into a program that is run by an inference")
    return _RUNNERS[-1]


def _run(program: Program, runner: Runner) -> Any:
    _RUNNERS.append(runner)
    try:
        return program()
    finally:
        _RUNNERS.pop()


class Choice(Protocol):
    def __call__(self, name: Hashable, distribution: Distribution) -> Any: ...


@dataclass
class Trace:
    """A run: its draws by name, their log probabilities, and the weight of what was seen."""

    choose: Choice
    draws: dict[Hashable, Any] = field(default_factory=dict)
    log_probs: dict[Hashable, float] = field(default_factory=dict)
    log_weight: float = 0.0
    value: Any = None

    def sample(self, name: Hashable, distribution: Distribution) -> Any:
        if name in self.draws:
            raise ValueError(f"two draws of one run are named {name!r}")
        value = self.draws[name] = self.choose(name, distribution)
        self.log_probs[name] = distribution.log_prob(value)
        return value

    def weigh(self, log_weight: float) -> None:
        self.log_weight += log_weight

    @property
    def log_joint(self) -> float:
        return sum(self.log_probs.values()) + self.log_weight


def trace(program: Program, choose: Choice) -> Trace:
    """Run it, with draws chosen so."""
    found = Trace(choose)
    found.value = _run(program, found)
    return found


def _from(rng: np.random.Generator) -> Choice:
    return lambda name, distribution: distribution.draw(rng)


# What comes of it


class Posterior:
    """Values of the program, with weights that sum to 1; log_evidence: of what was seen, nan where it isn't known."""

    def __init__(self, values: Sequence[Any], weights: NDArray[Any], log_evidence: float = math.nan) -> None:
        self.values, self.weights, self.log_evidence = values, weights, log_evidence

    def probability(self, holds: Callable[[Any], bool] = bool) -> float:
        return float(sum(weight for value, weight in zip(self.values, self.weights, strict=True) if holds(value)))

    def mean(self) -> Any:
        return self.weights @ np.asarray(self.values, np.float64)

    def variance(self) -> Any:
        return self.weights @ np.square(np.asarray(self.values, np.float64) - self.mean())

    def table(self) -> dict[Any, float]:
        """The probability of each value, the likeliest first."""
        found: dict[Any, float] = {}
        for value, weight in zip(self.values, self.weights, strict=True):
            found[value] = found.get(value, 0.0) + float(weight)
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def _weighed(traces: Sequence[Trace], log_weights: NDArray[Any], runs: int) -> Posterior:
    highest = log_weights.max(initial=-math.inf)
    if highest == -math.inf:
        raise Impossible(f"none of {runs} runs agrees with what was seen")
    weights = np.exp(log_weights - highest)
    evidence = highest + math.log(weights.sum() / runs)
    return Posterior([found.value for found in traces], weights / weights.sum(), evidence)


class _Open(Exception):
    """The run comes to a draw that has not been chosen yet."""

    def __init__(self, name: Hashable, distribution: Distribution) -> None:
        self.name, self.distribution = name, distribution


def enumerate_(program: Program, tolerance: float = 1e-12, limit: int = 1_000_000) -> Posterior:
    """Every run, the likeliest first; those that never end are left when all that are open weigh less than `tolerance`
    of those that have ended. Exact but for that. Raises ValueError for draws that can't be counted, or after so many
    runs, Impossible where no run agrees with what was seen."""
    ended: list[Trace] = []
    order, total, left = itertools.count(), 0.0, 1.0
    heap: list[tuple[float, int, dict[Hashable, Any]]] = [(-1.0, next(order), {})]
    for _ in range(limit):
        if not heap or left <= tolerance * total:
            break
        weight, _, chosen = heapq.heappop(heap)
        left += weight
        found = Trace(_chosen(chosen))
        try:
            found.value = _run(program, found)
        except _Open as open_:
            support = open_.distribution.support()
            before = math.exp(found.log_joint)
            for value in support if before else ():
                weight = before * math.exp(open_.distribution.log_prob(value))
                if weight:
                    heapq.heappush(heap, (-weight, next(order), chosen | {open_.name: value}))
                    left += weight
        else:
            if found.log_joint > -math.inf:
                ended.append(found)
                total += math.exp(found.log_joint)
    else:
        raise ValueError(f"after {limit} runs of the program others of weight are left: raise the tolerance")
    if not ended:
        raise Impossible("no run of the program agrees with what was seen")
    weights = np.exp([found.log_joint for found in ended])
    return Posterior([found.value for found in ended], weights / weights.sum(), math.log(weights.sum()))


def _chosen(values: dict[Hashable, Any]) -> Choice:
    def choose(name: Hashable, distribution: Distribution) -> Any:
        if name not in values:
            raise _Open(name, distribution)
        return values[name]

    return choose


def rejection(program: Program, count: int, rng: np.random.Generator, tries: int = 100_000) -> Posterior:
    """So many runs that agree with what was seen: each is kept with the chance exp(log weight). Raises ValueError where
    that is more than 1, as of densities, Impossible where so many tries don't give them."""
    kept: list[Trace] = []
    for attempt in range(tries):
        found = trace(program, _from(rng))
        if found.log_weight > 1e-12:
            raise ValueError(f"a run has weight {math.exp(found.log_weight)}: rejection wants probabilities, up to 1")
        if math.log(rng.random()) < found.log_weight:
            kept.append(found)
        if len(kept) == count:
            return _weighed(kept, np.zeros(count), attempt + 1)
    raise Impossible(f"{tries} runs gave {len(kept)} of {count} that agree with what was seen")


def importance(program: Program, count: int, rng: np.random.Generator) -> Posterior:
    """So many runs, each weighed by what was seen. Raises Impossible where none agrees with it."""
    traces = [trace(program, _from(rng)) for _ in range(count)]
    return _weighed(traces, np.array([found.log_weight for found in traces]), count)


def metropolis(
    program: Program, count: int, rng: np.random.Generator, burn_in: int = 1000, tries: int = 10_000
) -> Posterior:
    """A chain of runs: one draw is drawn anew, and what follows from it (Wingate et al. 2011,
    https://proceedings.mlr.press/v15/wingate11a.html). Raises Impossible where no run agrees with what was seen."""
    for _ in range(tries):
        now = trace(program, _from(rng))
        if now.log_weight > -math.inf:
            break
    else:
        raise Impossible(f"none of {tries} runs agrees with what was seen")
    values = []
    for step in range(burn_in + count):
        if now.draws:
            now = _moved(program, now, rng)
        if step >= burn_in:
            values.append(now.value)
    return Posterior(values, np.full(count, 1 / count))


def _moved(program: Program, now: Trace, rng: np.random.Generator) -> Trace:
    names = list(now.draws)
    again = names[rng.integers(len(names))]
    fresh: set[Hashable] = set()

    def choose(name: Hashable, distribution: Distribution) -> Any:
        if name == again or name not in now.draws or distribution.log_prob(now.draws[name]) == -math.inf:
            fresh.add(name)
            return distribution.draw(rng)
        return now.draws[name]

    then = trace(program, choose)
    forward = sum(then.log_probs[name] for name in fresh) - math.log(len(names))
    gone = [name for name in names if name in fresh or name not in then.draws]
    back = sum(now.log_probs[name] for name in gone) - math.log(len(then.draws))
    ratio = then.log_joint - now.log_joint + back - forward
    return then if math.log(rng.random()) < ratio else now


def variational(
    program: Program,
    rng: np.random.Generator,
    steps: int = 1000,
    draws: int = 32,
    rate: float = 0.05,
    count: int = 10_000,
) -> Posterior:
    """Draws that are independent of each other, and as near to the posterior as such can be: up the evidence lower
    bound along the score function (Ranganath et al. 2014, https://arxiv.org/abs/1401.0118). The posterior that comes
    back is of `count` runs with those draws; its log_evidence is the bound. Raises ValueError for draws that are
    neither normal nor to be counted, and where a run can't be at all: from there no gradient leads away."""
    guide = _Guide(rng)
    for step in range(steps):
        guide.learn([guide.run(program) for _ in range(draws)], rate * (1 - step / steps))
    runs = [guide.run(program) for _ in range(count)]
    bound = float(np.mean([found.log_joint - log_q for found, log_q, _ in runs]))
    return Posterior([found.value for found, _, _ in runs], np.full(count, 1 / count), bound)


class _Guide:
    """For each draw, by name, parameters [k] of its own distribution: mean and log deviation, or logits; with Adam."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.parameters: dict[Hashable, NDArray[Any]] = {}
        self.moments: dict[Hashable, tuple[NDArray[Any], NDArray[Any], int]] = {}

    def run(self, program: Program) -> tuple[Trace, float, dict[Hashable, NDArray[Any]]]:
        """A run, the log probability of its draws here, and the gradients of that by the parameters."""
        log_q, scores = 0.0, dict[Hashable, NDArray[Any]]()

        def choose(name: Hashable, distribution: Distribution) -> Any:
            nonlocal log_q
            own = self.parameters.setdefault(name, _begin(distribution))
            if isinstance(distribution, Gaussian):
                noise = float(self.rng.standard_normal())
                log_q += -(noise**2) / 2 - own[1] - math.log(2 * math.pi) / 2
                scores[name] = np.array([noise * math.exp(-own[1]), noise**2 - 1])
                return own[0] + math.exp(own[1]) * noise
            chances = np.exp(own - own.max())
            chances /= chances.sum()
            index = int(self.rng.choice(len(own), p=chances))
            log_q += math.log(chances[index])
            scores[name] = np.eye(len(own))[index] - chances
            return distribution.support()[index]

        return trace(program, choose), log_q, scores

    def learn(self, runs: Sequence[tuple[Trace, float, dict[Hashable, NDArray[Any]]]], rate: float) -> None:
        worth = np.array([found.log_joint - log_q for found, log_q, _ in runs])
        if not np.isfinite(worth).all():
            raise ValueError("a run of the program can't be, given what was seen: variational wants that each can")
        worth -= worth.mean()
        for name in self.parameters:
            scores = [(w, score[name]) for w, (_, _, score) in zip(worth, runs, strict=True) if name in score]
            if scores:
                gradient = sum(w * score for w, score in scores) / len(runs)
                mean, square, step = self.moments.get(name, (np.zeros_like(gradient), np.zeros_like(gradient), 0))
                mean, square, step = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2, step + 1
                self.moments[name] = mean, square, step
                sized = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
                self.parameters[name] = self.parameters[name] + rate * sized


def _begin(distribution: Distribution) -> NDArray[Any]:
    if isinstance(distribution, Gaussian):
        return np.array([distribution.mean, math.log(distribution.deviation)])
    if isinstance(distribution, Bernoulli | Categorical):
        return np.zeros(len(distribution.support()))
    raise ValueError(f"variational: draws of {type(distribution).__name__} have no family here")

"""Evolution strategies: a distribution in place of a point, moved toward the better ones of a population.

    method = CMAES(np.ones(10), deviation=0.5, rng=np.random.default_rng(0))
    while method.deviation > 1e-9:
        method.tell([f(x) for x in method.ask()])
    method.mean

`ask` gives points [P, n], `tell` takes their values [P], lower is better: who evaluates them, one after another or a
fleet of actors, is not known here. A value that is NaN counts as the worst. All state is in `state_dict`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from supervised.optimize.objectives import Array


class Evolution:
    """What the strategies share: `mean` [n], the population that was asked for, and its order."""

    STATE: ClassVar[tuple[str, ...]] = ("mean", "asked", "generations")

    def __init__(self, mean: Array, population: int, rng: np.random.Generator) -> None:
        if population < 2:
            raise ValueError(f"a population of {population} can't be told apart: it needs two at least")
        self.mean, self.population, self.rng = np.asarray(mean, np.float64), population, rng
        self.asked = np.zeros((0, len(self.mean)))  # [P, n], empty when they have been told
        self.generations = 0

    def ask(self) -> Array:
        """The points [P, n] whose values are wanted. The same again until they have been told."""
        if not len(self.asked):
            self.asked = self.draw()
        return self.asked

    def tell(self, values: Sequence[float] | Array) -> None:
        """Values [P] of what was asked for."""
        found = np.asarray(values, np.float64)
        if found.shape != (len(self.asked),):
            raise ValueError(f"{found.shape} values were told of {len(self.asked)} points that were asked for")
        self.learn(np.argsort(np.where(np.isnan(found), np.inf, found), kind="stable"))
        self.asked = self.asked[:0]
        self.generations += 1

    @property
    @abstractmethod
    def spread(self) -> float:
        """A standard deviation of the distribution, in units of x."""

    @abstractmethod
    def draw(self) -> Array:
        """A new population [P, n]."""

    @abstractmethod
    def learn(self, order: Array) -> None:
        """Move the distribution; `order` [P] numbers the points of `asked` from the best on."""

    def state_dict(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in self.STATE}
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in kept.items()} | {
            "rng": self.rng.bit_generator.state
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.STATE:
            value = state[name]
            setattr(self, name, value.copy() if isinstance(value, np.ndarray) else value)
        self.rng.bit_generator.state = state["rng"]


class Gaussian(Evolution):
    """The simple one: the mean of the elite, and one deviation for all coordinates, that of the elite around the mean
    before."""

    STATE = (*Evolution.STATE, "deviation")

    def __init__(
        self, mean: Array, deviation: float, rng: np.random.Generator, population: int = 50, elite: float = 0.2
    ) -> None:
        super().__init__(mean, population, rng)
        self.deviation, self.elite = deviation, max(round(elite * population), 1)

    @property
    def spread(self) -> float:
        return self.deviation

    def draw(self) -> Array:
        return self.mean + self.deviation * self.rng.standard_normal((self.population, len(self.mean)))

    def learn(self, order: Array) -> None:
        best = self.asked[order[: self.elite]]
        self.deviation = float(np.sqrt(np.square(best - self.mean).mean()))
        self.mean = best.mean(0)


class CrossEntropy(Evolution):
    """The cross-entropy method: mean and deviation, of each coordinate, of the elite (de Boer et al. 2005,
    https://doi.org/10.1007/s10479-005-5724-z). `floor` is a variance that is added, so that it can't stop too early; it
    shrinks to nothing over `generations` (Szita and Lorincz 2006, https://doi.org/10.1162/neco.2006.18.12.2936)."""

    STATE = (*Evolution.STATE, "deviation")

    def __init__(
        self,
        mean: Array,
        deviation: float,
        rng: np.random.Generator,
        population: int = 50,
        elite: float = 0.2,
        floor: float = 0.0,
        over: int = 1,
    ) -> None:
        super().__init__(mean, population, rng)
        self.deviation = np.full(len(self.mean), float(deviation))  # [n]
        self.elite, self.floor, self.over = max(round(elite * population), 1), floor, over

    @property
    def spread(self) -> float:
        return float(self.deviation.max())

    def draw(self) -> Array:
        return self.mean + self.deviation * self.rng.standard_normal((self.population, len(self.mean)))

    def learn(self, order: Array) -> None:
        best = self.asked[order[: self.elite]]
        added = self.floor * max(1 - self.generations / self.over, 0.0)
        self.mean, self.deviation = best.mean(0), np.sqrt(best.var(0) + added)


class NaturalEvolution(Evolution):
    """Separable natural evolution strategy: the natural gradient of the expected utility in mean and log deviation of
    each coordinate, with utilities by rank (Wierstra et al. 2014, https://jmlr.org/papers/v15/wierstra14a.html, SNES).
    The population comes in mirrored pairs."""

    STATE = (*Evolution.STATE, "deviation")

    def __init__(
        self,
        mean: Array,
        deviation: float,
        rng: np.random.Generator,
        population: int | None = None,
        rate: float = 1.0,
        deviation_rate: float | None = None,
    ) -> None:
        n = len(np.asarray(mean))
        size = population or 4 + int(3 * math.log(n))
        super().__init__(mean, size + size % 2, rng)
        self.deviation = np.full(n, float(deviation))
        self.rate = rate
        self.deviation_rate = (3 + math.log(n)) / (5 * math.sqrt(n)) if deviation_rate is None else deviation_rate
        ranked = np.maximum(0.0, math.log(self.population / 2 + 1) - np.log(np.arange(1, self.population + 1)))
        self.utilities = ranked / ranked.sum() - 1 / self.population

    @property
    def spread(self) -> float:
        return float(self.deviation.max())

    def draw(self) -> Array:
        half = self.rng.standard_normal((self.population // 2, len(self.mean)))
        return self.mean + self.deviation * np.concatenate([half, -half])

    def learn(self, order: Array) -> None:
        drawn = (self.asked[order] - self.mean) / self.deviation
        self.mean = self.mean + self.rate * self.deviation * (self.utilities @ drawn)
        self.deviation = self.deviation * np.exp(self.deviation_rate / 2 * (self.utilities @ (drawn**2 - 1)))


class CMAES(Evolution):
    """Covariance matrix adaptation with Hansen's default settings (The CMA evolution strategy: a tutorial, 2016,
    https://arxiv.org/abs/1604.00772, table 1). The worse half of the population has negative weights: where it went the
    covariance shrinks."""

    STATE = (*Evolution.STATE, "deviation", "covariance", "path", "path_deviation")

    def __init__(self, mean: Array, deviation: float, rng: np.random.Generator, population: int | None = None) -> None:
        n = len(np.asarray(mean))
        super().__init__(mean, population or 4 + int(3 * math.log(n)), rng)
        self.deviation, self.covariance = float(deviation), np.eye(n)
        self.path, self.path_deviation = np.zeros(n), np.zeros(n)
        half = self.population // 2
        weights = math.log((self.population + 1) / 2) - np.log(np.arange(1, self.population + 1))
        better, worse = weights[:half], weights[half:]
        self.weights = better / better.sum()  # [mu] of the mean
        effective = self.effective = 1 / np.square(self.weights).sum()
        self.rate_deviation = (effective + 2) / (n + effective + 5)
        self.rate_path = (4 + effective / n) / (n + 4 + 2 * effective / n)
        self.rate_one = 2 / ((n + 1.3) ** 2 + effective)
        self.rate_many = min(1 - self.rate_one, 2 * (effective + 1 / effective - 2) / ((n + 2) ** 2 + effective))
        most = min(
            1 + self.rate_one / self.rate_many,
            1 + 2 * (worse.sum() ** 2 / np.square(worse).sum()) / (effective + 2),
            (1 - self.rate_one - self.rate_many) / (n * self.rate_many),  # or it might not stay positive definite
        )
        self.signed = np.concatenate([self.weights, most * worse / np.abs(worse).sum()])  # [P] of the covariance
        self.damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (n + 1)) - 1) + self.rate_deviation
        self.length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))  # expected, of a standard normal vector

    @property
    def spread(self) -> float:
        return self.deviation * math.sqrt(float(self.covariance.diagonal().max()))

    def draw(self) -> Array:
        axes, scales = self._axes()
        normal = self.rng.standard_normal((self.population, len(self.mean)))
        return self.mean + self.deviation * (normal * scales) @ axes.T

    def learn(self, order: Array) -> None:
        axes, scales = self._axes()
        steps = (self.asked[order] - self.mean) / self.deviation
        step = self.weights @ steps[: len(self.weights)]
        whitened = axes @ ((axes.T @ step) / scales)  # C^-1/2 step
        keep = 1 - self.rate_deviation
        self.path_deviation = (
            keep * self.path_deviation
            + math.sqrt(self.rate_deviation * (2 - self.rate_deviation) * self.effective) * whitened
        )
        length = float(np.linalg.norm(self.path_deviation))
        begun = math.sqrt(1 - keep ** (2 * (self.generations + 1)))
        going = length / begun < (1.4 + 2 / (len(self.mean) + 1)) * self.length  # the deviation doesn't grow too fast
        self.path = (1 - self.rate_path) * self.path
        if going:
            self.path = self.path + math.sqrt(self.rate_path * (2 - self.rate_path) * self.effective) * step
        lost = 0.0 if going else self.rate_one * self.rate_path * (2 - self.rate_path)
        lengths = np.square(steps @ axes / scales).sum(1)
        weights = np.where(self.signed > 0, self.signed, self.signed * len(self.mean) / np.maximum(lengths, 1e-300))
        self.covariance = (
            (1 - self.rate_one - self.rate_many * self.signed.sum() + lost) * self.covariance
            + self.rate_one * np.outer(self.path, self.path)
            + self.rate_many * (steps.T * weights) @ steps
        )
        self.mean = self.mean + self.deviation * step
        self.deviation *= math.exp(self.rate_deviation / self.damping * (length / self.length - 1))

    def _axes(self) -> tuple[Array, Array]:
        """Eigenvectors [n, n] of the covariance, and the roots [n] of its eigenvalues."""
        values, axes = np.linalg.eigh(self.covariance)
        return axes, np.sqrt(np.maximum(values, 1e-300))

"""Distributions of single draws: what programs draw from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

NEVER = -math.inf


class Distribution(Protocol):
    def draw(self, rng: np.random.Generator) -> Any: ...

    def log_prob(self, value: Any) -> float:
        """Log probability or density; -inf where there is none."""
        ...

    def support(self) -> Sequence[Any]:
        """All values that can be drawn. Raises ValueError where they can't be counted."""
        ...


class _Dense:
    def support(self) -> Sequence[Any]:
        raise ValueError(f"the values of {self} can't be counted: infer by draws, not by enumeration")


@dataclass(frozen=True)
class Bernoulli:
    probability: float  # of True

    def draw(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < self.probability)

    def log_prob(self, value: Any) -> float:
        chance = self.probability if value else 1 - self.probability
        return math.log(chance) if chance > 0 else NEVER

    def support(self) -> Sequence[bool]:
        return (True, False)


@dataclass(frozen=True)
class Categorical:
    values: tuple[Any, ...]
    probabilities: tuple[float, ...]  # sum to 1

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.choice(len(self.values), p=self.probabilities))]

    def log_prob(self, value: Any) -> float:
        chance = sum(p for v, p in zip(self.values, self.probabilities, strict=True) if v == value)
        return math.log(chance) if chance > 0 else NEVER

    def support(self) -> Sequence[Any]:
        return self.values


@dataclass(frozen=True)
class Gaussian(_Dense):
    mean: float
    deviation: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.normal(self.mean, self.deviation))

    def log_prob(self, value: float) -> float:
        return -(((value - self.mean) / self.deviation) ** 2) / 2 - math.log(self.deviation) - math.log(2 * math.pi) / 2


@dataclass(frozen=True)
class Beta(_Dense):
    a: float
    b: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.beta(self.a, self.b))

    def log_prob(self, value: float) -> float:
        if not 0 < value < 1:
            return NEVER
        scale = math.lgamma(self.a + self.b) - math.lgamma(self.a) - math.lgamma(self.b)
        return scale + (self.a - 1) * math.log(value) + (self.b - 1) * math.log1p(-value)

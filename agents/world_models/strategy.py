"""CMA-ES (Hansen 2016, https://arxiv.org/abs/1604.00772), of the package `cma`, by ask and tell, saved and resumed.

strategy = CMA(parameters=867, population=64, deviation=0.5, seed=0)
found = strategy.ask()                                  # [64, 867], to be judged
strategy.tell(values)                                   # [64], the more the better
strategy.mean                                           # [867], the best guess
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.api import State
from envs.api import Array
from experiment.extras import require


class CMA:
    """Its state is what it was told: whoever loads it asks and tells once more from the beginning, and so `cma` may
    keep what it wants. Raises ValueError where that package isn't there."""

    def __init__(self, parameters: int, population: int, deviation: float, seed: int) -> None:
        require("cma", "evolution", "world_models")
        self.parameters, self.population, self.deviation, self.seed = parameters, population, deviation, seed
        self.begin()

    def begin(self) -> None:
        import cma

        rng = np.random.default_rng(self.seed)
        options = {"popsize": self.population, "randn": lambda *shape: rng.standard_normal(shape), "verbose": -9}
        self.strategy: Any = cma.CMAEvolutionStrategy(
            np.zeros(self.parameters), self.deviation, options | {"seed": 1 + self.seed % 2**31}
        )
        self.told: list[Array] = []
        self.asked: list[Array] = []

    def ask(self) -> Array:
        """The generation to be judged, float64 [population, parameters]; the same until it is told."""
        if not self.asked:
            self.asked = self.strategy.ask()
        return np.stack(self.asked)

    def tell(self, values: Array) -> None:
        """What each of them is worth, [population]."""
        self.ask()
        self.strategy.tell(self.asked, (-values.astype(np.float64)).tolist())  # it minimizes
        self.told.append(values.astype(np.float64))
        self.asked = []

    @property
    def mean(self) -> Array:
        """[parameters]."""
        return np.asarray(self.strategy.mean, np.float64)

    @property
    def sigma(self) -> float:
        """The overall deviation."""
        return float(self.strategy.sigma)

    def state_dict(self) -> State:
        told = np.stack(self.told) if self.told else np.empty((0, self.population))
        return {"told": told}

    def load_state_dict(self, state: State) -> None:
        self.begin()
        for values in state["told"]:
            self.tell(values)

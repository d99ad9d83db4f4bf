"""A game is solved by iterations, without actors."""

from __future__ import annotations

import time
from collections.abc import Mapping

from agents.api import Solver, State

PATIENCE = 0.5  # seconds of iterations after which a signal is heard and the progress bar drawn


class Solving:
    """A course (`experiment.course.Course`)."""

    unit = "iterations"

    def __init__(self, solver: Solver) -> None:
        self.solver = solver
        self.steps = 0
        self.chunk = 1  # iterations between two looks at the clocks: the result does not depend on it

    def begin(self) -> None:
        """The solver is ready."""

    def advance(self, until: int) -> None:
        n = min(self.chunk, until - self.steps)
        began = time.perf_counter()
        self.solver.iterate(n)
        seconds = time.perf_counter() - began
        self.steps += n
        self.chunk = max(1, min(2 * self.chunk, int(n * PATIENCE / max(seconds, 1e-9))))

    def news(self) -> None:
        """Nothing is known without evaluating."""

    def metrics(self) -> Mapping[str, float]:
        return self.solver.metrics()

    def evaluate(self) -> Mapping[str, float]:
        return self.solver.evaluate()

    def close(self) -> None:
        """Nothing is held."""

    def state_dict(self) -> State:
        """Everything: a run that loads it goes on as if it had never stopped."""
        return {"solver": self.solver.state_dict(), "loop": {"steps": self.steps}}

    def load_state_dict(self, state: State) -> None:
        self.solver.load_state_dict(state["solver"])
        self.steps = state["loop"]["steps"]

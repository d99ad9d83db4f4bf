"""How often, and how soon, a failed actor is replaced."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from agents.api import State
from agents.config import Runtime
from experiment.course import Failure
from experiment.stop import pause


class FleetError(Failure):
    """An actor failed for good. The message shows which one and the world's own traceback."""


class Restarts:
    """Counts replacements against the budget of a run. `incarnations[i]`: how often actor i was replaced so far."""

    def __init__(self, runtime: Runtime, sleep: Callable[[float], None] = pause) -> None:
        self.budget, self.backoff, self.sleep = runtime.restarts, runtime.backoff, sleep
        self.incarnations = [0] * runtime.actors
        self.used = 0  # by this process: what an earlier one used up is not held against it

    def replace(self, index: int, reason: str) -> int:
        """Wait out the back-off and return the number of the actor's next incarnation.

        Raises FleetError when the budget is used up; the actor still counts as replaced, so that a run that is resumed
        after the cause was mended doesn't repeat the same episodes.
        """
        self.incarnations[index] += 1
        if self.used >= self.budget:
            spent = f"{self.used} of runtime.restarts={self.budget} are used up"
            raise FleetError(f"actor {index} failed and was not replaced ({spent}): {reason}")
        self.used += 1
        warnings.warn(f"actor {index} is replaced ({self.used} of {self.budget} restarts): {reason}", stacklevel=2)
        self.sleep(self.backoff * 2 ** (self.used - 1))
        return self.incarnations[index]

    def state_dict(self) -> State:
        return {"incarnations": list(self.incarnations)}

    def load_state_dict(self, state: State) -> None:
        self.incarnations = list(state["incarnations"])

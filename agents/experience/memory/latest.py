"""The memory of on-policy algorithms: it hands out what was just collected, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.api import State
from agents.experience.rewards.rewards import Rewards
from agents.records import Experience, Sample, Unroll, from_state, side_by_side, state_of


class Latest:
    """Unrolls of all actors in order of arrival, joined side by side or otherwise; `sample` empties it."""

    def __init__(
        self, rewards: Rewards | None = None, join: Callable[[Sequence[Unroll]], Unroll] = side_by_side
    ) -> None:
        self.rewards, self.join = rewards or Rewards(), join
        self.unrolls: list[Unroll] = []

    def add(self, experience: Experience) -> None:
        self.unrolls.append(experience.rows)

    def sample(self) -> Sample:
        """All Unrolls since the last sample as one, as if a single actor had made them in all rows."""
        if not self.unrolls:
            raise ValueError("nothing was collected since the last sample")
        unrolls, self.unrolls = self.unrolls, []
        return Sample(self.rewards.relabelled(self.join(unrolls)))

    def update(self, sample: Sample, priority: object) -> None:
        """Priorities don't matter: every sample is all there is."""

    def state_dict(self) -> State:
        return {"unrolls": {str(i): state_of(unroll) for i, unroll in enumerate(self.unrolls)}}

    def load_state_dict(self, state: State) -> None:
        stored = state["unrolls"]
        self.unrolls = [from_state(stored[str(i)]) for i in range(len(stored))]

"""Finite MDPs as Gymnasium environments: `tabular/NAME-v0` is the world that `make_mdp(NAME)` makes.

Observations are the numbers of states. Legal actions are shown as info["action_mask"] where not all are. After 1000
steps every episode is cut off, for there are worlds without end.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.tabular.make import WORLDS, make_mdp

LIMIT = 1000  # steps of an episode


class FiniteWorld(gymnasium.Env[int, int]):
    """world: a name that `make_mdp` knows; parameters: those of the world. An illegal action raises ValueError."""

    def __init__(self, world: str, **parameters: Any) -> None:
        given = ",".join(f"{key}={value}" for key, value in parameters.items())
        self.mdp = make_mdp(f"{world}({given})")
        self.observation_space: spaces.Space[Any] = spaces.Discrete(len(self.mdp.states))
        self.action_space: spaces.Space[Any] = spaces.Discrete(len(self.mdp.actions))
        self.masked = not self.mdp.legal[~self.mdp.terminal].all()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = self._drawn(self.mdp.outcomes.start_bound)
        return self.state, self._shown()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        k = self.mdp.outcomes
        first, last = k.first[self.state, action : action + 2]
        if first == last:
            raise ValueError(f"{self.mdp.actions[action]!r} is not legal in {self.mdp.states[self.state]!r}")
        place = first + self._drawn(k.bound[first:last])
        self.state = int(k.next_state[place])
        return self.state, float(k.reward[place]), bool(k.terminated[place]), False, self._shown()

    def _drawn(self, bound: Any) -> int:
        return int(np.searchsorted(bound, self.np_random.random(), side="right"))

    def _shown(self) -> dict[str, Any]:
        return {"action_mask": self.mdp.legal[self.state].astype(np.int8)} if self.masked else {}


def register() -> None:
    """Register every world that is not registered yet."""
    for world in WORLDS:
        if (id := f"tabular/{world}-v0") not in gymnasium.registry:
            gymnasium.register(
                id, entry_point=f"{__name__}:FiniteWorld", max_episode_steps=LIMIT, kwargs={"world": world}
            )

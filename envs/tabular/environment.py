"""Finite MDPs as Gymnasium environments: `tabular/NAME-v0` is the world that `make_mdp(NAME)` makes, or a POMDP's.

Observations are the numbers of states. Legal actions are shown as info["action_mask"] where not all are. After 1000
steps every episode is cut off, for there are worlds without end.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.tabular.make import WORLDS, make_mdp
from envs.tabular.mdp import MDP
from envs.tabular.pomdp import POMDPS

LIMIT = 1000  # steps of an episode


class FiniteWorld(gymnasium.Env[int, int]):
    """world: a name that `make_mdp` knows; parameters: those of the world. An illegal action raises ValueError."""

    def __init__(self, world: str, **parameters: Any) -> None:
        given = ",".join(f"{key}={value}" for key, value in parameters.items())
        self._of(make_mdp(f"{world}({given})"))
        self.observation_space: spaces.Space[Any] = spaces.Discrete(len(self.mdp.states))

    def _of(self, mdp: MDP) -> None:
        self.mdp = mdp
        self.action_space: spaces.Space[Any] = spaces.Discrete(len(mdp.actions))
        self.masked = not mdp.legal[~mdp.terminal].all()

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


class HiddenWorld(FiniteWorld):
    """A POMDP: observations are its own, by number, and the number after these as long as nothing was seen yet."""

    def __init__(self, world: str, **parameters: Any) -> None:
        self.hidden = POMDPS[world](**parameters)
        self._of(self.hidden.mdp)
        self.observation_space = spaces.Discrete(len(self.hidden.observations) + 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        return len(self.hidden.observations), super().reset(seed=seed, options=options)[1]

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        state, *rest = super().step(action)
        chances = self.hidden.seen[action, state]
        return int(self.np_random.choice(len(chances), p=chances)), *rest  # type: ignore[return-value]


def register() -> None:
    """Register every world that is not registered yet."""
    for kind, worlds in ((FiniteWorld, WORLDS), (HiddenWorld, POMDPS)):
        for world in worlds:
            if (id := f"tabular/{world}-v0") not in gymnasium.registry:
                entry, limit = f"{__name__}:{kind.__name__}", LIMIT
                gymnasium.register(id, entry_point=entry, max_episode_steps=limit, kwargs={"world": world})

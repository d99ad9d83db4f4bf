"""Worlds that show pictures, compiled, all rows at once: fast enough for whole populations of policies.

    env = make("pixels/Hover-v0", count=64)

Their ids begin with "pixels/". A snapshot is the rows' numbers.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from envs import streams
from envs.api import Array, Continuous, EnvError, Spec, Step
from envs.compiled import STREAMS, compiler
from envs.gymnasium_env import episode_seed
from envs.spaces import UnsupportedEnv

kernel = compiler([Path(__file__), STREAMS])
X, Y, SPEED_X, SPEED_Y = range(4)  # of a row
RADIUS = 1.0  # of the ball as it is drawn, in pixels


class Hover:
    """A ball that is pushed from the middle to the walls, and blown about, hovers by its thrust (`envs.api.VectorEnv`).

    In each of two directions place and speed change by
        x' = x + v,  v' = v + push * x + thrust * a + gust * noise,     a in [-1, 1],
    and the reward is 1 - |x'|^2 / 2: 1 in the middle, 0 in a corner. Whoever is at a wall, |x| > 1, has lost: 0, and no
    future. Cut off after 100 steps. The picture, grey uint8 [1, size, size], shows where the ball is, not how fast it
    moves; who pushes back by the place alone makes it swing ever further, and the best such rule gets a third of what
    is to be had (tests/envs/test_pixels.py).
    """

    def __init__(
        self,
        count: int,
        max_steps: int | None = None,
        size: int = 16,
        push: float = 0.02,
        thrust: float = 0.03,
        gust: float = 0.015,
    ) -> None:
        if count < 1 or size < 8:
            raise ValueError(f"pixels/Hover-v0: count is {count} and size {size}, expected 1 and 8 or more")
        self.count, self.limit, self.rules = count, max_steps or 100, np.array([push, thrust, gust])
        self.spec = Spec(
            "pixels/Hover-v0", (1, size, size), "uint8", Continuous((-1.0, -1.0), (1.0, 1.0)), max_steps=self.limit
        )
        self._seed = 0
        self._current: Step | None = None
        self._state, self._streams = np.zeros((count, 4)), np.zeros(count, np.uint64)
        self._time, self._episode = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def reset(self, seed: int) -> Step:
        """Start episode 0 of every row with `episode_seed(seed, row, 0)`."""
        self._seed = seed
        self._episode[:] = 0
        self._begin(np.arange(self.count))
        none, obs = np.zeros(self.count, bool), self._draw()
        self._current = self._step(obs, np.zeros(self.count), none, none.copy(), obs)
        return self._current

    def step(self, action: Array) -> Step:
        """Act in every row. Raises EnvError: an action is NaN; ValueError: not a batch."""
        if self._current is None:
            raise RuntimeError("reset(seed) the environment before its first step")
        if action.shape != (self.count, 2) or action.dtype.kind != "f":
            raise ValueError(
                f"{self.spec.name} takes actions float32 [{self.count}, 2], not {action.dtype} {list(action.shape)}"
            )
        if (wrong := np.isnan(action).any(1)).any():
            row = int(wrong.argmax())
            seed = episode_seed(self._seed, row, int(self._episode[row]))
            raise EnvError("illegal action", row, seed, int(self._time[row]) + 1, str(action[row].tolist()))
        reward, terminated = np.empty(self.count), np.empty(self.count, bool)
        move(self._state, self._streams, action.clip(-1, 1).astype(np.float64), self.rules, reward, terminated)
        self._time += 1
        truncated = (self._time >= self.limit) & ~terminated
        final_obs = obs = self._draw()
        if (ended := np.flatnonzero(terminated | truncated)).size:
            self._episode[ended] += 1
            self._begin(ended)
            obs = self._draw()
            going = ~(terminated | truncated)
            final_obs[going] = obs[going]
        self._current = self._step(obs, reward, terminated, truncated, final_obs)
        return self._current

    def _begin(self, rows: Array) -> None:
        """Their episodes, from the beginning."""
        seeds = [episode_seed(self._seed, int(row), int(self._episode[row])) for row in rows]
        own = np.empty(len(rows), np.uint64)
        streams.seed(np.array(seeds, np.uint64), own)
        self._streams[rows], self._time[rows] = own, 0
        begin(self._state, self._streams, rows)

    def _draw(self) -> Array:
        pictures = np.empty((self.count, *self.spec.obs_shape), np.uint8)
        draw(self._state, pictures)
        return pictures

    def _step(self, obs: Array, reward: Array, terminated: Array, truncated: Array, final_obs: Array) -> Step:
        return Step(obs, None, np.zeros(self.count, np.int64), reward[:, None], terminated, truncated, final_obs)

    def state_dict(self) -> dict[str, Any]:
        if self._current is None:
            return {"started": False}
        kept = {name: getattr(self._current, name).copy() for name in ("obs", "reward", "terminated", "truncated")}
        return {
            "started": True,
            "seed": self._seed,
            "state": self._state.copy(),
            "streams": self._streams.copy(),
            "time": self._time.copy(),
            "episode": self._episode.copy(),
            "final_obs": self._current.final_obs.copy(),
            **kept,
        }

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Raises ValueError for a state of another number of rows or size, or of one that was never reset."""
        if not state["started"]:
            raise ValueError("this is the state of an environment that was never reset: call reset(seed) instead")
        if state["obs"].shape != (self.count, *self.spec.obs_shape):
            raise ValueError(
                f"the state is of observations {state['obs'].shape}, not {(self.count, *self.spec.obs_shape)}: "
                "load it with the same options and env.count as it was saved with"
            )
        self._seed = int(state["seed"])
        self._state, self._streams = state["state"].copy(), state["streams"].copy()
        self._time, self._episode = state["time"].copy(), state["episode"].copy()
        obs, reward, terminated, truncated, final_obs = (
            state[name].copy() for name in ("obs", "reward", "terminated", "truncated", "final_obs")
        )
        self._current = self._step(obs, reward[:, 0], terminated, truncated, final_obs)
        return self._current

    def render(self, row: int = 0) -> Array:
        """One row, uint8 [H, W, 3], each pixel as 12 x 12 of them."""
        if self._current is None:
            raise RuntimeError("reset(seed) the environment before it is drawn")
        return np.repeat(self._current.obs[row, 0].repeat(12, 0).repeat(12, 1)[..., None], 3, -1)

    def close(self) -> None:
        """Nothing is held open."""


@kernel
def begin(state: Array, luck: Array, rows: Array) -> None:
    """Somewhere in the middle, and slow."""
    for row in rows:
        for axis in range(2):
            state[row, axis] = streams.uniform(luck, row) - 0.5
            state[row, SPEED_X + axis] = 0.1 * (streams.uniform(luck, row) - 0.5)


@kernel
def move(state: Array, luck: Array, action: Array, rules: Array, reward: Array, terminated: Array) -> None:
    """One step of every row, as `Hover` says."""
    push, thrust, gust = rules
    for row in range(len(state)):
        for axis in range(2):
            place, noise = state[row, axis], streams.normal(luck, row)
            state[row, axis] += state[row, SPEED_X + axis]
            state[row, SPEED_X + axis] += push * place + thrust * action[row, axis] + gust * noise
        x, y = state[row, X], state[row, Y]
        terminated[row] = max(abs(x), abs(y)) > 1
        reward[row] = 0.0 if terminated[row] else 1 - 0.5 * (x * x + y * y)


@kernel
def draw(state: Array, pictures: Array) -> None:
    """A ball with soft edges, so that its place shows finer than by pixels."""
    size = pictures.shape[2]
    across, down = np.empty(size), np.empty(size)
    for row in range(len(state)):
        for i in range(size):
            x = i - 0.5 * (state[row, X] + 1) * (size - 1)
            y = i - 0.5 * (state[row, Y] + 1) * (size - 1)
            across[i], down[i] = math.exp(-0.5 * (x / RADIUS) ** 2), math.exp(-0.5 * (y / RADIUS) ** 2)
        for i in range(size):
            for j in range(size):
                pictures[row, 0, i, j] = np.uint8(255 * down[i] * across[j])


WORLDS = {"pixels/Hover-v0": Hover}


def make(id: str, count: int, options: Mapping[str, Any], max_steps: int | None = None) -> Hover:
    """`count` rows of a world. max_steps: a time limit in place of its own. Raises UnsupportedEnv for an unknown id, or
    options that it doesn't have."""
    if id not in WORLDS:
        near = difflib.get_close_matches(id, WORLDS, 1)
        raise UnsupportedEnv(f"no environment {id!r} is there: {'did you mean' if near else 'known are'} {[*WORLDS]}")
    try:
        return WORLDS[id](count, max_steps, **options)
    except (TypeError, ValueError) as error:
        raise UnsupportedEnv(f"{id} cannot be made with options {dict(options)}: {error}") from error

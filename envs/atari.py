"""Atari games as they are usually learned: 4 frames per action, 84x84 grey, 4 frames stacked.

Source: Mnih et al., "Human-level control through deep reinforcement learning" (2015), and for sticky actions and the
kept life-loss signal Machado et al., "Revisiting the Arcade Learning Environment" (2018).

Differs from Gymnasium's `AtariPreprocessing`: sticky actions are drawn here and not inside the emulator, with the same
law (each raw frame repeats the previous raw action with probability `sticky`). The emulator's seed decides nothing
else, and to seed it means to load the game anew, 90 ms; going back to the state after loading takes 0.1 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.api import Array
from envs.spaces import UnsupportedEnv


@dataclass(frozen=True)
class AtariOptions:
    """Preprocessing of an "ALE/..." environment. Reward clipping is the learner's business."""

    frame_skip: int = 4  # raw frames per action; the last two are maximised against flicker
    screen: int = 84  # height and width after resizing
    stack: int = 4  # frames in one observation, newest last
    noop_max: int = 30  # a game begins with 1 to so many idle raw frames; 0: none
    sticky: float = 0.25  # probability that a raw frame repeats the previous action
    episodic_life: bool = False  # an episode ends with each life; returns and lengths are then per life
    fire_reset: bool = False  # press FIRE to begin, in games that have it


def register() -> None:
    """Make the "ALE/..." ids known to Gymnasium. Raises ImportError without ale_py."""
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no banner for each game
    if "ALE/Pong-v5" not in gymnasium.registry:
        gymnasium.register_envs(ale_py)


def wrap(spec: Any, atari: AtariOptions, options: Mapping[str, Any], extra: Mapping[str, Any]) -> AtariGame:
    """The game of a registered ALE `spec`. options: of the game (mode, difficulty, full_action_space, ...);
    extra: arguments of gymnasium.make. Raises UnsupportedEnv for anything but ALE, and for options set elsewhere."""
    if not spec.id.startswith("ALE/"):
        raise UnsupportedEnv(f"{spec.id}: atari preprocessing is for ids that begin with 'ALE/'; leave it out")
    fixed = {"frameskip": 1, "obs_type": "grayscale", "repeat_action_probability": 0.0, "continuous": False}
    if taken := sorted(fixed.keys() & options.keys()):
        raise UnsupportedEnv(f"{spec.id}: options cannot contain {', '.join(taken)}: the atari options decide that")
    arguments: dict[str, Any] = {**extra, **fixed, **options}
    return AtariGame(gymnasium.make(spec, **arguments), atari)


class AtariGame:
    """One preprocessed game, a `SingleEnv` of `envs.gymnasium_env`. The observation is overwritten by the next step.

    With episodic_life, losing a life terminates an episode and sets `continues`; `resume()` then begins the next one
    with the current screen and no idle frames. Only `reset(seed)` begins a game, so the actions since then, with a
    `resume()` after each lost life, repeat it exactly.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], options: AtariOptions) -> None:
        import cv2

        world: Any = env.unwrapped
        self._env, self._ale, self._options = env, world.ale, options
        self._resize, self._area = cv2.resize, cv2.INTER_AREA
        self._moves = list(world._action_set)
        meanings = world.get_action_meanings()
        self._idle = self._moves[meanings.index("NOOP")]
        self._fire = meanings.index("FIRE") if options.fire_reset and "FIRE" in meanings else None
        self._rng = np.random.default_rng(0)
        self._previous = self._idle  # the raw action that a sticky frame repeats
        screen = env.observation_space.shape or ()
        self._newest, self._older = np.zeros(screen, np.uint8), np.zeros(screen, np.uint8)
        self._stack = np.zeros((options.stack, options.screen, options.screen), np.uint8)
        self._lives = 0
        self.continues = False
        self.observation_space = spaces.Box(0, 255, self._stack.shape, np.uint8)
        self.action_space = env.action_space
        env.reset(seed=0)
        self._beginning = self._ale.cloneState(include_rng=True)

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        """A new game: 1 .. noop_max idle frames, then FIRE if wanted."""
        self._rng = np.random.default_rng(seed)
        self._ale.restoreState(self._beginning)
        self._previous = self._idle
        if self._options.noop_max:
            for _ in range(self._rng.integers(1, self._options.noop_max + 1)):
                self._ale.act(self._idle)
        return self._begin()

    def resume(self) -> tuple[Array, dict[str, Any]]:
        """The next episode of the same game, after a lost life."""
        return self._begin()

    def step(self, action: int, /) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Play `frame_skip` raw frames, or until the game is over: then its last screen is shown."""
        reward = self._play(action)
        self._stack[:-1] = self._stack[1:]
        self._look(self._stack[-1])
        terminated, truncated = self._ale.game_over(with_truncation=False), self._ale.game_truncated()
        lives = self._ale.lives()
        # some games show 0 lives for a while before they are over: the end itself comes with game_over
        lost = self._options.episodic_life and 0 < lives < self._lives
        self._lives = lives
        self.continues = lost and not (terminated or truncated)
        return self._stack, reward, terminated or lost, truncated, {}

    def render(self) -> Any:
        return self._env.render()

    def close(self) -> None:
        self._env.close()

    def _begin(self) -> tuple[Array, dict[str, Any]]:
        self._ale.getScreenGrayscale(self._newest)
        self._older[...] = self._newest
        if self._fire is not None:
            self._play(self._fire)
        self._look(self._stack[-1])
        self._stack[:-1] = self._stack[-1]
        self._lives, self.continues = self._ale.lives(), False
        return self._stack, {}

    def _play(self, action: int) -> float:
        """Act on raw frames; leaves the last two screens in `_older` and `_newest`. Returns the sum of rewards."""
        ale, move, frames, sticky = self._ale, self._moves[action], self._options.frame_skip, self._options.sticky
        repeats = self._rng.random(frames) < sticky if sticky else None
        reward = 0.0
        for frame in range(frames):
            if repeats is None or not repeats[frame]:
                self._previous = move
            reward += ale.act(self._previous)
            if frame >= frames - 2:
                self._newest, self._older = self._older, self._newest
                ale.getScreenGrayscale(self._newest)
            if ale.game_over():
                if frame < frames - 1:  # the screen before was not looked at
                    ale.getScreenGrayscale(self._newest)
                    self._older[...] = self._newest
                break
        return reward

    def _look(self, out: Array) -> None:
        size = self._options.screen
        out[...] = self._resize(np.maximum(self._newest, self._older), (size, size), interpolation=self._area)

"""Worlds so small that the right answer is known: each isolates one thing that a learner can get wrong.

Registered under "sparring/..." when such an id is first asked for. None draws a picture.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from envs import partial
from envs.api import Array

Shown = tuple[Array, dict[str, Any]]
Stepped = tuple[Array, float, bool, bool, dict[str, Any]]
UNIT = spaces.Box(-1.0, 1.0, (1,), np.float32)


def register() -> None:
    """Make the ids known to Gymnasium; a second call does nothing."""
    for name, (world, limit) in WORLDS.items():
        id = f"sparring/{name}-v0"
        if id not in gymnasium.registry:
            gymnasium.register(id, entry_point=world, max_episode_steps=limit, order_enforce=False)


def _number(value: float) -> Array:
    return np.array([value], np.float32)


class ConstantReward(gymnasium.Env[Array, Any]):
    """One step, observation 0, reward 1. V = 1: is the value loss alive?"""

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        return _number(0.0), {}

    def step(self, action: Any) -> Stepped:
        return _number(0.0), 1.0, True, False, {}


class ObservationReward(gymnasium.Env[Array, Any]):
    """One step, observation +-1, which is the reward. V(s) = s: does the value see the observation?"""

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.sign = float(self.np_random.choice([-1.0, 1.0]))
        return _number(self.sign), {}

    def step(self, action: Any) -> Stepped:
        return _number(0.0), self.sign, True, False, {}


class TwoStepDiscount(gymnasium.Env[Array, Any]):
    """Two steps; the observation is the step, 0 then 1; reward 1 at the end. V = gamma, then 1."""

    observation_space: spaces.Space[Any] = spaces.Box(0.0, 2.0, (1,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.time = 0
        return _number(0.0), {}

    def step(self, action: Any) -> Stepped:
        self.time += 1
        return _number(self.time), float(self.time == 2), self.time == 2, False, {}


class ActionReward(gymnasium.Env[Array, Any]):
    """One step, observation 0, reward +1 for action 1, else -1: does the policy follow its advantage?"""

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        return _number(0.0), {}

    def step(self, action: Any) -> Stepped:
        return _number(0.0), 1.0 if action == 1 else -1.0, True, False, {}


class ContinuousAction(gymnasium.Env[Array, Any]):
    """One step, observation 0, action a in [-1, 1], reward -(a - 0.5)^2. The best action is 0.5, its value 0.

    With `middle` and `half` the same in other units: actions are in [middle - half, middle + half].
    """

    observation_space: spaces.Space[Any] = UNIT

    def __init__(self, middle: float = 0.0, half: float = 1.0) -> None:
        self.middle, self.half = middle, half
        self.action_space: spaces.Space[Any] = spaces.Box(middle - half, middle + half, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        return _number(0.0), {}

    def step(self, action: Any) -> Stepped:
        return _number(0.0), -(((float(action[0]) - self.middle) / self.half - 0.5) ** 2), True, False, {}


class ObservationActionReward(gymnasium.Env[Array, Any]):
    """One step, observation +-1, reward +1 for action 1 at +1 and action 0 at -1, else -1."""

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.sign = float(self.np_random.choice([-1.0, 1.0]))
        return _number(self.sign), {}

    def step(self, action: Any) -> Stepped:
        return _number(0.0), 1.0 if (action == 1) == (self.sign > 0) else -1.0, True, False, {}


class Truncation(gymnasium.Env[Array, Any]):
    """Reward 1 and observation 0 for ever, cut off after 5 steps.

    With gamma = 0.9, V = 1 / (1 - 0.9) = 10; taking the cut for death gives (1 - 0.9^5) / (1 - 0.9) = 4.0951.
    """

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        return _number(0.0), {}

    def step(self, action: Any) -> Stepped:
        return _number(0.0), 1.0, False, False, {}


class LQR(gymnasium.Env[Array, Any]):
    """x' = x + u with reward -(x^2 + u^2), x0 uniform in [-1, 1], u in [-2, 2], cut off after 20 steps.

    With an endless horizon the best u is -K x and V(x) = -P x^2: K = 0.618034, P = 1.618034 without discount,
    K = 0.615251, P = 1.615251 with gamma = 0.99.
    """

    observation_space: spaces.Space[Any] = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space: spaces.Space[Any] = spaces.Box(-2.0, 2.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.x = float(self.np_random.uniform(-1.0, 1.0))
        return _number(self.x), {}

    def step(self, action: Any) -> Stepped:
        u = float(action[0])
        cost = self.x**2 + u**2
        self.x += u
        return _number(self.x), -cost, False, False, {}


class Memory(gymnasium.Env[Array, Any]):
    """A cue at the first step must be repeated 3 steps later: reward +1 if the fourth action is the cue, else -1.

    Observation [cue 0, cue 1, answer now]: one-hot cue at step 0, zeros after, the last entry 1 when the answer counts.
    Without memory the mean return is 0 at best.
    """

    observation_space: spaces.Space[Any] = spaces.Box(0.0, 1.0, (3,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(2)
    delay: ClassVar[int] = 3

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.cue, self.time = int(self.np_random.integers(2)), 0
        return np.array([self.cue == 0, self.cue == 1, False], np.float32), {}

    def step(self, action: Any) -> Stepped:
        self.time += 1
        if self.time > self.delay:
            return np.zeros(3, np.float32), 1.0 if action == self.cue else -1.0, True, False, {}
        return np.array([0.0, 0.0, self.time == self.delay], np.float32), 0.0, False, False, {}


class MaskedAction(gymnasium.Env[Array, Any]):
    """5 actions, a random non-empty subset legal at each of 4 steps: reward 1 for the largest legal one, else 0.

    The observation is 0 throughout: only the mask tells. It is shown as info["action_mask"]; the best return is 4.
    An illegal action raises ValueError.
    """

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(5)
    length: ClassVar[int] = 4

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.time = 0
        return _number(0.0), self._draw()

    def step(self, action: Any) -> Stepped:
        if not self.legal[action]:
            raise ValueError(f"action {action} is illegal")
        reward = float(action == np.flatnonzero(self.legal)[-1])
        self.time += 1
        return _number(0.0), reward, self.time == self.length, False, self._draw()

    def _draw(self) -> dict[str, Any]:
        subset = int(self.np_random.integers(1, 2**5))
        self.legal = np.array([subset >> index & 1 for index in range(5)], np.int8)
        return {"action_mask": self.legal}


class DeepSea(gymnasium.Env[Array, Any]):
    """A diver sinks one row in each of `size` steps, and by one of two actions a column to the right, else to the left.

    A step to the right costs 0.1 / size; that from the right column, in the last row, pays 1. So who always goes right
    gets 0.9, and who doesn't know of it learns to go left, for 0. Random actions find it in one of 2 ** size episodes.
    Which action leads right changes with every second row, so that a preference for one of them doesn't find it either.
    Observation: row and column, one-hot each; zeros at the end. Osband et al. 2019, https://arxiv.org/abs/1908.03568
    (bsuite), but for the actions, whose meaning is drawn there, and the costs, which are a tenth there.
    """

    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, size: int = 10) -> None:
        self.size = size
        self.observation_space: spaces.Space[Any] = spaces.Box(0.0, 1.0, (2 * size,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.row = self.column = 0
        return self._obs(), {}

    def step(self, action: Any) -> Stepped:
        right = action == self.row // 2 % 2
        reward = float(right and self.column == self.size - 1) - (0.1 / self.size if right else 0.0)
        self.row += 1
        self.column = min(self.column + 1, self.size - 1) if right else max(self.column - 1, 0)
        return self._obs(), reward, self.row == self.size, False, {}

    def _obs(self) -> Array:
        obs = np.zeros(2 * self.size, np.float32)
        if self.row < self.size:
            obs[[self.row, self.size + self.column]] = 1.0
        return obs


class Faulty(gymnasium.Env[Array, Any]):
    """Reward 1 in episodes of 8 steps, until `fault` happens at step `at` of an episode (1 is the first, 0 the reset).

    raise: RuntimeError. leave: sys.exit(3). nan_reward, nan_obs: NaN. hang: an hour's sleep. none: nothing. It happens
    in every episode from number `episode` on; episodes count from 0 in each instance, and those without a step do not
    count.
    """

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)
    length: ClassVar[int] = 8
    faults: ClassVar[tuple[str, ...]] = ("raise", "leave", "nan_reward", "nan_obs", "hang", "none")

    def __init__(self, fault: str = "none", at: int = 1, episode: int = 0) -> None:
        if fault not in self.faults:
            raise ValueError(f"fault is {fault!r}, not one of {', '.join(self.faults)}")
        self.fault, self.at, self.episode = fault, at, episode
        self.time = self.played = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        self.played += self.time > 0
        self.time = 0
        return self._obs(), {}

    def step(self, action: Any) -> Stepped:
        self.time += 1
        obs = self._obs()
        reward = float("nan") if self._now() and self.fault == "nan_reward" else 1.0
        return obs, reward, self.time == self.length, False, {}

    def _now(self) -> bool:
        return self.time == self.at and self.played >= self.episode

    def _obs(self) -> Array:
        if self._now():
            if self.fault == "raise":
                raise RuntimeError(f"the fault that was asked for, at step {self.time}")
            if self.fault == "leave":
                raise SystemExit(3)
            if self.fault == "hang":
                time.sleep(3600.0)
        return _number(float("nan") if self._now() and self.fault == "nan_obs" else 0.0)


class Slow(gymnasium.Env[Array, Any]):
    """Constant reward 1 in episodes of 100 steps, each of which keeps the processor busy for `milliseconds`."""

    observation_space: spaces.Space[Any] = UNIT
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, milliseconds: float = 1.0) -> None:
        self.seconds = milliseconds / 1000.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Shown:
        super().reset(seed=seed)
        return _number(0.0), {}

    def step(self, action: Any) -> Stepped:
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass
        return _number(0.0), 1.0, False, False, {}


WORLDS: dict[str, tuple[Any, int | None]] = {
    "ConstantReward": (ConstantReward, None),
    "ObservationReward": (ObservationReward, None),
    "TwoStepDiscount": (TwoStepDiscount, None),
    "ActionReward": (ActionReward, None),
    "ContinuousAction": (ContinuousAction, None),
    "ObservationActionReward": (ObservationActionReward, None),
    "Truncation": (Truncation, 5),
    "LQR": (LQR, 20),
    "Memory": (Memory, None),
    "MaskedAction": (MaskedAction, None),
    "DeepSea": (DeepSea, None),
    "CartPoleNoVelocity": (partial.cart_pole, 500),
    "PendulumNoVelocity": (partial.pendulum, 200),
    "Faulty": (Faulty, None),
    "Slow": (Slow, 100),
}

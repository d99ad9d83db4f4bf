# mypy: ignore-errors
"""Worlds with one fault each, for `--import`: what people reported of environments, and what must not pass in silence.

It registers fault/NAME with Gymnasium.
"""

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Sound(gym.Env):
    """Ten steps of reward 1; the others differ from it in one thing."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 10

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.see(), self.told()

    def told(self):
        return {}

    def see(self):
        return np.array([self.t / self.length, 1], np.float32)

    def pay(self, action):
        return 1.0

    def step(self, action):
        reward = self.pay(action)
        self.t += 1
        return self.see(), reward, self.t >= self.length, False, self.told()


class Asymmetric(Sound):
    action_space = spaces.Box(100, 200, (1,), np.float32)

    def pay(self, action):
        return -abs(float(action[0]) - 180) / 100


class Scalar(Sound):
    observation_space = spaces.Box(-1, 1, (), np.float32)

    def see(self):
        return np.float32(self.t / 10)


class HugeDiscrete(Sound):
    observation_space = spaces.Discrete(10**9)

    def see(self):
        return 5


class Sequence(Sound):
    observation_space = spaces.Sequence(spaces.Discrete(3))

    def see(self):
        return (1, 2)


class ChannelsLast(Sound):
    observation_space = spaces.Box(0, 255, (40, 40, 3), np.uint8)

    def see(self):
        return np.zeros((40, 40, 3), np.uint8)


class Complex(Sound):
    def see(self):
        return np.array([1j, 1])


class RewardHuge(Sound):
    def pay(self, action):
        return 1e39


class RewardNone(Sound):
    def pay(self, action):
        return None


class RewardArray(Sound):
    def pay(self, action):
        return np.ones(1)


class ThinStep(Sound):
    observation_space = spaces.Box(-1, 1, (4,), np.float32)

    def see(self):
        return np.zeros(4, np.float32) if self.t == 0 else np.float32(0.5)


class FloatPicture(Sound):
    observation_space = spaces.Box(0, 255, (40, 40, 1), np.uint8)

    def see(self):
        return np.full((40, 40, 1), 0.9, np.float32)


class Masked(Sound):
    action_space = spaces.Discrete(3)

    def told(self):
        return {"action_mask": self.mask()}

    def mask(self):
        return np.ones(3, np.int8)


class MaskEmptyCut(Masked):
    def mask(self):
        return np.zeros(3, np.int8) if self.t >= 5 else np.ones(3, np.int8)

    def step(self, action):
        self.t += 1
        return self.see(), 1.0, False, self.t >= 5, self.told()


class MaskOfTwos(Masked):
    def mask(self):
        return np.full(3, 2, np.int8)


class MaskStepOnly(Masked):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0], {}


class Endless(Sound):
    def step(self, action):
        return self.see(), 1.0, False, False, {}


class OldReset(Sound):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class LeavesProcess(Sound):
    def pay(self, action):
        if self.t == 5:
            raise SystemExit(3)
        return 1.0


class Choices(Sound):
    action_space = spaces.MultiDiscrete([2, 3])


for kind in (*Sound.__subclasses__(), *Masked.__subclasses__()):
    gym.register(f"fault/{kind.__name__}-v0", entry_point=kind)
gym.register(
    "fault/SequenceFlat-v0", entry_point=lambda **k: gym.wrappers.FlattenObservation(gym.make("fault/Sequence-v0", **k))
)

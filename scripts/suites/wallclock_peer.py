"""The peer's process of the suite `wallclock`: python -m scripts.suites.wallclock_peer JSON FILE

Writes the wall clock at the first line of metrics and at the first mean return of the goal (or null) to FILE."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecNormalize


class Watch(BaseCallback):
    """Looks at the mean return of the last 100 episodes where ours would log it."""

    def __init__(self, goal: float, every: int) -> None:
        super().__init__()
        self.goal, self.every, self.due = goal, every, every
        self.first: float | None = None
        self.reached: float | None = None

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.due and self.model.ep_info_buffer:
            self.due += self.every
            self.first = self.first or time.time()
            mean = np.mean([episode["r"] for episode in self.model.ep_info_buffer])
            if self.reached is None and mean >= self.goal:
                self.reached = time.time()
        return True


def schedule(setting: Any) -> Any:
    """[start, end] as a function of what is left."""
    if not isinstance(setting, list):
        return setting
    start, end = setting
    return lambda left: end + left * (start - end)


def main(asked: dict[str, Any], told: Path) -> None:
    torch.set_num_threads(asked["threads"])
    world, settings = asked["env"], dict(asked["settings"])
    env: Any = make_vec_env(world["id"], world["count"], seed=asked["seed"])
    if "normalize" in world:
        env = VecNormalize(env, gamma=world["normalize"])
    for name in ("learning_rate", "clip_range"):
        if name in settings:
            settings[name] = schedule(settings[name])
    network = dict(settings.pop("policy_kwargs"))
    if "activation_fn" in network:
        network["activation_fn"] = getattr(torch.nn, network["activation_fn"])
    if asked["noise"]:  # of half the range of actions, as the peer scales them too
        size = env.action_space.shape
        settings["action_noise"] = NormalActionNoise(np.zeros(size), np.full(size, asked["noise"]))
    model = getattr(stable_baselines3, asked["peer"])(
        "MlpPolicy", env, seed=asked["seed"], device="cpu", policy_kwargs=network, **settings
    )
    watch = Watch(asked["goal"], asked["every"])
    model.learn(asked["steps"], callback=watch, log_interval=None)
    told.write_text(json.dumps([watch.first or time.time(), watch.reached]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))

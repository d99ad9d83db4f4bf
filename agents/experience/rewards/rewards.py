"""The reward models of a run, one after the other.

    rewards = Rewards({"count": CountBonus(scale=0.1)})
    rewards.learn(unroll)                                   # what was just collected
    memory = Replay(Steps(capacity, columns, gamma, rewards=rewards), ...)
    rewards.judged(lived(unroll))                           # [n], what each step is worth now

A memory asks when it hands steps out, so that what is learned from is never older than the models.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.api import RewardModel, State
from agents.records import Lived, Unroll, lived
from envs.api import Array


class Rewards:
    """Each model is given what those before it made of the reward. Without models everything stays as it was."""

    def __init__(self, models: Mapping[str, RewardModel] | None = None) -> None:
        self.models = dict(models or {})

    def __bool__(self) -> bool:
        return bool(self.models)

    def learn(self, unroll: Unroll) -> None:
        for model in self.models.values():
            model.learn(unroll)

    def judged(self, steps: Lived) -> Array:
        """[n] float32."""
        for model in self.models.values():
            steps = steps._replace(reward=model.judge(steps))
        return steps.reward

    def relabelled(self, unroll: Unroll) -> Unroll:
        """With the rewards that its steps are worth now."""
        if not self.models:
            return unroll
        return unroll._replace(reward=self.judged(lived(unroll)).reshape(unroll.reward.shape))

    def metrics(self) -> Mapping[str, float]:
        return {f"reward/{name}": value for model in self.models.values() for name, value in model.metrics().items()}

    def state_dict(self) -> State:
        return {name: model.state_dict() for name, model in self.models.items()}

    def load_state_dict(self, state: State) -> None:
        for name, model in self.models.items():
            model.load_state_dict(state[name])

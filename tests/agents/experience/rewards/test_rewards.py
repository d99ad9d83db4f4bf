"""A reward that is judged when it is learned from, in every memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from agents.api import State
from agents.experience.memory.frames import Frames
from agents.experience.memory.latest import Latest
from agents.experience.memory.sequences import Sequences
from agents.experience.memory.steps import Steps
from agents.experience.rewards.rewards import Rewards
from agents.records import Lived, Unroll, lived
from envs.api import Array
from tests.agents.experience.memory.test_frames import Stream
from tests.agents.experience.memory.test_steps import GAMMA, experience, history


class Telling:
    """Worth 1000 * (a number of its own) + what each part of a step says, so that no part can be mistaken."""

    factor = 1.0

    def learn(self, unroll: Unroll) -> None:
        self.factor += 1

    def judge(self, steps: Lived) -> Array:
        def told(obs: Array) -> Array:
            return obs.reshape(len(obs), -1).astype(np.float64).sum(1) % 97

        worth = told(steps.obs) + 100 * told(steps.next_obs) + 0.5 * steps.action + 0.25 * steps.terminated
        return (self.factor * worth + steps.reward).astype(np.float32)

    def metrics(self) -> Mapping[str, float]:
        return {"factor": self.factor}

    def state_dict(self) -> State:
        return {"factor": self.factor}

    def load_state_dict(self, state: State) -> None:
        self.factor = state["factor"]


def test_what_was_collected_is_relabelled_step_by_step() -> None:
    unroll, model = history(20, 3, 1), Telling()
    memory = Latest(Rewards({"telling": model}))
    memory.add(experience(unroll))
    expected = model.judge(lived(unroll)).reshape(20, 3)
    np.testing.assert_array_equal(memory.sample().rows.reward, expected)
    for t, b in ((3, 0), (7, 2)):
        step = t * 3 + b
        assert lived(unroll).obs[step] == unroll.obs[t, b] and lived(unroll).action[step] == unroll.action[t, b]


@pytest.mark.parametrize("n", [1, 3])
def test_steps_are_relabelled_when_they_are_sampled(n: int) -> None:
    unroll, model = history(60, 2, 1), Telling()
    memory, plain = Steps(1000, 2, GAMMA, n, Rewards({"telling": model})), Steps(1000, 2, GAMMA, n)
    memory.add(experience(unroll))
    for factor in (1.0, 3.0):
        model.factor = factor
        relabelled = unroll._replace(reward=model.judge(lived(unroll)).reshape(unroll.reward.shape))
        plain = Steps(1000, 2, GAMMA, n)
        plain.add(experience(relabelled))
        index = np.arange(memory.size)
        for found, expected in zip(memory.gather(index), plain.gather(index), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_pictures_and_sequences_are_relabelled_too() -> None:
    model = Telling()
    stream = Stream(np.random.default_rng(0), 2, 4, 0.5)
    unroll = stream.unroll(40)
    relabelled = unroll._replace(reward=model.judge(lived(unroll)).reshape(unroll.reward.shape))
    make: Any
    for make in (
        lambda rewards: Frames(200, 2, 4, GAMMA, 3, rewards),
        lambda rewards: Sequences(200, 2, 40, 0, rewards),
    ):
        memory, plain = make(Rewards({"telling": model})), make(None)
        memory.add(experience(unroll))
        plain.add(experience(relabelled))
        index = np.arange(memory.size)
        index = index[memory.ready(index)]
        assert len(index)
        np.testing.assert_array_equal(memory.gather(index).reward, plain.gather(index).reward)


def test_each_model_is_given_what_those_before_it_made_of_the_reward() -> None:
    unroll, first, second = history(5, 1, 1), Telling(), Telling()
    second.factor = 0.0
    rewards = Rewards({"first": first, "second": second})
    np.testing.assert_array_equal(rewards.judged(lived(unroll)), first.judge(lived(unroll)))
    rewards.learn(unroll)
    assert (first.factor, second.factor) == (2.0, 1.0)
    assert rewards.metrics() == {"reward/factor": 1.0}
    other = Rewards({"first": Telling(), "second": Telling()})
    other.load_state_dict(rewards.state_dict())
    assert other.state_dict() == {"first": {"factor": 2.0}, "second": {"factor": 1.0}}
    assert not Rewards() and Rewards().relabelled(unroll) is unroll

"""Who acts beside an expert: how often, what is kept beside the action, and what each of them remembers."""

from __future__ import annotations

import numpy as np

from agents.config import Environment
from agents.experience.demonstrations import recorded
from agents.experience.guided import Guided, guide, labelled
from agents.experience.rollout import Rollout, make_env
from agents.experience.scripted import Scripted
from agents.records import Acted, Carry
from envs.api import Array, Step


class Counting:
    """Does what it has been given, and counts its steps."""

    def __init__(self, action: float = 1) -> None:
        self.weights = np.array([action], np.float32)

    def initial(self, batch: int) -> Carry:
        return {"steps": np.zeros(batch, np.int64)}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        assert not explore
        action = np.full(len(step.obs), self.weights[0]).astype(np.int64)
        return Acted({"steps": carry["steps"] + 1}, action, {})

    def load(self, weights: Array) -> None:
        self.weights = weights


def acted(share: float, steps: int = 200) -> tuple[Array, Array, Carry]:
    env = make_env(Environment(id="CartPole-v1"), 4)
    policy = Guided(Counting(), Counting(0))
    policy.load(guide(np.ones(1, np.float32), share))
    rollout = Rollout(env, policy, 0, np.random.default_rng(0))
    unroll, _ = rollout.collect(steps)
    return unroll.action, unroll.extras["label"], rollout.carry


def test_the_expert_acts_in_its_share_and_always_says_what_it_would_do() -> None:
    for share in (0.0, 0.3, 1.0):
        action, label, _ = acted(share)
        assert not label.any(), "the expert's action"
        assert abs((1 - action).mean() - share) <= 4.5 * np.sqrt(share * (1 - share) / 800), "false alarms: 7e-6"


def test_both_remember_and_forget_with_the_episode() -> None:
    _, _, carry = acted(0.5, steps=7)
    assert carry.keys() == {"steps", "expert.steps"}
    assert np.array_equal(carry["steps"], carry["expert.steps"]) and carry["steps"].max() <= 7


def test_without_an_expert_the_learner_acts_alone() -> None:
    policy, step = Guided(Counting()), make_env(Environment(id="CartPole-v1"), 2).reset(0)
    policy.load(guide(np.ones(1, np.float32), 1.0))
    found = policy.act(policy.initial(2), step, np.random.default_rng(0), True)
    assert found.action.tolist() == [1, 1] and found.extras == {}


def test_the_first_collection_is_what_behaviour_cloning_learns_from_bit_for_bit() -> None:
    """Where the expert acts alone, corrections are demonstrations."""
    env = make_env(Environment(id="CartPole-v1"), 1)
    (shown,) = recorded(Scripted(env.spec), env, 1, 7, np.random.default_rng(1), explore=False)
    policy = Guided(Counting(), Scripted(env.spec))
    guided, _ = Rollout(env, policy, 7, np.random.default_rng(2)).collect(len(shown.action))
    examples = labelled(guided, env.spec)
    assert np.array_equal(examples.obs, shown.obs[:-1, 0]) and np.array_equal(examples.action, shown.action[:, 0])

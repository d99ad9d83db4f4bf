"""GAIL and AIRL: the discriminator is the one that counting gives, ends are states, and the sign alone may decide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.experience.demonstrations import Shown
from agents.experience.rewards.adversarial import Adversary, LogProb, coded
from agents.experience.rewards.configs import AIRLOptions, GAILOptions
from agents.maths.bellman import action_values, improve, sweep
from agents.records import Lived, Unroll
from envs.api import Array, Continuous, Discrete, MultiDiscrete, Spec
from envs.tabular.mdp import MDP
from experiment.seeding import Seeds
from tests.runs import lines, raw, train

STATES, ACTIONS = 3, 2
TABLE = Spec("table", (STATES,), "float32", Discrete(ACTIONS))


def steps(counts: Array, following: Array | None = None, terminated: bool = False) -> Lived:
    """So many steps of each state and action [S, A]; following [S, A]: the states that they lead to."""
    state, action = (index.repeat(counts.reshape(-1)) for index in np.indices(counts.shape).reshape(2, -1))
    to = state if following is None else following[state, action]
    eye, n = np.eye(counts.shape[0], dtype=np.float32), len(state)
    return Lived(eye[state], action, np.zeros(n, np.float32), eye[to], np.full(n, terminated))


def shown(lived: Lived) -> Shown:
    return Shown(lived.obs, None, lived.action, lived.next_obs, lived.terminated)


def unroll(lived: Lived) -> Unroll:
    """These steps side by side, each followed by what it led to."""
    n = len(lived.obs)
    at = np.flatnonzero(lived.terminated)
    first = np.stack([np.ones(n, bool), lived.terminated])
    none = np.zeros((1, n), bool)
    return Unroll(
        np.stack([lived.obs, lived.next_obs]), None, first, lived.action[None], lived.reward[None],
        lived.terminated[None], none, lived.next_obs[at], at,
    )  # fmt: skip


def gail(expert: Lived, **options: Any) -> Adversary:
    chosen: Any = {
        "penalty": 0.0,
        "absorbing": False,
        "reward": "logit",
        "hidden": (64,),
        "batch_size": 4_096,
    } | options
    given = GAILOptions(**chosen)
    return Adversary(given, shown(expert), TABLE, 0.9, Seeds(0))


OURS = np.array([[40, 40], [80, 160], [40, 40]])  # of 400
THEIRS = np.array([[80, 20], [100, 100], [60, 40]])


def test_the_optimal_discriminator_is_a_ratio_of_counts() -> None:
    """D = expert / (expert + own), and its loss 2 log 2 - 2 JSD."""
    model = gail(steps(THEIRS), updates=400, learning_rate=1e-2)
    model.learn(unroll(steps(OURS)))
    every = steps(np.ones((STATES, ACTIONS), int))
    d = 1 / (1 + np.exp(-model.judge(every)))
    np.testing.assert_allclose(d, (THEIRS / (THEIRS + OURS)).reshape(-1), atol=0.01)
    p, q = (counts.reshape(-1) / 400 for counts in (OURS, THEIRS))
    middle = (p + q) / 2
    jsd = ((p * np.log(p / middle)).sum() + (q * np.log(q / middle)).sum()) / 2
    model.metrics()
    model.options = model.options.model_copy(update={"updates": 1})
    model.learn(unroll(steps(OURS)))
    assert model.metrics()["gail_loss"] == pytest.approx(2 * math.log(2) - 2 * jsd, abs=1e-4)


def test_where_nothing_tells_them_apart_the_loss_is_two_log_two() -> None:
    model = gail(steps(THEIRS), updates=200, learning_rate=1e-2)
    model.learn(unroll(steps(THEIRS)))
    model.metrics()
    model.options = model.options.model_copy(update={"updates": 1})
    model.learn(unroll(steps(THEIRS)))
    found = model.metrics()
    assert found["gail_loss"] == pytest.approx(1.386294361, abs=1e-4)
    assert found["gail_expert"] == pytest.approx(0.5, abs=0.01) == found["gail_own"]


def test_what_is_paid() -> None:
    lived = steps(THEIRS)
    logit = gail(lived).judge(lived).astype(float)
    d = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(gail(lived, reward="positive").judge(lived), -np.log(1 - d), rtol=1e-5)
    np.testing.assert_allclose(gail(lived, reward="negative").judge(lived), np.log(d), rtol=1e-5)


def test_an_end_is_worth_what_staying_there_for_ever_is() -> None:
    lived, over = steps(THEIRS), steps(THEIRS, terminated=True)
    model = gail(lived, absorbing=True, reward="positive")
    there = math.log1p(math.exp(model.logits(model.ends(1)).item()))
    np.testing.assert_allclose(model.judge(over) - model.judge(lived), 9 * there, atol=0.35)  # gamma 0.9; s' differs
    for_ever = sum(0.9 ** (t + 1) * there for t in range(2_000))
    assert 9 * there == pytest.approx(for_ever, rel=1e-9)
    assert len(model.with_ends(over).state) == (1 + 9) * len(over.obs) == 10 * len(model.with_ends(lived).state)
    assert model.with_ends(over).state[-1].tolist() == [0, 0, 0, 1] == model.steps(over).following[0].tolist()


def test_a_state_is_in_units_of_the_experts() -> None:
    model = gail(steps(THEIRS))
    seen = model.seen(steps(THEIRS).obs)
    np.testing.assert_allclose(seen.mean(0)[:-1], 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(0)[:-1], 1, atol=1e-4)


def test_actions_are_coded_by_their_kind() -> None:
    assert coded(np.array([2, 0]), Discrete(3)).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert coded(np.array([[1, 0]]), MultiDiscrete((2, 3))).tolist() == [[0, 1, 1, 0, 0]]
    assert coded(np.array([[3.0, 9.0]], np.float32), Continuous((1.0, -4.0), (5.0, 4.0))).tolist() == [[0, 1]]


# AIRL: a ring of states, an action around and one that stays -----------------------------------------------------

RING, GAMMA = 5, 0.9


def ring() -> tuple[MDP, Array, Array]:
    """A world whose reward is the state's own, where every action leads to one state [S, A]."""
    paid, following = np.array([0.0, 1.0, -1.0, 0.5, 2.0]), np.array([[(s + 1) % RING, s] for s in range(RING)])
    following[0, 1] = 2  # so that states are linked in one way only up to constants
    transition = np.zeros((RING, 2, RING))
    np.put_along_axis(transition, following[:, :, None], 1.0, 2)
    return MDP.of_arrays("ring", transition, np.repeat(paid[:, None], 2, 1)), following, paid


@pytest.mark.slow
def test_airl_recovers_a_reward_of_states_up_to_a_constant() -> None:
    """At the optimum f is the expert's advantage, log pi(a|s): g is the reward and h the value, but for constants."""
    mdp, following, paid = ring()
    values = sweep(mdp, GAMMA, tolerance=1e-12, temperature=1.0).values
    policy = improve(mdp, action_values(mdp, values, GAMMA), 1.0)
    counts = np.rint(400 * policy).astype(int)
    lived = steps(counts, following)
    spec, states = Spec("ring", (RING,), "float32", Discrete(2)), lived.obs.argmax(1)

    def log_prob(obs: Array, action: Array) -> Array:
        return np.log(policy[obs.argmax(1), action]).astype(np.float32)

    options = AIRLOptions(
        hidden=(64,),
        penalty=0.0,
        absorbing=False,
        reward="logit",
        updates=6_000,
        learning_rate=3e-3,
        batch_size=1_024,
        state_only=True,
    )
    known: LogProb = log_prob
    model = Adversary(options, shown(lived), spec, GAMMA, Seeds(0), known)
    model.learn(unroll(lived))
    assert np.abs(model.judge(lived)).mean() < 0.1, "f is log pi, and D one half"
    network: Any = model.trained.flat.module
    with torch.no_grad():
        state = torch.from_numpy(model.seen(np.eye(RING, dtype=np.float32)))
        g, h = network.reward(state).numpy(), network.potential(state).numpy()
    assert np.corrcoef(g, paid)[0, 1] > 0.99 and np.corrcoef(h, values)[0, 1] > 0.99
    assert len(set(states.tolist())) == RING


# The sign alone -------------------------------------------------------------------------------------------------------


def survived(tmp_path: Path, **options: Any) -> float:
    """Steps of a CartPole's life in the end, by PPO that is paid by a discriminator that learns nothing."""
    model = {"kind": "gail", "updates": 0, "episodes": 1, **options}
    config = raw("ppo", steps=12_288, rewards=[model], rollout={"steps": 256}, evaluation={"every": 0, "episodes": 10})
    config |= {"normalize": {}, "network": {"hidden": [32]}, "checkpoint": {"every": 0}, "logging": {"every": 99_999}}
    config |= {"env": {"id": "CartPole-v1", "count": 4}, "runtime": {}}
    config |= {"learner": {"batch_size": 256, "learning_rate": 3e-3, "epochs": 6}}
    assert train(config, tmp_path / f"{options}") == 0
    return float(lines(tmp_path / f"{options}")[-1]["eval/mean_reward"])


@pytest.mark.slow
def test_a_random_discriminator_of_either_sign_learns_cartpole_or_ruins_it(tmp_path: Path) -> None:
    """Without ends for states. Whoever is paid lives on, whoever is charged ends it: no expert was looked at.
    Random play lives for 23 steps."""
    alive = survived(tmp_path, reward="positive", absorbing=False)
    dead = survived(tmp_path, reward="negative", absorbing=False)
    assert alive > 150 and dead < 15, (alive, dead)

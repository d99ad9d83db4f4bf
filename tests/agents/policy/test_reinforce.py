"""REINFORCE against the exact gradient, by the sum over every episode that there can be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.policy.configs.reinforce import REINFORCE
from agents.policy.reinforce import Learner, actor, make
from agents.records import Sample, Unroll, in_turn
from agents.registry import parse
from envs.api import Discrete, Spec
from experiment.config import ConfigError
from experiment.seeding import Seeds

CPU = torch.device("cpu")
GAMMA, HORIZON = 0.9, 3
# The two-state world: obs one-hot, the action is the next state, three steps from state 0, reward by (state, action).
REWARD = np.array([[1.0, -0.5], [0.3, 2.0]], np.float32)
ACTIONS = list(itertools.product(range(2), repeat=HORIZON))


def config(world: str = "toy", **sections: Any) -> REINFORCE:
    raw = {"algorithm": "reinforce", "env": {"id": world, "count": 1}, "network": {"hidden": []}}
    parsed = parse(raw | sections)
    assert isinstance(parsed, REINFORCE)
    return parsed


def learner(credit: str = "discounted", kind: str = "none", **options: Any) -> Learner:
    asked = config(learner={"discount": GAMMA, "credit": credit} | options, baseline={"kind": kind})
    made = Learner(asked, Spec("two states", (2,), "float32", Discrete(2)), Seeds(3), CPU, compiled=False)
    made.flat.parameters.copy_(torch.randn(made.flat.parameters.shape, generator=torch.Generator().manual_seed(1)))
    return made


def episode(actions: tuple[int, ...]) -> Unroll:
    states = [0, *actions]
    obs = np.eye(2, dtype=np.float32)[states][:, None]
    over = np.arange(HORIZON)[:, None] == HORIZON - 1
    return Unroll(
        obs=obs,
        mask=None,
        first=np.array([[True], *[[False]] * (HORIZON - 1), [True]]),
        action=np.array(actions)[:, None],
        reward=REWARD[states[:-1], actions][:, None],
        terminated=over,
        truncated=np.zeros_like(over),
        final_obs=obs[HORIZON],
        final_at=np.array([HORIZON - 1], np.int64),
        extras={"log_prob": np.zeros((HORIZON, 1), np.float32)},
    )


def estimate(made: Learner, unroll: Unroll) -> Tensor:
    """The gradient that is followed, of these episodes."""
    rows = made.credited(unroll, made.rows(unroll, GAMMA, 1.0))
    episodes = unroll.first[:-1].sum()
    gradient, _ = made.trained.gradient(
        made.flat.parameters, torch.tensor(float(episodes)), rows.obs, rows.mask, rows.action, rows.advantage
    )
    return -gradient


def log_prob(made: Learner, parameters: Tensor, actions: tuple[int, ...]) -> Tensor:
    log_probs = made.flat.call(parameters, torch.eye(2)).log_softmax(-1)
    return torch.stack([log_probs[state, action] for state, action in zip((0, *actions), actions)]).sum()


def chances(made: Learner) -> Tensor:
    return torch.stack([log_prob(made, made.flat.parameters, actions) for actions in ACTIONS]).exp()


def exact(made: Learner) -> Tensor:
    """Of the expected discounted return."""
    parameters = made.flat.parameters.clone().requires_grad_()
    expected = torch.zeros(())
    for actions in ACTIONS:
        reward = REWARD[[0, *actions[:-1]], actions]
        expected = expected + log_prob(made, parameters, actions).exp() * float(GAMMA ** np.arange(HORIZON) @ reward)
    return torch.autograd.grad(expected, parameters)[0]


def moments(made: Learner) -> tuple[Tensor, float]:
    """Mean of the estimate over all episodes, and its variance, summed over parameters."""
    found, p = torch.stack([estimate(made, episode(actions)) for actions in ACTIONS]), chances(made)
    mean = p @ found
    return mean, (p @ (found - mean).square()).sum().item()


def with_baseline(made: Learner, value: float = 1.7) -> Learner:
    """After its baseline has got to know something that isn't 0."""
    obs = torch.eye(2).repeat(20, 1)
    for _ in range(20):
        made.baseline.fit(obs, value + obs[:, 0], 0.05)
    return made


@pytest.mark.parametrize("kind", ["none", "mean", "learned"])
@pytest.mark.parametrize("credit", ["discounted", "whole"])
def test_the_estimate_is_unbiased(credit: str, kind: str) -> None:
    made = with_baseline(learner(credit, kind))
    mean, _ = moments(made)
    assert exact(made).abs().max() > 0.1
    torch.testing.assert_close(mean, exact(made), rtol=0, atol=1e-5)


def test_without_the_factor_of_time_it_is_the_gradient_of_something_else() -> None:
    """What most libraries do: late states count as much as early ones."""
    made = learner("to_go")
    assert (moments(made)[0] - exact(made)).abs().max() > 0.01


def test_what_came_before_an_action_only_adds_noise() -> None:
    of_episode, from_there = (moments(learner(credit)) for credit in ("whole", "discounted"))
    torch.testing.assert_close(of_episode[0], from_there[0], rtol=0, atol=1e-5)
    assert from_there[1] < 0.9 * of_episode[1]


def test_several_episodes_count_as_their_mean() -> None:
    made = with_baseline(learner(kind="learned"))
    played = [episode(actions) for actions in ACTIONS[2:5]]
    apart = torch.stack([estimate(made, unroll) for unroll in played]).mean(0)
    torch.testing.assert_close(estimate(made, in_turn(played)), apart)


@pytest.mark.parametrize("kind", ["none", "mean", "learned"])
def test_the_baseline_learns_after_it_was_used(kind: str) -> None:
    made, unroll = learner(kind=kind), episode((1, 1, 0))
    fresh = made.rows(unroll, GAMMA, 1.0)
    obs, seen = torch.eye(2), []
    made.trained.step = lambda state, rate, episodes, obs, mask, action, credit: seen.append(credit)
    before = made.baseline.values(obs)
    made.update(Sample(unroll))
    torch.testing.assert_close(seen[0], made.credited(unroll, fresh).advantage)
    assert (made.baseline.values(obs) == before).all() == (kind == "none")


def test_an_update_climbs() -> None:
    made = learner(learning_rate=1e-3)
    gradient, before = exact(made), made.flat.parameters.clone()
    made.update(Sample(in_turn([episode(actions) for actions in ACTIONS])))
    # All eight episodes as if they were equally likely: not the exact gradient, but Adam's first step is its sign.
    found = made.flat.parameters - before
    assert (found @ gradient).item() > 0


def test_an_update_is_of_whole_episodes() -> None:
    asked = config("sparring/Truncation-v0", rollout={"episodes": 3, "steps": 4})
    hand = actor(asked, 0, 0)
    made = make(asked, hand.rollout.env.spec, Seeds(0), CPU).learner  # type: ignore[attr-defined]
    hand.load(made.weights(), 0)
    experience = hand.collect()
    hand.close()
    assert experience.episodes.lengths == [5, 5, 5] and experience.steps == 15
    assert isinstance(made, Learner)
    rows = made.rows(experience.rows, 0.5, 1.0)
    to_go = [2 - 0.5**k for k in (4, 3, 2, 1, 0)]  # nothing is known of what follows the cut
    torch.testing.assert_close(rows.target, torch.tensor(to_go * 3))


def test_rows_that_would_wait_for_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="set env.count=1"):
        config(env={"id": "toy", "count": 8})

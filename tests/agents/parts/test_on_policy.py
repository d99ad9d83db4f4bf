"""Networks, advantages and rows of on-policy learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.config import NetworkOptions, NormalizeOptions
from agents.maths.stochastic import stochastic
from agents.parts.normalizer import Normalizer
from agents.parts.on_policy import (
    ActorCritic,
    StochasticPolicy,
    advantages,
    ages,
    explained_variance,
    from_the_start,
    in_chunks,
    rows_of,
)
from agents.records import Unroll
from envs.api import Actions, Continuous, Discrete, Spec, Step
from supervised.flat import Flat
from supervised.networks.torso import Normalize

CPU = torch.device("cpu")
OPTIONS, NORMALIZE = NetworkOptions(hidden=(8,)), NormalizeOptions(observations=True)


def network(actions: Actions, shared: bool = False) -> ActorCritic:
    spec = Spec("toy", (3,), "float32", actions)
    generator = torch.Generator().manual_seed(0)
    return ActorCritic(spec, stochastic(actions, 0.5), OPTIONS, NORMALIZE, shared, generator)


def unroll(**changes: Any) -> Unroll:
    """Two steps of two rows; the first row is cut off at its first step, the second terminates at its last."""
    rng = np.random.default_rng(0)
    truncated, terminated = np.zeros((2, 2, 2), bool)
    truncated[0, 0] = terminated[1, 1] = True
    made = Unroll(
        obs=rng.standard_normal((3, 2, 3), np.float32),
        mask=None,
        action=rng.integers(0, 2, (2, 2)),
        first=np.array([[True, False], [True, False], [False, True]]),
        reward=np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
        terminated=terminated,
        truncated=truncated,
        final_obs=rng.standard_normal((2, 3), np.float32),
        final_at=np.array([0, 3], np.int64),
        extras={"log_prob": np.full((2, 2), -0.7, np.float32)},
    )
    return made._replace(**changes)


def test_advantages_by_hand() -> None:
    """gamma 0.5, lambda 0.5: nothing flows back over an end; a cut is worth its own last observation, death nothing."""
    value = np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]], np.float32)
    reward = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    last = [3 + 0.5 * 50 - 30, 4 - 40]
    expected = [[1 + 0.5 * 100 - 10, 2 + 0.5 * 40 - 20 + 0.25 * last[1]], last]
    following = value[1:].copy()
    following[0, 0] = 100
    np.testing.assert_allclose(advantages(unroll(), reward, value[:2], following, 0.5, 0.5), expected)
    uncut = unroll(truncated=np.zeros((2, 2), bool))
    expected[0][0] = 1 + 0.5 * 30 - 10 + 0.25 * last[0]
    np.testing.assert_allclose(advantages(uncut, reward, value[:2], value[1:], 0.5, 0.5), expected)


def test_rows_are_the_unroll_step_by_step() -> None:
    learner = network(Discrete(2))
    normalizer = Normalizer(learner.policy.normalize, rewards=True)
    assert normalizer.returns is not None
    normalizer.returns.update(np.array([-2.0, 2.0]))  # deviation 2
    made = unroll()
    rows = rows_of(made, learner, normalizer, 0.5, 1.0, CPU)
    torch.testing.assert_close(rows.obs, torch.from_numpy(made.obs[:2].reshape(4, 3)))
    torch.testing.assert_close(rows.action, torch.from_numpy(made.action.reshape(4)))
    with torch.no_grad():
        torch.testing.assert_close(rows.value, learner(rows.obs)[1])
        cut = learner.value(torch.from_numpy(made.final_obs[:1])).item()
    torch.testing.assert_close(rows.target, rows.advantage + rows.value)
    assert rows.target[0].item() == pytest.approx(0.5 + 0.5 * cut, rel=1e-5)
    assert rows.target[3].item() == pytest.approx(2.0, rel=1e-5)
    assert rows.target[1].item() == pytest.approx(1.0 + 0.5 * 2.0, rel=1e-5)


def test_chunks_make_no_difference() -> None:
    learner, obs = network(Discrete(2)), torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(in_chunks(learner.value, obs, chunk=3), learner.values(obs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_a_shared_torso_is_one_torso(shared: bool) -> None:
    learner, obs = network(Discrete(2), shared), torch.ones(4, 3)
    torch.testing.assert_close(learner(obs)[1], learner.value(obs), rtol=0, atol=0)
    gradient = torch.autograd.grad(learner.value(obs).sum(), list(learner.policy.torso.parameters()), allow_unused=True)
    assert all((part is not None and part.any()) == shared for part in gradient)


@pytest.mark.parametrize("actions", [Discrete(4), Continuous((-1.0, -1.0), (1.0, 1.0))])
def test_what_acts_takes_the_front_of_the_weights(actions: Actions) -> None:
    """The policy of the learner's first parameters and buffers chooses what the learner's network says."""
    learner = network(actions)
    assert isinstance(learner.policy.normalize, Normalize)
    learner.policy.normalize.mean.fill_(0.3)
    weights = Flat(learner).weights(learner.acting)
    policy = StochasticPolicy(Spec("toy", (3,), "float32", actions), stochastic(actions), OPTIONS, NORMALIZE, CPU)
    policy.load(weights)
    obs, none = np.random.default_rng(0).standard_normal((6, 3), np.float32), np.zeros(6, bool)
    step = Step(obs, None, none.astype(np.int64), np.zeros((6, 1)), none, none, obs)
    _, chosen, said = policy.act(policy.initial(6), step, np.random.default_rng(0), explore=True)
    outputs, _ = learner(torch.from_numpy(obs))
    expected = stochastic(actions).log_prob(outputs, torch.from_numpy(chosen), None)
    np.testing.assert_allclose(said["log_prob"], expected.detach().numpy(), rtol=0, atol=2e-6)
    assert learner.policy.deviation() == (pytest.approx(np.exp(0.5)) if isinstance(actions, Continuous) else None)


@pytest.mark.parametrize(
    ("error", "target", "explained"),
    [([0.0, 0.0], [1.0, 3.0], 1.0), ([1.0, 3.0], [1.0, 3.0], 0.0), ([1.0, 1.0], [1.0, 1.0], 0.0)],
)
def test_explained_variance(error: list[float], target: list[float], explained: float) -> None:
    assert explained_variance(torch.tensor(error), torch.tensor(target)) == explained


def test_ages_are_counted_from_where_each_episode_began() -> None:
    made = unroll(first=np.array([[False, True], [True, False], [False, True]]))
    assert ages(made).tolist() == [[0, 0], [0, 1]]
    assert ages(made._replace(carry={"age": np.array([7, 0])})).tolist() == [[7, 0], [0, 1]]
    two_seats = made._replace(carry={"age": np.array([[4, 3], [0, 0]])})
    assert ages(two_seats).tolist() == [[7, 0], [0, 1]]


def test_advantages_from_the_start_are_discounted_by_their_age() -> None:
    made = unroll(carry={"age": np.array([2, 0])}, first=np.array([[False, True], [False, False], [False, True]]))
    rows = rows_of(made, network(Discrete(2)), Normalizer(torch.nn.Identity()), 0.5, 1.0, CPU)
    weighed = from_the_start(made, rows, 0.5)
    torch.testing.assert_close(weighed.advantage / rows.advantage, torch.tensor([0.25, 1, 0.125, 0.5]))
    torch.testing.assert_close(weighed.target, rows.target)


@pytest.mark.parametrize("timed", [False, True])
def test_a_policy_counts_if_it_is_told_to(timed: bool) -> None:
    actions, none = Discrete(2), np.zeros(3, bool)
    spec = Spec("toy", (3,), "float32", actions)
    policy = StochasticPolicy(spec, stochastic(actions), OPTIONS, NORMALIZE, CPU, timed)
    obs = np.zeros((3, 3), np.float32)
    step = Step(obs, None, none.astype(np.int64), np.zeros((3, 1)), none, none, obs)
    carry = policy.initial(3)
    for _ in range(2):
        carry, *_ = policy.act(carry, step, np.random.default_rng(0), explore=True)
    assert {name: count.tolist() for name, count in carry.items()} == ({"age": [2, 2, 2]} if timed else {})

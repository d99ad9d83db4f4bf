"""The learner of DDPG and TD3 against what its equations say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.actor_critic.configs.ddpg import DDPG
from agents.actor_critic.ddpg import Batch, Learner, policy
from agents.records import Round, Sample, Transition
from agents.registry import parse
from envs.api import Continuous, Discrete, Spec, Step
from experiment.seeding import Seeds

CPU = torch.device("cpu")
SPEC = Spec("toy", (3,), "float32", Continuous((-2.0, 0.0), (2.0, 1.0)))
TD3: dict[str, Any] = {"critics": 2, "policy_delay": 2, "smoothing": 0.2}
N = 6


def config(random_steps: int = 0, **learner: Any) -> DDPG:
    raw = {"algorithm": "ddpg", "env": {"id": "toy", "count": 1}, "steps": 10_000, "network": {"hidden": [8]}}
    parsed = parse(raw | {"learner": learner, "random_steps": random_steps})
    assert isinstance(parsed, DDPG)
    return parsed


def learner_of(options: DDPG) -> Learner:
    """With target networks that differ from the networks."""
    learner = Learner(options, SPEC, Seeds(0), CPU, compiled=False)
    generator = torch.Generator().manual_seed(1)
    for target in (learner.policy.state.target, learner.critics.state.target):
        target.copy_(torch.randn(target.shape, generator=generator))
    return learner


def transitions(seed: int = 0) -> Transition:
    rng = np.random.default_rng(seed)
    return Transition(
        obs=rng.standard_normal((N, 3)).astype(np.float32),
        action=rng.uniform([-2, 0], [2, 1], (N, 2)).astype(np.float32),
        reward=rng.standard_normal(N).astype(np.float32),
        discount=np.where(rng.random(N) < 0.3, 0, 0.99).astype(np.float32),
        next_obs=rng.standard_normal((N, 3)).astype(np.float32),
        next_mask=None,
    )


def prepared(learner: Learner, rows: Transition, noise: Tensor) -> Batch:
    obs, action, reward, discount, next_obs = (torch.from_numpy(column) for column in rows[:5])
    return learner.prepare(obs, action, reward, discount, next_obs, noise)


def critic_gradient(learner: Learner, batch: Batch) -> tuple[Tensor, Any]:
    return learner.critics.gradient(
        learner.critics.state.parameters, learner.critics.state.target, learner.policy.state.target, batch
    )


@pytest.mark.parametrize("options", [{}, TD3])
def test_critic_loss(options: dict[str, Any]) -> None:
    """DDPG: y = r + discount Q'(s', mu'(s')). TD3: the smaller of the twins' values of a noisy action in the bounds."""
    learner, rows = learner_of(config(**options)), transitions()
    noise = 4 * torch.randn(N, 2, generator=torch.Generator().manual_seed(0)) if options else torch.zeros(N, 2)
    _, metrics = critic_gradient(learner, prepared(learner, rows, noise))
    obs, next_obs = torch.from_numpy(rows.obs), torch.from_numpy(rows.next_obs)
    next_action = learner.policy.flat.call(learner.policy.state.target, next_obs)
    if options:
        next_action = (next_action + (0.2 * noise).clamp(-0.5, 0.5)).clamp(-1, 1)
    next_q = learner.critics.flat.call(learner.critics.state.target, next_obs, next_action)
    assert len(next_q) == len(learner.critics.flat.module(obs, obs[:, :2])) == options.get("critics", 1)
    goal = torch.from_numpy(rows.reward) + torch.from_numpy(rows.discount) * next_q.min(0).values
    action = torch.from_numpy((rows.action - np.array([0, 0.5])) / np.array([2, 0.5])).float()  # in [-1, 1]
    q = learner.critics.flat.call(learner.critics.state.parameters, obs, action)
    expected = ((goal - q).square() / 2).mean(1).sum()
    torch.testing.assert_close(metrics["loss"], expected.detach(), rtol=1e-4, atol=1e-5)


def test_twins_differ_and_the_smaller_one_counts() -> None:
    learner, rows = learner_of(config(**TD3)), transitions()
    next_obs = torch.from_numpy(rows.next_obs)
    next_action = learner.policy.flat.call(learner.policy.state.target, next_obs)
    q = learner.critics.flat.call(learner.critics.state.target, next_obs, next_action)
    assert (q[0] < q[1]).any() and (q[1] < q[0]).any()


def test_smoothing_is_clipped_and_the_target_action_stays_in_the_bounds() -> None:
    learner, rows = learner_of(config(smoothing=0.2, smoothing_clip=0.3)), transitions()
    batch = prepared(learner, rows, torch.full((N, 2), 100.0))
    torch.testing.assert_close(batch.noise, torch.full((N, 2), 0.3))
    seen: list[Tensor] = []
    call = learner.critics.flat.call

    def recorded(vector: Tensor, obs: Tensor, action: Tensor) -> Tensor:
        seen.append(action)
        value: Tensor = call(vector, obs, action)
        return value

    learner.critics.flat.call = recorded  # type: ignore[method-assign]
    critic_gradient(learner, batch)
    target_action = seen[0]
    unclipped = learner.policy.flat.call(learner.policy.state.target, torch.from_numpy(rows.next_obs)) + 0.3
    assert (unclipped > 1).any() and (unclipped < 1).any()
    torch.testing.assert_close(target_action.detach(), unclipped.clamp(-1, 1))


def test_without_its_options_td3_is_ddpg() -> None:
    """Critics 1, delay 1, smoothing 0 are the defaults; smoothing by nothing changes nothing."""
    ddpg, td3 = learner_of(config()), learner_of(config(critics=1, policy_delay=1, smoothing=1e-30))
    for seed in range(3):
        ddpg.update(Sample(transitions(seed)))
        td3.update(Sample(transitions(seed)))
    torch.testing.assert_close(ddpg.policy.state.parameters, td3.policy.state.parameters, rtol=0, atol=0)
    torch.testing.assert_close(ddpg.critics.state.parameters, td3.critics.state.parameters, rtol=0, atol=0)


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_policy_and_targets_move_at_every_delayed_update(delay: int) -> None:
    learner = learner_of(config(policy_delay=delay, tau=0.25))
    policy, critics = learner.policy.state, learner.critics.state
    moved = []
    for update in range(1, 7):
        before = policy.parameters.clone(), policy.target.clone(), critics.target.clone()
        judged = critics.parameters.clone()
        learner.update(Sample(transitions(update)))
        assert not torch.equal(judged, critics.parameters)
        if torch.equal(before[0], policy.parameters):
            torch.testing.assert_close(policy.target, before[1], rtol=0, atol=0)
            torch.testing.assert_close(critics.target, before[2], rtol=0, atol=0)
        else:
            torch.testing.assert_close(policy.target, 0.75 * before[1] + 0.25 * policy.parameters)
            torch.testing.assert_close(critics.target, 0.75 * before[2] + 0.25 * critics.parameters)
            moved.append(update)
    assert moved == list(range(delay, 7, delay))


def test_the_policy_climbs_the_first_critic() -> None:
    """dQ/d(theta) by finite differences; the critics are only read."""
    learner = learner_of(config(critics=2))
    batch = prepared(learner, transitions(), torch.zeros(N, 2))
    parameters, critics = learner.policy.state.parameters, learner.critics.state.parameters
    gradient, metrics = learner.policy.gradient(parameters, critics, batch)
    value = learner.critics.flat.call(critics, batch.obs, learner.policy.flat.call(parameters, batch.obs))[0].mean()
    torch.testing.assert_close(metrics["loss"], -value.detach())
    direction = torch.randn(parameters.shape, generator=torch.Generator().manual_seed(0))
    step = 1e-2 * direction
    up, down = (learner.policy_loss(parameters + way, critics, batch)[0]["actor_loss"].mean() for way in (step, -step))
    assert ((up - down) / 2e-2).item() == pytest.approx((gradient @ direction).item(), rel=0.05)


def shown(count: int) -> Step:
    obs, none = np.zeros((count, 3), np.float32), np.zeros(count, bool)
    return Step(obs, None, none.astype(np.int64), np.zeros((count, 1)), none, none, obs)


def test_actions_are_scaled_to_the_bounds_and_random_at_first() -> None:
    options = config(random_steps=1_000)
    learner, actor = learner_of(options), policy(options, SPEC, CPU)
    actor.load(learner.weights())
    rng = np.random.default_rng(0)
    action = actor.act(actor.initial(2_000), shown(2_000), rng, explore=True).action
    np.testing.assert_allclose(action.min(0), [-2, 0], atol=0.02)
    np.testing.assert_allclose(action.max(0), [2, 1], atol=0.02)
    np.testing.assert_allclose(action.mean(0), [0, 0.5], atol=0.15)
    learner.begin_round(Round(0, 1_000))
    actor.load(learner.weights())
    action = actor.act(actor.initial(2_000), shown(2_000), rng, explore=True).action
    greedy = actor.act(actor.initial(1), shown(1), rng, explore=False).action
    np.testing.assert_allclose(action.mean(0), greedy[0], atol=0.03)
    np.testing.assert_allclose(action.std(0), [0.2, 0.05], rtol=0.1)  # sigma 0.1 of half the range


@pytest.mark.parametrize("actions", [Discrete(2), Continuous((-np.inf,), (np.inf,))])
def test_actions_without_bounds_are_refused(actions: Any) -> None:
    with pytest.raises(ValueError, match="continuous actions between finite bounds"):
        Learner(config(), Spec("toy", (3,), "float32", actions), Seeds(0), CPU, compiled=False)

"""DQN's learner against what its equations say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.records import Round, Sample, Transition
from agents.registry import parse
from agents.value.configs.dqn import DQN
from agents.value.dqn import Batch, Learner, policy
from envs.api import Array, Continuous, Discrete, Spec, Step
from experiment.seeding import Seeds

CPU = torch.device("cpu")
SPEC = Spec("toy", (3,), "float32", Discrete(4))
N = 6


def config(**learner: Any) -> DQN:
    raw = {"algorithm": "dqn", "env": {"id": "toy", "count": 1}, "steps": 10_000, "network": {"hidden": [8]}}
    parsed = parse(raw | {"learner": {"target_interval": 1_000} | learner})
    assert isinstance(parsed, DQN)
    return parsed


def learner_of(options: DQN) -> Learner:
    """With a target network that differs from the network."""
    learner = Learner(options, SPEC, Seeds(0), CPU, compiled=False)
    learner.trained.state.target.copy_(
        torch.randn(learner.trained.state.target.shape, generator=torch.Generator().manual_seed(1))
    )
    return learner


def transitions(seed: int = 0) -> Transition:
    rng = np.random.default_rng(seed)
    mask = rng.random((N, 4)) < 0.5
    mask[:, 1] = True
    return Transition(
        obs=rng.standard_normal((N, 3)).astype(np.float32),
        action=rng.integers(0, 4, N),
        reward=rng.standard_normal(N).astype(np.float32),
        discount=np.where(rng.random(N) < 0.3, 0, 0.99).astype(np.float32),
        next_obs=rng.standard_normal((N, 3)).astype(np.float32),
        next_mask=mask,
    )


def batch(rows: Transition, weight: Array | None = None) -> Batch:
    return Batch(*(None if column is None else torch.from_numpy(column) for column in (*rows[:6], weight)))  # type: ignore[arg-type]


def gradient(learner: Learner, rows: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
    """And what was found on the way."""
    state = learner.trained.state
    return learner.trained.gradient(state.parameters, state.target, rows)


def q_of(learner: Learner, parameters: Tensor, obs: Array) -> Array:
    return np.asarray(learner.trained.flat.call(parameters, torch.from_numpy(obs)).detach())


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_targets(double: bool, masked: bool) -> None:
    """The best legal action by the target network, or with `double` by the network; valued by the target network."""
    learner = learner_of(config(double=double))
    rows = transitions()
    if not masked:
        rows = rows._replace(next_mask=None)
    _, metrics = gradient(learner, batch(rows))
    online = q_of(learner, learner.trained.flat.parameters, rows.next_obs)
    target = q_of(learner, learner.trained.state.target, rows.next_obs)
    legal = np.ones((N, 4), bool) if rows.next_mask is None else rows.next_mask
    chooser = online if double else target
    assert (online.argmax(1) != target.argmax(1)).any()
    choice = np.where(legal, chooser, -np.inf).argmax(1)
    goal = rows.reward + rows.discount * target[np.arange(N), choice]
    q = q_of(learner, learner.trained.flat.parameters, rows.obs)[np.arange(N), rows.action]
    np.testing.assert_allclose(metrics["td_error"], abs(goal - q), rtol=1e-4, atol=1e-5)


def test_errors_beyond_huber_count_linearly() -> None:
    learner = learner_of(config(huber=0.5))
    rows = transitions()
    _, metrics = gradient(learner, batch(rows))
    error = metrics["td_error"].numpy()
    assert (error > 0.5).any() and (error < 0.5).any()
    loss = np.where(error <= 0.5, error**2 / 2, 0.5 * (error - 0.25))
    assert metrics["loss"].item() == pytest.approx(loss.mean(), rel=1e-5)


def test_importance_weights_reach_the_loss() -> None:
    """Weight 0 is a row that isn't there: the gradient is that of the others, times their share."""
    learner, rows = learner_of(config()), transitions()
    weight = np.array([1, 0.5, 0, 0, 0, 0], np.float32)
    weighted, _ = learner.trained.gradient(
        learner.trained.state.parameters, learner.trained.state.target, batch(rows, weight)
    )
    parts = []
    for row in (0, 1):
        single = Transition(*(column[row : row + 1] for column in rows if column is not None))
        parts.append(gradient(learner, batch(single))[0])
    torch.testing.assert_close(weighted, (parts[0] + 0.5 * parts[1]) / N, rtol=1e-4, atol=1e-6)


def test_priorities_are_the_errors() -> None:
    learner, rows = learner_of(config()), transitions()
    _, metrics = gradient(learner, batch(rows))
    assert learner.update(Sample(rows)) is None
    learner = learner_of(config())
    priority = learner.update(Sample(rows, np.arange(N), np.ones(N, np.float32)))
    assert priority is not None
    torch.testing.assert_close(priority, metrics["td_error"])


def test_target_is_copied_at_multiples_of_the_interval() -> None:
    learner = learner_of(config(target_interval=100))
    started = learner.trained.state.target.clone()
    copied = []
    for steps in range(30, 400, 30):
        before = learner.trained.state.target.clone()
        learner.update(Sample(transitions(steps)))
        torch.testing.assert_close(learner.trained.state.target, before, rtol=0, atol=0)  # an update doesn't move it
        learner.begin_round(Round(0, steps))
        if not torch.equal(learner.trained.state.target, before):
            torch.testing.assert_close(learner.trained.state.target, learner.trained.flat.parameters, rtol=0, atol=0)
            copied.append(steps)
    assert not torch.equal(started, learner.trained.state.target)
    assert copied == [120, 210, 300]


def test_target_follows_by_tau() -> None:
    learner = learner_of(config(target_interval=0, tau=0.25))
    before = learner.trained.state.target.clone()
    learner.update(Sample(transitions()))
    torch.testing.assert_close(learner.trained.state.target, 0.75 * before + 0.25 * learner.trained.flat.parameters)
    after = learner.trained.state.target.clone()
    learner.begin_round(Round(0, 1_000_000))
    torch.testing.assert_close(learner.trained.state.target, after, rtol=0, atol=0)


def test_gradients_are_clipped() -> None:
    """Adam hides the length of the first gradient, but not of what its moments keep."""
    learner = learner_of(config(max_gradient_norm=0.01))
    learner.update(Sample(transitions()))
    assert learner.trained.state.adam.mean.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert learner.metrics()["train/gradient_norm"] > 0.01


def test_epsilon_travels_with_the_weights() -> None:
    """Half way down the schedule, half of the actions are drawn from all four."""
    raw = config().model_dump(mode="json") | {"epsilon": {"kind": "linear", "start": 1.0, "end": 0.0, "until": 1.0}}
    options = parse(raw)
    assert isinstance(options, DQN)
    learner, actor = learner_of(options), policy(options, SPEC, CPU)
    learner.begin_round(Round(0, 5_000))
    actor.load(learner.weights())
    obs = np.zeros((4_000, 3), np.float32)
    none = np.zeros(4_000, bool)
    step = Step(obs, None, none.astype(np.int64), np.zeros((4_000, 1)), none, none, obs)
    greedy = actor.act({}, step, np.random.default_rng(0), explore=False).action
    assert (greedy == greedy[0]).all()
    action = actor.act({}, step, np.random.default_rng(0), explore=True).action
    assert (action != greedy).mean() == pytest.approx(0.5 * 3 / 4, abs=4 * (0.25 / 4_000) ** 0.5)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(ValueError, match="discrete"):
        Learner(config(), Spec("toy", (3,), "float32", Continuous((-1.0,), (1.0,))), Seeds(0), CPU, compiled=False)

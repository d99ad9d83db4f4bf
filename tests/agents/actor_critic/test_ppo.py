"""PPO's learner against what its equations say."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.actor_critic.configs.ppo import PPO
from agents.actor_critic.ppo import Learner, make
from agents.experience.own_steps import actor
from agents.parts.on_policy import Rows
from agents.records import Round, Sample, Unroll
from agents.registry import parse
from envs.api import Array, Discrete, Spec
from experiment.seeding import Seeds

CPU = torch.device("cpu")


def config(world: str = "ObservationActionReward", network: dict[str, Any] | None = None, **learner: Any) -> PPO:
    raw = {
        "algorithm": "ppo",
        "env": {"id": f"sparring/{world}-v0", "count": 4},
        "rollout": {"steps": 8},
        "network": network or {"hidden": [16]},
        "learner": {"batch_size": 8, "epochs": 3} | learner,
    }
    parsed = parse(raw)
    assert isinstance(parsed, PPO)
    return parsed


def collected(options: PPO) -> tuple[Learner, Unroll]:
    """A new learner, and what an actor with its weights brings home."""
    hand = actor(options, 0, 0)
    learner = make(options, hand.rollout.env.spec, Seeds(0), CPU).learner  # type: ignore[attr-defined]
    hand.load(learner.weights(), 0)
    unroll = hand.collect().rows
    hand.close()
    assert isinstance(learner, Learner)
    return learner, unroll


def settings(learner: Learner) -> tuple[tuple[Any, ...], Tensor]:
    state = (learner.trained.state, learner.active)
    return state, torch.tensor([learner.config.learner.learning_rate, 0.2])


def gradient_of(learner: Learner, rows: Rows) -> tuple[Tensor, Mapping[str, Tensor]]:
    """And what was found on the way, with clip 0.2."""
    return learner.trained.gradient(learner.trained.state.parameters, torch.tensor(0.2), rows)


@pytest.mark.parametrize("world", ["ObservationActionReward", "MaskedAction", "LQR"])
def test_before_the_first_step_the_policies_are_one(world: str) -> None:
    """The actor's numpy policy and the learner's torch policy agree: ratio 1, approx_kl 0, clip_fraction 0."""
    learner, unroll = collected(config(world))
    rows = learner.rows(unroll)
    outputs, _ = learner.network(rows.obs)
    log_prob = learner.family.log_prob(outputs, rows.action, rows.mask)
    torch.testing.assert_close((log_prob - rows.log_prob).exp(), torch.ones(32), rtol=0, atol=2e-6)
    _, metrics = gradient_of(learner, rows)
    assert (metrics["clip_fraction"] == 0).all()
    assert metrics["approx_kl"].mean().item() == pytest.approx(0, abs=1e-6)


def test_each_row_is_used_once_in_every_epoch() -> None:
    learner, unroll = collected(config(epochs=5))
    seen: list[Tensor] = []
    learner.step = lambda state, settings, index, *rows: seen.append(index.clone())
    learner.update(Sample(unroll))
    epochs = torch.cat([index.reshape(-1) for index in seen]).reshape(5, 32)
    torch.testing.assert_close(epochs.sort(-1).values, torch.arange(32).expand(5, 32))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 5  # in another order each


def test_masked_actions_get_no_gradient() -> None:
    learner, unroll = collected(config("MaskedAction", network={"hidden": []}))
    rows = learner.rows(unroll)
    assert rows.mask is not None
    legal = rows.mask.clone()
    legal[:, 1], legal[:, 4] = False, True
    rows = rows._replace(mask=legal, action=torch.full_like(rows.action, 4))
    gradient, _ = gradient_of(learner, rows)
    bias = learner.trained.flat.views(gradient)["policy.head.linear.bias"]
    assert bias[1] == 0
    assert (bias[[0, 2, 3, 4]] != 0).all()
    outputs, _ = learner.network(rows.obs)
    illegal = learner.family.log_prob(outputs, torch.ones_like(rows.action), rows.mask).exp()
    torch.testing.assert_close(illegal, torch.zeros(32), rtol=0, atol=0)


# The two-state world: obs one-hot, the action is the next state, three steps from state 0, reward by (state, action).
REWARD = np.array([[1.0, -0.5], [0.3, 2.0]], np.float32)
HORIZON = 3


def exact_gradient(learner: Learner) -> Tensor:
    """Of the expected return with respect to all parameters, by the sum over the 2^3 action sequences."""
    parameters = learner.trained.flat.parameters.clone().requires_grad_()
    outputs, _ = learner.trained.flat.call(parameters, torch.eye(2))
    log_probs = outputs.log_softmax(-1)
    expected = torch.zeros(())
    for actions in itertools.product(range(2), repeat=HORIZON):
        log_prob, earned, state = torch.zeros(()), 0.0, 0
        for action in actions:
            log_prob, earned, state = log_prob + log_probs[state, action], earned + REWARD[state, action], action
        expected = expected + log_prob.exp() * earned
    return torch.autograd.grad(expected, parameters, allow_unused=True)[0]


def played(learner: Learner, count: int, rng: np.random.Generator) -> Unroll:
    obs = np.zeros((HORIZON + 1, count, 2), np.float32)
    action, log_prob = np.zeros((HORIZON, count), np.int64), np.zeros((HORIZON, count), np.float32)
    reward = np.zeros((HORIZON, count), np.float32)
    state = np.zeros(count, np.int64)
    for t in range(HORIZON):
        obs[t] = np.eye(2)[state]
        outputs = learner.network.policy(torch.from_numpy(obs[t])).numpy()
        action[t], drawn = learner.family.act(outputs, None, rng, True)
        assert drawn is not None
        log_prob[t], reward[t], state = drawn, REWARD[state, action[t]], action[t]
    obs[HORIZON] = np.eye(2)[state]
    terminated = np.zeros((HORIZON, count), bool)
    terminated[-1] = True
    first = np.zeros((HORIZON + 1, count), bool)
    first[[0, -1]] = True
    finals = obs[HORIZON], (HORIZON - 1) * count + np.arange(count)
    said = {"log_prob": log_prob}
    return Unroll(obs, None, first, action, reward, terminated, np.zeros_like(terminated), *finals, extras=said)


def test_policy_gradient_is_unbiased() -> None:
    """1e5 steps of experience against exact enumeration, within 4 standard errors, whatever the values say."""
    options = config(
        network={"hidden": []},
        discount=1.0,
        gae_lambda=1.0,
        normalize_advantage=False,
        value_coefficient=0.0,
    )
    learner = Learner(options, Spec("two states", (2,), "float32", Discrete(2)), Seeds(3), CPU, compiled=False)
    learner.trained.flat.parameters.copy_(
        torch.randn(learner.trained.flat.parameters.shape, generator=torch.Generator().manual_seed(1))
    )
    rng = np.random.default_rng(0)
    blocks = []
    for _ in range(40):
        rows = learner.rows(played(learner, 840, rng))
        gradient, _ = gradient_of(learner, rows)
        blocks.append(-gradient[: learner.network.acting] * HORIZON)  # the loss is a mean over steps, negated
    estimate, error = torch.stack(blocks).mean(0), torch.stack(blocks).std(0) / len(blocks) ** 0.5
    exact = exact_gradient(learner)[: learner.network.acting]
    assert exact.abs().max() > 0.1
    assert ((estimate - exact).abs() <= 4 * error).all(), (estimate, exact, error)


def test_beyond_the_kl_limit_nothing_moves() -> None:
    stopped, unroll = collected(config(target_kl=1e-7, learning_rate=0.05))
    free, _ = collected(config(learning_rate=0.05))
    indices: list[Tensor] = []
    step = stopped.step

    def recorded(state: Any, settings: Tensor, index: Tensor, *rows: Any) -> None:
        indices.append(index.clone())
        step(state, settings, index, *rows)

    stopped.step = recorded
    stopped.update(Sample(unroll))
    state, _ = settings(free)
    free.step(state, torch.tensor([0.05, 0.2]), indices[0][:1], *free.rows(unroll))
    torch.testing.assert_close(stopped.trained.flat.parameters, free.trained.flat.parameters, rtol=0, atol=0)
    torch.testing.assert_close(stopped.trained.state.adam.mean, free.trained.state.adam.mean, rtol=0, atol=0)
    assert sum(index.numel() for index in indices) == 32  # all rows once, and no further epoch
    assert stopped.metrics()["train/approx_kl"] > 1e-7  # the minibatch that exceeded the limit is reported


def hand_made(learner: Learner, value: float, target: float) -> Rows:
    """One row, of which the network says its own value now; `value` and `target` are relative to that."""
    obs = torch.zeros(1, 1)
    with torch.no_grad():
        outputs, now = learner.network(obs)
    action = torch.zeros(1, dtype=torch.int64)
    log_prob = learner.family.log_prob(outputs, action, None)
    return Rows(obs, None, action, log_prob, torch.ones(1), now + target, now + value)


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        (-0.05, 1.0, 0.5),  # it moved by less than the clip: the plain loss
        (-1.0, 1.0, 0.5 * 1.9**2),  # moved by 1 towards the target: counts as if by 0.1 only
        (1.0, 1.0, 0.5),  # moved away from the target: the worse of the two
    ],
)
def test_value_clip(value: float, target: float, expected: float) -> None:
    learner, _ = collected(config(value_clip=0.1, normalize_advantage=False))
    _, metrics = learner.trained.gradient(
        learner.trained.state.parameters, torch.tensor(0.2), hand_made(learner, value, target)
    )
    assert metrics["value_loss"].item() == pytest.approx(expected, rel=1e-5)


SPEC = Spec("toy", (1,), "float32", Discrete(3))
LOGITS = torch.tensor([1.0, 0.0, -0.5])


def of_one_row(advantage: float, value_error: float, **learner: Any) -> tuple[dict[str, Tensor], Mapping[str, Tensor]]:
    """The gradient by layer, and what was found, where the logits are LOGITS, action 0 was taken, and the value is
    `value_error` below its target."""
    options = config(network={"hidden": []}, normalize_advantage=False, **learner)
    made = Learner(options, SPEC, Seeds(0), CPU, compiled=False)
    made.trained.flat.views(made.trained.state.parameters)["policy.head.linear.bias"].copy_(LOGITS)
    row = hand_made(made, 0.0, value_error)._replace(advantage=torch.tensor([advantage]))
    gradient, found = gradient_of(made, row)
    return made.trained.flat.views(gradient), found


def test_the_policy_term_makes_what_did_well_likelier() -> None:
    """d(-A log p_0) = -A (1_0 - p) at ratio 1."""
    gradient, found = of_one_row(2.0, 0.0)
    chosen = torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(gradient["policy.head.linear.bias"], -2 * (chosen - LOGITS.softmax(0)))
    assert found["loss"].item() == found["policy_gradient_loss"].item() == pytest.approx(-2.0)


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 1.0])
def test_the_value_term_pulls_values_to_their_targets(coefficient: float) -> None:
    """d(c (target - v)^2 / 2) = -c (target - v)."""
    gradient, found = of_one_row(0.0, 3.0, value_coefficient=coefficient)
    assert gradient["head.linear.bias"].item() == pytest.approx(-3 * coefficient)
    assert not gradient["policy.head.linear.bias"].any()
    assert found["value_loss"].item() == pytest.approx(4.5)
    assert found["loss"].item() == pytest.approx(4.5 * coefficient)


@pytest.mark.parametrize("coefficient", [0.0, 0.1, 1.0])
def test_the_entropy_bonus_pushes_to_the_uniform_policy(coefficient: float) -> None:
    """d(-c H) = c p (log p + H): the likeliest logit falls and the others rise."""
    gradient, found = of_one_row(0.0, 0.0, entropy_coefficient=coefficient)
    p = LOGITS.softmax(0)
    entropy = -(p * p.log()).sum()
    bias = gradient["policy.head.linear.bias"]
    torch.testing.assert_close(bias, coefficient * p * (p.log() + entropy))
    assert (bias.sign() == torch.tensor([1.0, -1.0, -1.0]) * (coefficient > 0)).all()
    assert found["entropy_loss"].item() == pytest.approx(-entropy.item())
    assert found["loss"].item() == pytest.approx(-coefficient * entropy.item())


@pytest.mark.parametrize(("above", "moves"), [(1.01, True), (0.99, False)])
def test_the_kl_limit_is_one_and_a_half_times_the_target(above: float, moves: bool) -> None:
    """All actions have become exp(0.2) times likelier: exp(0.2) - 1 - 0.2 by the estimator."""
    learner, unroll = collected(config(target_kl=above * (np.exp(0.2) - 1.2) / 1.5))
    rows = learner.rows(unroll)
    outputs, _ = learner.network(rows.obs)
    rows = rows._replace(log_prob=learner.family.log_prob(outputs, rows.action, rows.mask) - 0.2)
    before = learner.trained.state.parameters.clone()
    learner.minibatch(learner.trained.state, learner.active, torch.tensor([0.01, 0.2]), rows)
    assert torch.equal(before, learner.trained.state.parameters) != moves
    assert learner.metrics()["train/approx_kl"] == pytest.approx(np.exp(0.2) - 1.2, rel=1e-3)


def test_the_learning_rate_schedule_reaches_the_optimizer() -> None:
    """One minibatch: half the learning rate, half the way."""
    moved = []
    for progress in (0.0, 0.5):
        schedule = {"kind": "linear", "start": 1e-2, "end": 0.0}
        learner, unroll = collected(config(learning_rate=schedule, batch_size=32, epochs=1))
        learner.begin_round(Round(0, int(progress * learner.config.steps)))
        before = learner.trained.flat.parameters.clone()
        learner.update(Sample(unroll))
        moved.append(learner.trained.flat.parameters - before)
        assert learner.metrics()["train/learning_rate"] == pytest.approx(1e-2 * (1 - progress))
    torch.testing.assert_close(moved[1], moved[0] / 2, rtol=1e-3, atol=1e-7)


def test_the_clip_schedule_reaches_the_loss() -> None:
    learner, unroll = collected(config(clip={"kind": "linear", "start": 0.2, "end": 0.1}))
    clips: list[float] = []
    learner.step = lambda state, settings, index, *rows: clips.append(settings[1].item())
    learner.begin_round(Round(0, learner.config.steps // 2))
    learner.update(Sample(unroll))
    assert clips == pytest.approx([0.15] * len(clips)) and clips


def test_advantages_bootstrap_from_the_true_last_observation() -> None:
    """A step that was cut off is worth its reward and gamma times the value of its final observation."""
    learner, unroll = collected(config("LQR", gae_lambda=0.0))
    cut: Array = np.zeros((8, 4), bool)
    cut[2, 1] = True
    final = np.array([[0.7]], np.float32)
    unroll = unroll._replace(
        terminated=np.zeros_like(cut), truncated=cut, final_obs=final, final_at=np.array([2 * 4 + 1], np.int64)
    )
    rows = learner.rows(unroll)
    with torch.no_grad():
        expected = unroll.reward[2, 1] + 0.99 * learner.network.value(torch.from_numpy(final)).item()
    assert rows.target.reshape(8, 4)[2, 1].item() == pytest.approx(expected, rel=1e-5)

"""Each loss against its equation, by hand on small numbers; gradients by finite differences in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from agents.maths import losses
from tests.agents import two_state as world

N, A = 7, 4


def normal(*shape: int, seed: int = 0, grad: bool = False) -> Tensor:
    out = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return out.requires_grad_(grad)


@pytest.mark.parametrize(
    ("paying", "baseline", "variance"),
    [(0.5, 0.0, 0.0625), (0.5, 0.5, 0.0), (0.5, 1.0, 0.0625), (0.5, 10.0, 22.5625)]
    # Of an arm that pays mostly the mean is a baseline worse than none, and the best one is far from it.
    + [(0.8, 0.0, 0.0064), (0.8, 0.8, 0.0576), (0.8, 0.2, 0.0)],
)
def test_policy_gradient_of_two_arms(paying: float, baseline: float, variance: float) -> None:
    """The second pays 1, the first nothing: no baseline changes the mean of the gradient, every one its variance."""
    chances = torch.tensor([1 - paying, paying], dtype=torch.float64)
    found = []
    for arm in (0, 1):
        logits = chances.log().requires_grad_()
        loss = losses.policy_gradient(logits.log_softmax(-1)[arm], torch.tensor(arm - baseline))
        found.append(-torch.autograd.grad(loss, logits)[0][1])
    gradient = torch.stack(found)
    mean = chances @ gradient
    assert mean.item() == pytest.approx(paying * (1 - paying))
    assert (chances @ (gradient - mean).square()).item() == pytest.approx(variance)


def test_policy_gradient_is_the_gradient_of_the_return() -> None:
    """By action values, by advantages, and by what compatible features make of action values: all are exact."""
    policy, q = world.LOGITS.softmax(-1), world.action_values(world.LOGITS)
    v = world.values(world.LOGITS)
    weight = world.of_every_action(world.visits(world.LOGITS)[:, None] * policy) / (1 - world.GAMMA)
    score = torch.zeros(4, 2, 2, dtype=torch.float64)  # d log pi(a|s) of each pair
    for pair in range(4):
        state, action = divmod(pair, 2)
        score[pair, state] = torch.eye(2, dtype=torch.float64)[action] - policy[state]
    features, each = score.reshape(4, 4), weight.diag()
    compatible = features @ torch.linalg.pinv(features.T @ each @ features) @ features.T @ each @ q.reshape(4)
    worth = [q.reshape(4), (q - v[:, None]).reshape(4), compatible]
    for credit in worth:
        logits = world.LOGITS.clone().requires_grad_()
        loss = losses.policy_gradient(logits.log_softmax(-1).reshape(4), credit)
        world.close(-torch.autograd.grad(weight @ loss, logits)[0], world.GRADIENT)
    world.close(compatible, worth[1])  # with a logit for each pair compatible features can say all of the advantage


def test_surrogate_starts_as_the_policy_gradient() -> None:
    log_prob, advantage = normal(N, grad=True), normal(N, seed=1)
    loss = losses.surrogate(log_prob, log_prob.detach(), advantage)
    torch.testing.assert_close(loss, -advantage)
    plain = losses.policy_gradient(log_prob, advantage)
    torch.testing.assert_close(*(torch.autograd.grad(found.sum(), log_prob)[0] for found in (loss, plain)))
    moved = losses.surrogate(log_prob + 0.1, log_prob.detach(), advantage)
    torch.testing.assert_close(moved, -advantage * math.exp(0.1))


def test_ppo_clip_in_its_four_cases() -> None:
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1])
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0, 2.0])
    log_prob = ratio.log().requires_grad_()
    loss = losses.ppo_clip(log_prob, torch.zeros(5), advantage, 0.2)
    torch.testing.assert_close(loss, -torch.tensor([2.4, -3.0, 1.0, -1.6, 2.2]))
    (gradient,) = torch.autograd.grad(loss.sum(), log_prob)
    torch.testing.assert_close(gradient, -torch.tensor([0.0, -3.0, 1.0, 0.0, 2.2]))  # 0 where clipping gains nothing


def test_ppo_clip_starts_as_the_policy_gradient() -> None:
    log_prob, advantage = normal(N, grad=True), normal(N, seed=1)
    loss = losses.ppo_clip(log_prob, log_prob.detach(), advantage, 0.2)
    torch.testing.assert_close(loss, -advantage)
    (gradient,) = torch.autograd.grad(loss.sum(), log_prob)
    torch.testing.assert_close(gradient, -advantage)


def test_huber_and_squared() -> None:
    delta = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0], requires_grad=True)
    torch.testing.assert_close(losses.squared(delta), torch.tensor([4.5, 0.5, 0.125, 0.0, 0.125, 0.5, 4.5]))
    torch.testing.assert_close(losses.huber(delta), torch.tensor([2.5, 0.5, 0.125, 0.0, 0.125, 0.5, 2.5]))
    torch.testing.assert_close(losses.huber(delta, 2.0)[[0, -1]], torch.tensor([4.0, 4.0]))
    torch.testing.assert_close(losses.huber(delta, 1e9), losses.squared(delta))
    (gradient,) = torch.autograd.grad(losses.huber(delta).sum(), delta)
    torch.testing.assert_close(gradient, delta.detach().clamp(-1, 1))
    x = normal(N, seed=3) * 3
    torch.testing.assert_close(losses.huber(x, 0.7), torch.nn.functional.huber_loss(x, x * 0, "none", delta=0.7))


def test_quantile_huber_is_its_equation() -> None:
    quantile, target, kappa = normal(N, 3), normal(N, 5, seed=1), 0.5
    expected = torch.zeros(N, dtype=torch.float64)
    for n in range(N):
        for i, tau in enumerate((1 / 6, 3 / 6, 5 / 6)):
            for j in range(5):
                delta = (target[n, j] - quantile[n, i]).item()
                size = delta**2 / 2 if abs(delta) <= kappa else kappa * (abs(delta) - kappa / 2)
                expected[n] += abs(tau - (delta < 0)) * size / 5
    torch.testing.assert_close(losses.quantile_huber(quantile, target, kappa), expected)


def test_quantile_huber_rests_at_the_quantiles() -> None:
    """Eight returns: between the first and the second one lies the quantile at an eighth, and so on."""
    returns = torch.tensor([[-7.0, -3.0, 0.0, 1.0, 2.0, 5.0, 11.0, 40.0]], dtype=torch.float64)
    quantiles = returns.view(4, 2).mean(-1)[None].requires_grad_()
    gradient = lambda x: torch.autograd.grad(losses.quantile_huber(x, returns, 1e-3).sum(), x)[0]  # noqa: E731
    torch.testing.assert_close(gradient(quantiles), torch.zeros_like(quantiles))
    assert (gradient(quantiles + 50) > 0).all() and (gradient(quantiles - 50) < 0).all()
    mean = returns.mean(-1, keepdim=True).requires_grad_()  # a kappa beyond every error makes the median a mean
    loss = losses.quantile_huber(mean, returns, 100.0).sum()
    torch.testing.assert_close(torch.autograd.grad(loss, mean)[0], torch.zeros_like(mean))


def test_clipped_value_loss_is_the_worse_one() -> None:
    value, target, old = torch.tensor([1.0, 1.0, 0.1]), torch.tensor([2.0, 0.0, 2.0]), torch.zeros(3)
    found = losses.value_loss_clipped(value, target, old, 0.2)
    torch.testing.assert_close(found, torch.tensor([1.62, 0.5, 1.805]))  # 1.8^2 / 2, 1^2 / 2, 1.9^2 / 2
    assert (found >= losses.value_loss(value, target)).all()
    torch.testing.assert_close(losses.value_loss(value, target), torch.tensor([0.5, 0.5, 1.805]))


def test_targets_by_hand() -> None:
    reward, discount = torch.tensor([1.0, 2.0]), torch.tensor([0.9, 0.0])
    next_q = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    online = torch.tensor([[9.0, 8.0, 7.0], [0.0, 1.0, 2.0]], requires_grad=True)
    mask = torch.tensor([[False, True, True], [False, False, False]])  # nothing is legal after the end
    torch.testing.assert_close(losses.max_target(reward, discount, next_q), torch.tensor([3.7, 2.0]))
    torch.testing.assert_close(losses.double_target(reward, discount, next_q, online), torch.tensor([1.9, 2.0]))
    torch.testing.assert_close(losses.double_target(reward, discount, next_q, online, mask), torch.tensor([2.8, 2.0]))
    lower = torch.tensor([[True, True, False], [False, False, False]])
    torch.testing.assert_close(losses.max_target(reward, discount, next_q, lower), torch.tensor([2.8, 2.0]))
    twin = losses.clipped_target(reward, discount, torch.stack([next_q[:, 0], online[:, 1]]))
    torch.testing.assert_close(twin, torch.tensor([1.9, 2.0]))


def test_quantile_target_is_of_the_best_legal_action() -> None:
    reward, discount = torch.tensor([1.0, 2.0]), torch.tensor([-0.5, 0.0])
    quantiles = torch.arange(12.0).view(2, 3, 2)
    q, mask = torch.tensor([[3.0, 2.0, 1.0], [0.0, 1.0, 2.0]]), torch.tensor([[False, True, True], [False] * 3])
    found = losses.quantile_target(reward, discount, quantiles, q, mask)
    torch.testing.assert_close(found, torch.tensor([[0.0, -0.5], [2.0, 2.0]]))


def test_targets_carry_no_gradient() -> None:
    q, other, reward = normal(N, A, grad=True), normal(N, A, seed=1, grad=True), normal(N, seed=2)
    discount = torch.full((N,), 0.9, dtype=torch.float64)
    assert not losses.max_target(reward, discount, q).requires_grad
    assert not losses.double_target(reward, discount, q, other).requires_grad
    assert not losses.clipped_target(reward, discount, torch.stack([q[:, 0], other[:, 0]])).requires_grad
    assert not losses.quantile_target(reward, discount, q.unsqueeze(-1), other).requires_grad
    assert not losses.td_target(reward, discount, q[:, 0]).requires_grad


def test_double_target_is_never_above_the_maximum() -> None:
    q, online, reward = normal(500, A), normal(500, A, seed=1), normal(500, seed=2)
    discount = torch.ones(500, dtype=torch.float64)
    single, double = losses.max_target(reward, discount, q), losses.double_target(reward, discount, q, online)
    assert (double <= single).all()
    assert double.mean() < single.mean() - 0.5  # of independent noise the maximum is biased, the double one isn't
    assert abs((double - reward).mean()) < 0.15
    torch.testing.assert_close(losses.double_target(reward, discount, q, q), single)


def test_deterministic_policy_gradient_climbs_q() -> None:
    """Q(a) = -(a - 3)^2: the gradient of the loss is -dQ/da = 2 (a - 3)."""
    action = torch.tensor([0.0, 3.0, 5.0], requires_grad=True)
    loss = losses.deterministic_policy_gradient(-(action - 3).square())
    (gradient,) = torch.autograd.grad(loss.sum(), action)
    torch.testing.assert_close(gradient, torch.tensor([-6.0, 0.0, 4.0]))


OLD, ADVANTAGE, CLIP = normal(N, seed=1), normal(N, seed=2), torch.tensor(0.2, dtype=torch.float64)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.ppo_clip(x, OLD, ADVANTAGE, 0.2),
        lambda x: losses.ppo_clip(x, OLD, ADVANTAGE, CLIP),
        losses.deterministic_policy_gradient,
        losses.squared,
        lambda x: losses.huber(x, 0.5),
        lambda x: losses.value_loss(x, OLD),
        lambda x: losses.value_loss_clipped(x, OLD, ADVANTAGE, 0.2),
        lambda x: losses.value_loss_clipped(x, OLD, ADVANTAGE, CLIP),
    ],
)
def test_gradients_and_one_graph(loss: Callable[[Tensor], Tensor]) -> None:
    x = normal(N, grad=True)
    assert loss(x).shape == (N,)
    assert gradcheck(loss, x)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), loss(x))


def test_losses_per_sample_under_vmap() -> None:
    x = normal(N, grad=True)
    per_row = torch.func.grad(lambda x, old, advantage: losses.ppo_clip(x, old, advantage, 0.2))
    found = torch.func.vmap(per_row)(x.detach(), OLD, ADVANTAGE)
    (expected,) = torch.autograd.grad(losses.ppo_clip(x, OLD, ADVANTAGE, 0.2).sum(), x)
    torch.testing.assert_close(found, expected)

"""Closed forms, torch.distributions as a second opinion, and gradients that are exactly zero where they must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from agents.maths import distributions as D

N, A, SIZES = 6, 5, (2, 3, 4)


def normal(*shape: int, seed: int = 0, grad: bool = False) -> Tensor:
    out = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return out.requires_grad_(grad)


def some_mask(width: int) -> Tensor:
    mask = torch.rand(N, width, generator=torch.Generator().manual_seed(9)) < 0.5
    mask[:, 0] = True
    return mask


def legal_actions(mask: Tensor) -> Tensor:
    return torch.multinomial(mask.double(), 1, generator=torch.Generator().manual_seed(5)).squeeze(-1)


def reference(logits: Tensor, mask: Tensor | None = None) -> torch.distributions.Categorical:
    if mask is not None:
        logits = torch.where(mask, logits, -torch.inf)
    return torch.distributions.Categorical(probs=logits.softmax(-1))


def test_categorical_agrees_with_torch() -> None:
    p, q = normal(N, A) * 3, normal(N, A, seed=1) * 3
    action = legal_actions(torch.ones(N, A))
    torch.testing.assert_close(D.categorical_log_prob(p, action), reference(p).log_prob(action))
    torch.testing.assert_close(D.categorical_entropy(p), reference(p).entropy())
    expected = torch.distributions.kl_divergence(reference(p), reference(q))
    torch.testing.assert_close(D.categorical_kl(p, q), expected)


def test_masked_is_the_smaller_distribution() -> None:
    """Taking the illegal columns away altogether changes nothing."""
    p, q = normal(1, A), normal(1, A, seed=1)
    mask = torch.tensor([[True, False, True, False, True]])
    kept = mask[0].nonzero().squeeze(-1)
    small_p, small_q = p[:, kept], q[:, kept]
    torch.testing.assert_close(D.categorical_entropy(p, mask), D.categorical_entropy(small_p))
    torch.testing.assert_close(D.categorical_kl(p, q, mask), D.categorical_kl(small_p, small_q))
    torch.testing.assert_close(
        D.categorical_log_prob(p, torch.tensor([4]), mask), D.categorical_log_prob(small_p, torch.tensor([2]))
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_masked_actions_have_probability_and_gradient_zero(dtype: torch.dtype, scale: float) -> None:
    mask = some_mask(A)
    mask[0] = torch.arange(A) == 2  # a forced move
    action = legal_actions(mask)
    logits = (normal(N, A) * scale).to(dtype).requires_grad_()
    other = (normal(N, A, seed=1) * scale).to(dtype)
    results = (
        D.categorical_log_prob(logits, action, mask),
        D.categorical_entropy(logits, mask),
        D.categorical_kl(logits, other, mask),
        D.categorical_kl(other, logits, mask),
    )
    for result in results:
        assert torch.isfinite(result).all()
        (gradient,) = torch.autograd.grad(result.sum(), logits)
        assert torch.isfinite(gradient).all()
        assert (gradient[~mask] == 0).all()
    probability = D.categorical_log_probs(logits, mask).exp()
    assert (probability[~mask] == 0).all()
    assert D.categorical_entropy(logits, mask)[0] == 0
    if scale == 1.0:  # the naive way, for comparison, is NaN
        naive = torch.where(mask, logits, -torch.inf).log_softmax(-1)
        assert (naive.exp() * naive).sum(-1).isnan().any()


def test_uniform_closed_forms() -> None:
    mask = some_mask(A)
    torch.testing.assert_close(D.categorical_entropy(torch.zeros(N, A), mask), mask.sum(-1).float().log())
    assert D.gaussian_entropy(torch.zeros(1, 1)).item() == pytest.approx(0.5 * math.log(2 * math.pi * math.e))


def test_samples_have_the_right_frequencies() -> None:
    count = 40_000
    logits = torch.tensor([0.0, 1.0, -1.0, 5.0, 0.5]).expand(count, A)
    mask = torch.tensor([True, True, True, False, True]).expand(count, A)
    uniform = torch.rand(count, A, generator=torch.Generator().manual_seed(0))
    action = D.categorical_sample(logits, uniform, mask)
    expected = D.categorical_log_probs(logits[:1], mask[:1]).exp()[0] * count
    found = torch.bincount(action, minlength=A)
    assert found[3] == 0
    chi_square = ((found - expected).square() / expected.clamp(min=1e-9)).sum()
    assert chi_square < 16.27  # 99.9 %, 3 degrees of freedom
    assert (D.categorical_sample(logits, uniform, mask) == action).all()  # no hidden randomness


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_samples_are_legal_whatever_the_noise(value: float) -> None:
    mask = some_mask(A)
    action = D.categorical_sample(normal(N, A).float(), torch.full((N, A), value), mask)
    assert mask[torch.arange(N), action].all()
    assert mask[torch.arange(N), D.categorical_mode(normal(N, A), mask)].all()


def test_multi_categorical_is_the_product_of_its_parts() -> None:
    p, q, mask = normal(N, sum(SIZES)), normal(N, sum(SIZES), seed=1), some_mask(sum(SIZES))
    mask[:, [2, 5]] = True
    starts = (0, 2, 5)
    pieces = [slice(start, start + size) for start, size in zip(starts, SIZES, strict=True)]
    action = torch.stack([legal_actions(mask[:, piece]) for piece in pieces], -1)
    uniform = torch.rand(N, sum(SIZES), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    by_hand = [(reference(p[:, s], mask[:, s]), reference(q[:, s], mask[:, s])) for s in pieces]

    found = D.multi_categorical_log_prob(p, action, SIZES, mask)
    torch.testing.assert_close(found, sum(d.log_prob(action[:, i]) for i, (d, _) in enumerate(by_hand)))
    torch.testing.assert_close(D.multi_categorical_entropy(p, SIZES, mask), sum(d.entropy() for d, _ in by_hand))
    kl = sum((d.probs * (d.probs / e.probs).log().nan_to_num(0.0)).sum(-1) for d, e in by_hand)
    torch.testing.assert_close(D.multi_categorical_kl(p, q, SIZES, mask), kl)
    sampled = D.multi_categorical_sample(p, uniform, SIZES, mask)
    mode = D.multi_categorical_mode(p, SIZES, mask)
    for i, piece in enumerate(pieces):
        assert (sampled[:, i] == D.categorical_sample(p[:, piece], uniform[:, piece], mask[:, piece])).all()
        assert (mode[:, i] == by_hand[i][0].probs.argmax(-1)).all()
    assert D.multi_categorical_log_prob(p, action, SIZES).shape == (N,)


def test_gaussian_agrees_with_torch() -> None:
    mean, log_std, action = normal(N, 3), normal(N, 3, seed=1), normal(N, 3, seed=2)
    other, other_log_std = normal(N, 3, seed=3), normal(N, 3, seed=4)
    p = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    q = torch.distributions.Independent(torch.distributions.Normal(other, other_log_std.exp()), 1)
    torch.testing.assert_close(D.gaussian_log_prob(mean, log_std, action), p.log_prob(action))
    torch.testing.assert_close(D.gaussian_entropy(log_std), p.entropy())
    expected = torch.distributions.kl_divergence(p, q)
    torch.testing.assert_close(D.gaussian_kl(mean, log_std, other, other_log_std), expected)


def test_gaussian_kl_known_value() -> None:
    zero, one, two = torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), math.log(2.0))
    assert D.gaussian_kl(zero, zero, one, two).item() == pytest.approx(0.4431472)
    assert D.gaussian_kl(one, two, zero, zero).item() == pytest.approx(1.3068528)  # not symmetric
    assert D.gaussian_kl(one, two, one, two).item() == 0.0


def test_squashed_gaussian_integrates_to_one() -> None:
    action = torch.linspace(-1, 1, 400_002, dtype=torch.float64)[1:-1, None]
    mean, log_std = torch.full_like(action, 0.4), torch.full_like(action, -0.7)
    density = D.squashed_log_prob(mean, log_std, action.atanh()).exp()
    assert torch.trapezoid(density, action.squeeze(-1)).item() == pytest.approx(1.0, abs=1e-4)
    unsquashed = D.gaussian_log_prob(mean, log_std, action.atanh()).exp()
    assert torch.trapezoid(unsquashed, action.squeeze(-1)).item() < 0.9  # without the determinant it doesn't


def test_squashed_gaussian_agrees_with_torch() -> None:
    mean, log_std, noise = normal(N, 3), normal(N, 3, seed=1) * 0.3, normal(N, 3, seed=2)
    action, u = D.squashed_sample(mean, log_std, noise)
    base = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    squash = torch.distributions.TanhTransform(cache_size=1)
    expected = torch.distributions.TransformedDistribution(base, [squash]).log_prob(action)
    torch.testing.assert_close(D.squashed_log_prob(mean, log_std, u), expected)
    torch.testing.assert_close(u, mean + log_std.exp() * noise)


def test_squashed_gaussian_is_finite_where_tanh_saturates() -> None:
    u = torch.tensor([[-60.0], [60.0]], requires_grad=True)
    assert (1 - torch.tanh(u).square()).log().isinf().all()  # the naive determinant
    result = D.squashed_log_prob(u.detach(), torch.zeros(2, 1), u)
    (gradient,) = torch.autograd.grad(result.sum(), u)
    assert torch.isfinite(result).all()
    torch.testing.assert_close(gradient, torch.tensor([[-2.0], [2.0]]))  # density of the action grows at the edge


def test_gradients() -> None:
    mask, action = some_mask(A), legal_actions(some_mask(A))
    wide_mask, choice = some_mask(sum(SIZES)), torch.zeros(N, len(SIZES), dtype=torch.int64)
    wide_mask[:, [2, 5]] = True
    p, q = normal(N, A, grad=True), normal(N, A, seed=1, grad=True)
    wide, wide_q = normal(N, sum(SIZES), grad=True), normal(N, sum(SIZES), seed=1, grad=True)
    mean, log_std, x = (normal(N, 3, seed=seed, grad=True) for seed in (2, 3, 4))
    assert gradcheck(lambda p: D.categorical_log_prob(p, action, mask), p)
    assert gradcheck(lambda p: D.categorical_entropy(p, mask), p)
    assert gradcheck(lambda p, q: D.categorical_kl(p, q, mask), (p, q))
    assert gradcheck(lambda p: D.multi_categorical_log_prob(p, choice, SIZES, wide_mask), wide)
    assert gradcheck(lambda p: D.multi_categorical_entropy(p, SIZES, wide_mask), wide)
    assert gradcheck(lambda p, q: D.multi_categorical_kl(p, q, SIZES, wide_mask), (wide, wide_q))
    assert gradcheck(D.gaussian_log_prob, (mean, log_std, x))
    assert gradcheck(D.gaussian_entropy, (log_std,))
    assert gradcheck(D.gaussian_kl, (mean, log_std, x, log_std))
    assert gradcheck(lambda m, s: D.gaussian_sample(m, s, x), (mean, log_std))
    assert gradcheck(D.squashed_log_prob, (mean, log_std, x))
    assert gradcheck(lambda m, s: D.squashed_sample(m, s, x)[0], (mean, log_std))


def test_one_graph_and_per_sample_gradients() -> None:
    """Nothing breaks the graph of torch.compile, and torch.func sees plain functions."""
    mask, action = some_mask(A), legal_actions(some_mask(A))

    def loss(logits: Tensor, action: Tensor, mask: Tensor) -> Tensor:
        return D.categorical_log_prob(logits, action, mask) + D.categorical_entropy(logits, mask)

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(normal(N, A), action, mask), loss(normal(N, A), action, mask))
    per_sample = torch.func.vmap(torch.func.grad(loss))(normal(N, A), action, mask)
    whole = normal(N, A, grad=True)
    (expected,) = torch.autograd.grad(loss(whole, action, mask).sum(), whole)
    torch.testing.assert_close(per_sample, expected)

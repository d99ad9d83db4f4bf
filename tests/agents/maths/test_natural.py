"""Conjugate gradients, products with the Fisher matrix and the steps made of them, against what is known exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.maths.distributions import categorical_kl, gaussian_kl
from agents.maths.natural import conjugate_gradient, fisher_product, line_search, natural_step
from tests.agents import two_state as world


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix(product: Callable[[Tensor], Tensor], n: int) -> Tensor:
    return torch.stack([product(row) for row in torch.eye(n, dtype=torch.float64)])


def test_conjugate_gradient_solves_in_n_iterations() -> None:
    root, b = normal(8, 8), normal(8, seed=1)
    m = root @ root.T + torch.eye(8, dtype=torch.float64)
    for iterations, solved in ((8, True), (4, False)):
        x = conjugate_gradient(lambda v: m @ v, b, iterations, tolerance=0.0)
        assert ((m @ x - b).norm() < 1e-10) == solved


def test_conjugate_gradient_needs_an_iteration_for_each_distinct_eigenvalue() -> None:
    basis, _ = torch.linalg.qr(normal(9, 9))
    m = basis @ torch.diag(torch.tensor([1.0, 5.0, 40.0] * 3, dtype=torch.float64)) @ basis.T
    b = normal(9, seed=1)
    for iterations, solved in ((3, True), (2, False)):
        x = conjugate_gradient(lambda v: m @ v, b, iterations, tolerance=0.0)
        assert ((m @ x - b).norm() < 1e-10) == solved


def test_conjugate_gradient_ends_when_it_has_solved() -> None:
    asked: list[Tensor] = []
    x = conjugate_gradient(lambda v: asked.append(v) or 2 * v, normal(5), iterations=50)  # type: ignore[func-returns-value]
    torch.testing.assert_close(x, normal(5) / 2)
    assert len(asked) == 1


def test_fisher_product_is_the_hessian_of_the_divergence() -> None:
    """Also J' M J, with M = diag(p) - p p' the Fisher matrix of softmax."""
    x, weights = normal(5, 3), normal(3 * 4, seed=1)
    old = x @ weights.view(3, 4)

    def kl(w: Tensor) -> Tensor:
        return categorical_kl(old, x @ w.view(3, 4)).mean()

    found = matrix(fisher_product(kl, weights), 12)
    torch.testing.assert_close(found, torch.func.hessian(kl)(weights), rtol=0, atol=1e-8)
    p = old.softmax(-1)
    m = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    explicit = torch.einsum("ni,nab,nj->iajb", x, m, x).reshape(12, 12) / 5
    torch.testing.assert_close(found, explicit, rtol=0, atol=1e-8)
    damped = matrix(fisher_product(kl, weights, damping=0.3), 12)
    torch.testing.assert_close(damped, found + 0.3 * torch.eye(12, dtype=torch.float64))


def test_fisher_of_a_diagonal_gaussian() -> None:
    mean, log_std = normal(3), torch.tensor([0.2, -0.5, 0.0], dtype=torch.float64)

    def kl(w: Tensor) -> Tensor:
        return gaussian_kl(mean, log_std, w[:3], w[3:])

    found = matrix(fisher_product(kl, torch.cat([mean, log_std])), 6)
    torch.testing.assert_close(found, torch.diag(torch.cat([(-2 * log_std).exp(), torch.full_like(mean, 2.0)])))


def test_a_step_as_long_as_the_radius() -> None:
    """g = (1, 2), F = [[2, .5], [.5, 1]]: d = (0, sqrt(.02)), and d' F d / 2 is the radius."""
    g = torch.tensor([1.0, 2.0], dtype=torch.float64)
    m = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    step = natural_step(g, lambda v: m @ v, radius=0.01, iterations=2)
    np.testing.assert_allclose(step, [0, 0.02**0.5], atol=1e-12)
    assert (0.5 * step @ m @ step).item() == pytest.approx(0.01)
    assert not natural_step(0 * g, lambda v: m @ v, 0.01, 2).any()


@pytest.mark.parametrize(("accepted", "share"), [(1.0, 1.0), (0.3, 0.25), (0.0, 0.0)])
def test_line_search(accepted: float, share: float) -> None:
    tried: list[float] = []
    found = line_search(lambda s: tried.append(s) or s <= accepted, 0.5, 4)  # type: ignore[func-returns-value]
    assert found == share
    assert tried == [1.0, 0.5, 0.25, 0.125][: len(tried)] and len(tried) == {1.0: 1, 0.25: 3, 0.0: 4}[share]


# The two-state world -------------------------------------------------------------------------------------------------


def divergence(logits: Tensor) -> Tensor:
    """Mean KL(world.LOGITS || logits) over the visits."""
    return world.visits(world.LOGITS) @ categorical_kl(world.LOGITS, logits.view(2, 2))


def test_the_world_is_what_is_written_about_it() -> None:
    world.close(world.values(world.LOGITS), world.VALUE)
    world.close(world.action_values(world.LOGITS), world.Q)
    world.close(world.visits(world.LOGITS), world.VISITS)
    world.close(world.returned(world.LOGITS), world.RETURN)
    gradient = torch.func.grad(world.returned)(world.LOGITS)
    world.close(gradient, world.GRADIENT)


def test_fisher_matrix_of_the_two_state_world() -> None:
    found = matrix(fisher_product(divergence, world.LOGITS.reshape(-1)), 4)
    block = np.array([[1.0, -1.0], [-1.0, 1.0]])
    expected = np.zeros((4, 4))
    expected[:2, :2], expected[2:, 2:] = (share * block for share in world.FISHER)
    world.close(found, expected)


def test_natural_gradient_of_the_two_state_world() -> None:
    """By the pseudo-inverse, which conjugate gradients reach from 0. Its differences are those of A / (1 - gamma)."""
    gradient = torch.tensor(world.GRADIENT, dtype=torch.float64).reshape(-1)
    found = conjugate_gradient(fisher_product(divergence, world.LOGITS.reshape(-1)), gradient, 4, 0.0).view(2, 2)
    np.testing.assert_allclose(found, world.NATURAL, rtol=0, atol=5e-8)
    q = world.action_values(world.LOGITS)
    np.testing.assert_allclose(found[:, 0] - found[:, 1], (q[:, 0] - q[:, 1]) / (1 - world.GAMMA), atol=5e-8)


def test_trust_region_step_of_the_two_state_world() -> None:
    """The quadratic model says 0.01, the truth is a bit more: a strict search has to shorten it once."""
    gradient = torch.func.grad(world.returned)(world.LOGITS).reshape(-1)
    flat = world.LOGITS.reshape(-1)
    step = natural_step(gradient, fisher_product(divergence, flat), 0.01, 4)
    assert (step / torch.tensor(world.NATURAL).reshape(-1)).numpy() == pytest.approx(0.019970888, abs=1e-8)
    assert divergence(flat + step).item() == pytest.approx(0.010075294, abs=1e-9)
    assert world.returned((flat + step).view(2, 2)).item() == pytest.approx(8.362706980, abs=2e-8)
    assert line_search(lambda share: bool(divergence(flat + share * step) <= 0.01), 0.8, 10) == 0.8


def test_natural_steps_reach_the_optimum_in_fewer_iterations() -> None:
    """At rate 0.1, to within 1 % of 18.4: 58 steps of the gradient, 3 of the natural one."""

    def iterations(natural: bool) -> int:
        logits, count = world.LOGITS.clone(), 0
        while world.returned(logits) < 0.99 * 18.4:
            gradient = torch.func.grad(world.returned)(logits)
            if natural:
                q = world.action_values(logits)
                gradient = (q - (logits.softmax(-1) * q).sum(-1, keepdim=True)) / (1 - world.GAMMA)
            logits, count = logits + 0.1 * gradient, count + 1
        return count

    assert (iterations(False), iterations(True)) == (58, 3)


@pytest.mark.parametrize(("natural", "same"), [(True, True), (False, False)])
def test_a_natural_step_does_not_depend_on_the_parameters(natural: bool, same: bool) -> None:
    """theta = M phi: the step in phi leads to the same policy; that of the plain gradient doesn't."""
    m, flat = normal(4, 4), world.LOGITS.reshape(-1)

    def stepped(mixing: Tensor) -> Tensor:
        start = torch.linalg.solve(mixing, flat)
        gradient = torch.func.grad(lambda phi: world.returned((mixing @ phi).view(2, 2)))(start)
        product = fisher_product(lambda phi: divergence(mixing @ phi), start)
        step = natural_step(gradient, product, 1e-4, 4) if natural else 1e-4 * gradient
        return (mixing @ (start + step)).view(2, 2).softmax(-1)

    one, other = stepped(torch.eye(4, dtype=torch.float64)), stepped(m)
    assert torch.allclose(one, other, rtol=0, atol=1e-7) == same

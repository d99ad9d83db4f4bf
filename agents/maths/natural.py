"""Steps that are measured by how far a distribution moves, not its parameters: natural gradients.

product = fisher_product(kl, parameters)
step = natural_step(gradient, product, radius=0.01, iterations=10)
share = line_search(lambda share: improves(parameters + share * step), shrink=0.8, attempts=10)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # v [N] -> M v [N], M symmetric and positive


def conjugate_gradient(product: Product, b: Tensor, iterations: int, tolerance: float = 1e-10) -> Tensor:
    """x [N] with `product(x)` = b. Hestenes and Stiefel (1952), https://doi.org/10.6028/jres.049.044.

    Without rounding it is exact after as many iterations as the matrix has distinct eigenvalues. It ends earlier where
    the residual's square is at most `tolerance` times that of b.
    """
    x, residual = torch.zeros_like(b), b.clone()
    direction, square = b.clone(), b @ b
    enough = tolerance * square
    for _ in range(iterations):
        if square <= enough:
            break
        moved = product(direction)
        length = square / (direction @ moved)
        x += length * direction
        residual -= length * moved
        before, square = square, residual @ residual
        direction = residual + square / before * direction
    return x


def fisher_product(kl: Callable[[Tensor], Tensor], parameters: Tensor, damping: float = 0.0) -> Product:
    """v -> (F + damping) v, with F the Hessian of `kl` at `parameters`.

    kl: parameters [N] -> the mean KL divergence, 0-d, of the distributions with these parameters from those with the
    given ones. There its Hessian is the Fisher information; it is never formed (https://doi.org/10.1162/neco.1994.6.1.147).
    """
    leaf = parameters.detach().requires_grad_()
    (slope,) = torch.autograd.grad(kl(leaf), leaf, create_graph=True)

    def product(v: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(slope @ v, leaf, retain_graph=True)
        return found + damping * v

    return product


def natural_step(gradient: Tensor, product: Product, radius: float, iterations: int) -> Tensor:
    """sqrt(2 radius / g' F^-1 g) F^-1 g [N]: as far along the natural gradient as the KL divergence of second order,
    d' F d / 2, is the radius. Kakade (2001), https://papers.nips.cc/paper/2073; 0 where the gradient is."""
    direction = conjugate_gradient(product, gradient, iterations)
    curvature = (direction @ product(direction)).clamp(min=torch.finfo(direction.dtype).tiny)
    return direction * (2.0 * radius / curvature).sqrt()


def line_search(accepts: Callable[[float], bool], shrink: float, attempts: int) -> float:
    """The first of 1, shrink, shrink**2, ... that is accepted; 0 if none of so many attempts is."""
    return next((share for share in (shrink**i for i in range(attempts)) if accepts(share)), 0.0)

"""What a network sees in pictures: steps up or down the gradient by its inputs.

    attacked(network, x, classes, epsilon=0.2)              # no longer taken for what they are
    attacked(network, x, wanted, epsilon=0.2, targeted=True)  # taken for what they aren't
    maximizing(lambda x: network(x)[:, 3], (1, 8, 8), steps=100, rate=0.1)

Networks map [B, *shape] to unnormalized log-probabilities [B, K]; their parameters get no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from supervised.losses import cross_entropy

Network = Callable[[Tensor], Tensor]


def attacked(
    network: Network,
    x: Tensor,
    classes: Tensor,
    epsilon: float,
    targeted: bool = False,
    steps: int = 1,
    bounds: tuple[float, float] | None = None,
) -> Tensor:
    """Inputs [B, *shape] that differ from x nowhere by more than epsilon, and are taken for the classes [B] int64 no
    longer; or, targeted, for them. bounds: what a number may be.

    One step is the fast gradient sign method (Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572), several are
    projected gradient descent (Madry et al. 2018, https://arxiv.org/abs/1706.06083), of which the best for each input
    is kept: so more steps are never worse than one.
    """
    sign = -1.0 if targeted else 1.0
    best = found = x
    most = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)
    strides = [epsilon] + [2.5 * epsilon / steps] * (steps - 1)
    for stride in strides:
        found = found + sign * stride * _slope(lambda x: cross_entropy(network(x), classes), found).sign()
        found = torch.clamp(found, x - epsilon, x + epsilon)
        if bounds is not None:
            found = found.clamp(*bounds)
        with torch.no_grad():
            gained = sign * cross_entropy(network(found), classes)
        better = gained > most
        most = torch.where(better, gained, most)
        best = torch.where(better.view(-1, *[1] * (x.ndim - 1)), found, best)
    return best


def maximizing(unit: Network, shape: Sequence[int], steps: int, rate: float, generator: torch.Generator) -> Tensor:
    """The input [*shape] of length 1 to which a unit, [B, *shape] -> [B], answers most, by gradient ascent from noise
    (Erhan et al. 2009). Of a linear unit it is w / |w|. rate: length of a step, of which each is shorter than the last.
    """
    x = torch.nn.functional.normalize(torch.randn(*shape, generator=generator).flatten(), dim=0).view(1, *shape)
    for step in range(steps):
        slope = _slope(unit, x)
        x = x + rate * (1 - step / steps) * slope / slope.norm().clamp(min=1e-12)
        x = x / x.norm()
    return x[0]


def _slope(f: Network, at: Tensor) -> Tensor:
    """The gradient of each row's f by the row."""
    leaf = at.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(f(leaf).sum(), leaf)
    return slope

"""The numpy twin computes what the module does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supervised.networks.heads import Gaussian, Logits, Q, SquashedGaussian, Tanh
from supervised.networks.plain import plain
from supervised.networks.torso import Normalize, initialize, torso


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heads() -> list[nn.Module]:
    return [
        Logits(6, 3, generator()),
        Gaussian(6, 2, generator(), 0.3),
        Q(6, 4, generator()),
        Tanh(6, 2, generator(), 1.0),
        Gaussian(6, 2, generator(), 0.3, (torch.tensor([150.0, 0.0]), torch.tensor([50.0, 1.0]))),
        SquashedGaussian(6, 2, generator(), -0.1, 0.1),
    ]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("head", range(6))
@pytest.mark.parametrize("normalized", [False, True])
def test_the_numpy_twin_computes_the_same(activation: str, head: int, normalized: bool) -> None:
    first: nn.Module = nn.Identity()
    if normalized:
        first = Normalize((5,), 2.0)
        first.mean.copy_(torch.randn(5, generator=generator(2)))
        first.scale.fill_(1.5)
    layers, _ = torso((5,), "mlp", (7, 6), activation)
    initialize(layers, "fan_in", generator())
    module = nn.Sequential(first, layers, heads()[head])
    twin = plain(module)
    assert twin is not None
    x = torch.randn(9, 5, generator=generator(1))
    with torch.no_grad():
        np.testing.assert_allclose(twin(x.numpy()), module(x).numpy(), rtol=1e-5, atol=1e-6)
        for parameter in module.parameters():  # in place, as learners and `load` do it
            parameter.add_(0.1)
        found = twin(x.numpy())
        np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_what_has_no_twin() -> None:
    class Unknown(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    assert plain(nn.Sequential(nn.Linear(2, 2), Unknown())) is None

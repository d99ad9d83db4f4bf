"""Torsos: shapes, initialization, and what comes before the first layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from supervised.networks.torso import Normalize, Pixels, fan_in_uniform, initialize, orthogonal, torso


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (8, 3), (3, 8)])
def test_orthogonal(inputs: int, outputs: int) -> None:
    """W W^T = gain^2 I over the shorter side; no bias."""
    layer = nn.Linear(inputs, outputs)
    orthogonal(layer, 1.7, generator())
    weight = layer.weight.detach()
    product = weight @ weight.T if outputs <= inputs else weight.T @ weight
    torch.testing.assert_close(product, 1.7**2 * torch.eye(min(inputs, outputs)), rtol=0, atol=1e-5)
    assert not layer.bias.any()


def test_fan_in_uniform() -> None:
    layer = nn.Conv2d(4, 64, 5)
    fan_in_uniform(layer, generator())
    bound = 1 / math.sqrt(4 * 5 * 5)
    assert layer.bias is not None
    for values in (layer.weight, layer.bias):
        assert values.abs().max() <= bound
        assert values.abs().max() > 0.9 * bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("scheme", ["orthogonal", "fan_in"])
def test_initialization_is_the_generators(scheme: str) -> None:
    """The same generator, the same weights; torch's global stream isn't touched."""
    weights = []
    state = torch.get_rng_state()
    for seed in (0, 0, 1):
        module, _ = torso((3,), "mlp", (5, 4), "tanh")
        torch.set_rng_state(state)
        initialize(module, scheme, generator(seed))
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(torch.cat([p.detach().reshape(-1) for p in module.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("shape", "kind", "hidden", "width"),
    [
        ((3,), "mlp", (5, 4), 4),
        ((2, 3), "mlp", (5,), 5),
        ((3,), "mlp", (), 3),
        ((4, 84, 84), "nips_cnn", (256,), 256),
        ((4, 84, 84), "nature_cnn", (512,), 512),
    ],
)
def test_torsos(shape: tuple[int, ...], kind: str, hidden: tuple[int, ...], width: int) -> None:
    module, features = torso(shape, kind, hidden, "relu")
    assert features == width
    assert module(torch.zeros(2, *shape)).shape == (2, width)


def test_convolutions_have_the_papers_features() -> None:
    assert torso((4, 84, 84), "nature_cnn", (), "relu")[1] == 7 * 7 * 64
    assert torso((4, 84, 84), "nips_cnn", (), "relu")[1] == 9 * 9 * 32
    with pytest.raises(ValueError, match="36 x 36"):
        torso((4, 35, 84), "nature_cnn", (), "relu")


def test_normalize_and_pixels() -> None:
    layer = Normalize((2,), clip=3.0)
    layer.mean.copy_(torch.tensor([1.0, -1.0]))
    layer.scale.copy_(torch.tensor([2.0, 0.5]))
    found = layer(torch.tensor([[2.0, 1.0], [100.0, -100.0]]))
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0], [3.0, -3.0]]))
    picture = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    torch.testing.assert_close(Pixels()(picture), torch.tensor([[0.0, 0.2, 1.0]]))

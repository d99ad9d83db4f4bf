"""Torsos: shapes, initialization, and what comes before the first layer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from supervised.flat import Flat, differentiate
from supervised.networks.densenet import Dense
from supervised.networks.residual import Residual
from supervised.networks.sequence import Recall
from supervised.networks.torso import Normalize, Pixels, fan_in_uniform, freeze, initialize, orthogonal, torso


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


@pytest.mark.parametrize(
    ("scheme", "activation", "gain", "low", "high"),
    [
        ("he", "relu", 1.0, 0.25, 4.0),
        ("glorot", "relu", 1.0, 0.0, 1e-10),
        ("glorot", "tanh", 5 / 3, 0.8, 1.2),
        ("glorot", "tanh", 1.0, 0.0, 0.2),
    ],
)
def test_signals_keep_their_size_through_fifty_layers(
    scheme: str, activation: str, gain: float, low: float, high: float
) -> None:
    """He's weights for rectifiers, and Glorot's with a gain of 5/3 for tanh; with others they die away."""
    layers, _ = torso((256,), "mlp", (256,) * 50, activation)
    initialize(layers, scheme, generator())
    x = torch.randn(100, 256, generator=generator(1))
    sizes = []
    with torch.no_grad():
        for layer in layers.get_submodule("0"):  # type: ignore[attr-defined]
            x = layer(gain * x if isinstance(layer, nn.Linear) else x)
            sizes.append(x.square().mean().item())
    assert low <= sizes[-1] / sizes[9] < high  # of the last layer's output, by that of the fifth


def test_weights_that_are_alike_stay_alike() -> None:
    """Why they are drawn: two neurons that begin as one get one gradient."""
    layers, _ = torso((3,), "mlp", (4, 1), "tanh")
    for parameter in layers.parameters():
        parameter.data.fill_(0.1)
    x = torch.randn(8, 3, generator=generator())
    gradients = torch.autograd.grad(layers(x).sum(), list(layers.parameters()))
    assert (gradients[0] == gradients[0][:1]).all() and (gradients[2] == gradients[2][:, :1]).all()
    initialize(layers, "glorot", generator())
    gradient = torch.autograd.grad(layers(x).sum(), list(layers.parameters()))[0]
    assert (gradient != gradient[:1]).any()


@pytest.mark.parametrize("scheme", ["orthogonal", "fan_in", "glorot", "he"])
def test_initialization_is_the_generators(scheme: str) -> None:
    """The same generator, the same weights; torch's global stream isn't touched."""
    weights = []
    state = torch.get_rng_state()
    for seed in (0, 0, 1):
        module, _ = torso((3, 8, 8), "transformer", (5, 4), "tanh", encoder=VIT, **TRANSFORMER)
        torch.set_rng_state(state)
        initialize(module, scheme, generator(seed))
        assert torch.equal(torch.get_rng_state(), state)
        drawn = [(name, p) for name, p in module.named_parameters() if p.ndim > 1]
        weights.append([(name, p.detach().clone()) for name, p in drawn])
    for (name, one), (_, again), (_, other) in zip(*weights, strict=True):
        assert torch.equal(one, again) and not torch.equal(one, other), name


def test_cells_are_initialized() -> None:
    for scheme in ("orthogonal", "fan_in"):
        module, _ = torso((3,), "gru", (4,), "tanh", width=5, layers=2, encoder={"kind": "mlp"})
        initialize(module, scheme, generator())
        assert isinstance(module, Recall)
        assert isinstance(module.model, nn.Module)
        for name, parameter in module.model.named_parameters():
            if scheme == "fan_in":
                assert parameter.abs().max() <= 5**-0.5 and parameter.any()
            elif "bias" in name:
                assert not parameter.any()
            else:
                product = parameter.T @ parameter
                torch.testing.assert_close(product, torch.eye(len(product)), rtol=0, atol=1e-5)


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


VIT: dict[str, Any] = {"kind": "vit", "patch": 4, "width": 8, "layers": 1, "heads": 2}
TRANSFORMER: dict[str, Any] = {"width": 8, "layers": 2, "heads": 2, "window": 4, "positions": "learned"}
IMAGENET = (3, 224, 224)


@pytest.mark.parametrize(
    ("kind", "options", "features", "count"),
    [  # the last linear layer, of 1,000 classes, counted: what torchvision's networks of these names have
        ("resnet", {"stages": (2, 2, 2, 2), "filters": 64, "shrink": True}, 512, 11_689_512),
        ("resnet", {"stages": (3, 4, 6, 3), "filters": 64, "bottleneck": True, "shrink": True}, 2048, 25_557_032),
        ("densenet", {"stages": (6, 12, 24, 16), "growth": 32, "shrink": True}, 1024, 7_978_856),
        ("vit", {"patch": 16, "width": 768, "layers": 12, "heads": 12}, 768, 86_567_656),
        ("vgg", {"stages": (2, 2, 3, 3, 3), "filters": 64}, 25_088, 14_714_688 + 25_089_000),
    ],
)
def test_networks_of_papers_have_as_many_parameters(
    kind: str, options: dict[str, Any], features: int, count: int
) -> None:
    with torch.device("meta"):
        module, found = torso(IMAGENET, kind, (), "relu", **options)
    assert found == features
    assert sum(parameter.numel() for parameter in module.parameters()) + 1000 * (features + 1) == count


def test_lenet() -> None:
    module, features = torso((1, 28, 28), "lenet", (120, 84), "tanh")
    assert sum(parameter.numel() for parameter in module.parameters()) + 10 * (features + 1) == 61_706


def test_convolutions_of_the_lecture() -> None:
    """28 x 28 x 1, 32 filters of 5 x 5, padded, pooled, 64 more: 832 and 51,264 parameters."""
    layers = [{"filters": n, "kernel": 5, "stride": 1, "padding": 2, "pool": pool} for n, pool in ((32, 2), (64, 1))]
    module, features = torso((1, 28, 28), "cnn", (), "relu", convolutions=layers)
    assert features == 14 * 14 * 64
    counts = [sum(p.numel() for p in m.parameters()) for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert counts == [832, 51_264]


SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"stages": (1, 1), "filters": 4, "squeeze": True},
    "densenet": {"stages": (2, 2), "growth": 4},
    "vgg": {"stages": (1, 1), "filters": 4},
    "vit": {"patch": 3, "width": 8, "layers": 1, "heads": 2},
}


@pytest.mark.parametrize("kind", SMALL)
def test_pictures_mean_the_same_among_others(kind: str) -> None:
    module, _ = torso((2, 9, 9), kind, (), "relu", **SMALL[kind])
    initialize(module, "he", generator())
    pictures = torch.randn(4, 2, 9, 9, generator=generator(1))
    found = module(pictures)
    torch.testing.assert_close(found[2:3], module(pictures[2:3]), rtol=1e-4, atol=1e-5)
    assert found.std(0).max() > 0


def test_residual_blocks_begin_as_the_identity() -> None:
    block, x = Residual(6, 6, 1, bottleneck=False, squeeze=False), torch.randn(2, 6, 5, 5, generator=generator())
    initialize(block, "he", generator())
    torch.testing.assert_close(block(x), x.relu(), rtol=0, atol=0)
    block.inner.get_submodule("4").get_parameter("weight").data.fill_(1.0)
    assert (block(x) - x.relu()).abs().max() > 0.1


def test_dense_layers_nest() -> None:
    """[x, f(x), g([x, f(x)])]: what came first is still there."""
    first, second, x = Dense(3, 2), Dense(5, 2), torch.randn(2, 3, 4, 4, generator=generator())
    y = first(x)
    torch.testing.assert_close(second(y), torch.cat([x, first.inner(x), second.inner(y)], 1))


def test_what_does_not_fit_is_refused() -> None:
    for shape, kind, message in [
        ((4,), "resnet", "network.torso=resnet wants pictures, of shape"),
        ((1, 4, 4), "lenet", "are too small"),
        ((1, 8, 9), "vit", "can't be cut into patches of 3 x 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            torso(shape, kind, (), "relu", **SMALL.get(kind, {}))


def test_what_is_frozen_gets_no_gradient_and_passes_none() -> None:
    layers, _ = torso((3,), "mlp", (4,), "tanh")
    network = nn.Sequential(layers, nn.Linear(4, 1))
    x = torch.randn(5, 3, generator=generator())
    before = network(x)
    freeze(layers)
    torch.testing.assert_close(network(x), before, rtol=0, atol=0)
    flat = Flat(network)
    gradient, _ = differentiate(lambda parameters: (flat.call(parameters, x).sum(), {}), False)(flat.parameters)
    assert not gradient[:16].any() and gradient[16:].all()


def test_normalize_and_pixels() -> None:
    layer = Normalize((2,), clip=3.0)
    layer.mean.copy_(torch.tensor([1.0, -1.0]))
    layer.scale.copy_(torch.tensor([2.0, 0.5]))
    found = layer(torch.tensor([[2.0, 1.0], [100.0, -100.0]]))
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0], [3.0, -3.0]]))
    picture = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    torch.testing.assert_close(Pixels()(picture), torch.tensor([[0.0, 0.2, 1.0]]))

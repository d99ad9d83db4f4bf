"""Flat parameter vectors, gradients and Adam against torch's own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from supervised.flat import Adam, Flat, clip_by_norm, differentiate


class Network(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch_state = torch.get_rng_state()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
        self.shift = nn.Parameter(torch.randn(2))
        torch.set_rng_state(torch_state)
        self.register_buffer("scale", torch.full((2,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) * self.scale + self.shift


def data(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(7, 3, generator=generator), torch.randn(7, 2, generator=generator)


def test_parameters_are_views_of_one_vector() -> None:
    network, untouched = Network(), Network()
    flat = Flat(network)
    expected = torch.cat([p.detach().reshape(-1) for p in untouched.parameters()])
    torch.testing.assert_close(flat.parameters, expected, rtol=0, atol=0)
    flat.parameters.add_(1)
    for name, parameter in untouched.named_parameters():
        torch.testing.assert_close(network.get_parameter(name).data, parameter.data + 1)
    with torch.no_grad():
        network.shift.fill_(7)
    assert (flat.views(flat.parameters)["shift"] == 7).all()


def test_call_with_another_vector() -> None:
    x, _ = data()
    flat, other = Flat(Network()), Flat(Network(seed=1))
    torch.testing.assert_close(flat.call(other.parameters, x), other.module(x))
    assert not torch.allclose(flat.module(x), other.module(x))


def test_both_ways_to_the_gradient_are_those_of_backward() -> None:
    x, y = data()
    flat, plain = Flat(Network()), Network()
    (plain(x) - y).square().mean().backward()
    expected = torch.cat([p.grad.reshape(-1) for p in plain.parameters() if p.grad is not None])

    def loss(parameters: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        output = flat.call(parameters, x)
        return (output - y).square().mean(), {"mean": output.mean()}

    for functional in (False, True):
        gradient, metrics = differentiate(loss, functional)(flat.parameters, x, y)
        torch.testing.assert_close(gradient, expected)
        assert metrics["loss"].item() == pytest.approx((plain(x) - y).square().mean().item())
        assert metrics["mean"].item() == pytest.approx(plain(x).mean().item())
        assert not gradient.requires_grad and not any(metric.requires_grad for metric in metrics.values())


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3])
def test_adam_is_torchs(epsilon: float) -> None:
    flat, plain = Flat(Network()), Network()
    theirs = torch.optim.Adam(plain.parameters(), lr=0.01, eps=epsilon)
    ours = Adam.zeros(flat.parameters)

    def loss(parameters: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        return (flat.call(parameters, x) - y).square().mean(), {}

    gradient_of = differentiate(loss, functional=False)
    for step in range(20):
        x, y = data(step)
        theirs.zero_grad()
        (plain(x) - y).square().mean().backward()
        theirs.step()
        gradient, _ = gradient_of(flat.parameters, x, y)
        flat.parameters.sub_(0.01 * ours.step(gradient, epsilon))
    expected = torch.cat([p.detach().reshape(-1) for p in plain.parameters()])
    torch.testing.assert_close(flat.parameters, expected, rtol=1e-5, atol=1e-6)


def test_adam_goes_on_from_its_state() -> None:
    gradients = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    through, resumed = Adam.zeros(torch.zeros(4)), Adam.zeros(torch.zeros(4))
    for gradient in gradients[:3]:
        through.step(gradient, 1e-8)
    resumed.load_state_dict(through.state_dict())
    for gradient in gradients[3:]:
        torch.testing.assert_close(resumed.step(gradient, 1e-8), through.step(gradient, 1e-8), rtol=0, atol=0)


@pytest.mark.parametrize("limit", [0.1, 1.0, 100.0])
def test_clip_by_norm_is_torchs(limit: float) -> None:
    gradient = torch.randn(9, generator=torch.Generator().manual_seed(0))
    parameter = nn.Parameter(torch.zeros(9))
    parameter.grad = gradient.clone()
    norm = nn.utils.clip_grad_norm_([parameter], limit)
    ours, ours_norm = clip_by_norm(gradient, limit)
    torch.testing.assert_close(ours, parameter.grad)
    torch.testing.assert_close(ours_norm, norm)


def test_weights_carry_parameters_and_buffers() -> None:
    x, _ = data()
    source, target = Flat(Network(seed=1)), Flat(Network(seed=2))
    with torch.no_grad():
        source.module.get_buffer("scale").fill_(5)
    weights = source.weights()
    assert weights.shape == (source.parameters.numel() + 2,)
    target.load(weights)
    torch.testing.assert_close(target.module(x), source.module(x), rtol=0, atol=0)
    source.parameters.zero_()
    assert weights.any()  # a copy


def test_weights_of_another_network_are_refused() -> None:
    flat = Flat(Network())
    with pytest.raises(ValueError, match="3 weights"):
        flat.load(flat.weights()[:3])
    with pytest.raises(ValueError, match="no parameters"):
        Flat(nn.Tanh())

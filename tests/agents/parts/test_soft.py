"""Soft families, their networks and the policy, against sums and integrals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.config import NetworkOptions, NormalizeOptions
from agents.parts.soft import Categorical, SoftNetwork, SoftPolicy, Squashed, soft_of
from envs.api import Array, Continuous, Discrete, MultiDiscrete, Spec, Step
from supervised.flat import Flat

BOX = Spec("toy", (3,), "float32", Continuous((-2.0, 0.0), (2.0, 1.0)))
LIST = Spec("toy", (3,), "float32", Discrete(4))
OPTIONS = NetworkOptions(hidden=(8,))
NORMALIZE = NormalizeOptions(observations=True)
CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_of(spec: Spec) -> SoftNetwork:
    return SoftNetwork(spec, soft_of(spec), OPTIONS, NORMALIZE, 0.2, seeded())


def shown(count: int, mask: Array | None = None) -> Step:
    obs, none = np.zeros((count, 3), np.float32), np.zeros(count, bool)
    return Step(obs, mask, none.astype(np.int64), np.zeros((count, 1)), none, none, obs)


def quantiles(count: int) -> Tensor:
    """Standard normal noise [count, 1] whose means are integrals: the middles of slices of equal probability."""
    return torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count).unsqueeze(-1)


def test_squashed_prospects_are_integrals() -> None:
    """E Q and the entropy over actions in [-1, 1], by quadrature of the density of tanh(u)."""
    soft = Squashed(Spec("line", (1,), "float32", Continuous((-1.0,), (1.0,))))
    mean, deviation = 0.2, 0.5
    noise = quantiles(20_000)
    outputs = torch.tensor([[mean, math.log(deviation)]], dtype=torch.float64).expand(len(noise), 2)
    q, entropy = soft.prospects(outputs, lambda obs, action: -action.square().T, noise, None, noise)
    a = np.linspace(-1, 1, 400_003)[1:-1]
    density = (
        np.exp(-0.5 * ((np.arctanh(a) - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi)) / (1 - a**2)
    )
    step = a[1] - a[0]
    assert density.sum() * step == pytest.approx(1, abs=1e-6)
    assert q.mean().item() == pytest.approx(-(density * a**2).sum() * step, abs=1e-5)
    logs = np.log(np.maximum(density, 1e-300))
    assert entropy.mean().item() == pytest.approx(-(density * logs).sum() * step, abs=1e-4)


def test_categorical_prospects_are_sums_over_legal_actions() -> None:
    soft = Categorical(4)
    outputs, q = torch.randn(2, 5, 4, generator=seeded())
    mask = torch.tensor([[True, False, True, True]]).expand(5, 4)
    twins = torch.stack([q, q + torch.tensor([1.0, -9.0, 1.0, -1.0])])
    expected_q, entropy = soft.prospects(outputs, lambda obs: twins, outputs, mask, torch.empty(5, 0))
    legal = [0, 2, 3]
    p = torch.softmax(outputs[:, legal], -1)
    torch.testing.assert_close(expected_q, (p * torch.stack([q[:, 0], q[:, 2], q[:, 3] - 1], 1)).sum(1))
    torch.testing.assert_close(entropy, -(p * p.log()).sum(1))
    torch.testing.assert_close(soft.goal(mask), torch.full((5,), 0.98 * math.log(3)))
    assert soft.goal(None) == 0.98 * soft.ceiling == 0.98 * math.log(4)


def test_values_of_the_actions_taken() -> None:
    q, action = torch.randn(2, 5, 4, generator=seeded()), torch.tensor([3, 0, 1, 1, 2])
    found = Categorical(4).taken(lambda obs: q, q, action)
    torch.testing.assert_close(found, torch.stack([each[torch.arange(5), action] for each in q]))


@pytest.mark.parametrize("spec", [BOX, LIST])
def test_what_acts_is_the_front_of_the_network(spec: Spec) -> None:
    network = network_of(spec)
    network.policy.random.fill_(0.0)
    network.policy.get_buffer("normalize.mean").fill_(0.5)
    policy = SoftPolicy(spec, OPTIONS, NORMALIZE, CPU)
    policy.load(Flat(network).weights(network.acting))
    obs = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    with torch.no_grad():
        outputs = network("policy", torch.from_numpy(obs))
    step = shown(6)._replace(obs=obs)
    action = policy.act({}, step, np.random.default_rng(0), explore=False).action
    if spec is LIST:
        np.testing.assert_array_equal(action, outputs.argmax(-1))
    else:
        expected = [0, 0.5] + np.tanh(outputs[:, :2].numpy()) * [2, 0.5]
        np.testing.assert_allclose(action, expected, atol=1e-6)
    assert network("temperature").exp().item() == pytest.approx(0.2)


def test_twins_differ_and_see_normalized_observations() -> None:
    obs, action = torch.randn(5, 3, generator=seeded()), torch.rand(5, 2, generator=seeded())
    for spec, args in ((BOX, (obs, action)), (LIST, (obs,))):
        network = network_of(spec)
        q: Tensor = network("critics", *args)
        assert q.shape[:2] == (2, 5) and not torch.isclose(q[0], q[1]).any()
        network.policy.get_buffer("normalize.mean").fill_(1.0)
        torch.testing.assert_close(network("critics", args[0] + 1, *args[1:]), q)


def test_at_random_every_legal_action_is_as_likely() -> None:
    """False alarms: 1 of 10,000, by four standard errors."""
    count, rng = 20_000, np.random.default_rng(0)
    policy = SoftPolicy(LIST, OPTIONS, NORMALIZE, CPU)
    policy.load(Flat(network_of(LIST)).weights(network_of(LIST).acting))
    mask = np.tile([True, False, True, True], (count, 1))
    action = policy.act({}, shown(count, mask), rng, explore=True).action
    shares = np.bincount(action, minlength=4) / count
    assert shares[1] == 0
    np.testing.assert_allclose(shares[[0, 2, 3]], 1 / 3, atol=4 * math.sqrt(2 / 9 / count))
    box = SoftPolicy(BOX, OPTIONS, NORMALIZE, CPU)
    action = box.act({}, shown(count), rng, explore=True).action
    np.testing.assert_allclose([action.min(0), action.max(0)], [[-2, 0], [2, 1]], atol=0.01)
    assert action.dtype == np.float32
    np.testing.assert_allclose(box.soft.learned(action).std(0), math.sqrt(1 / 3), rtol=0.02)


def test_exploring_draws_from_the_density_that_is_learned() -> None:
    """The mean of tanh(u) and its deviation, four standard errors around the quadrature."""
    soft, count = Squashed(BOX), 20_000
    outputs = np.tile(np.array([0.2, -1.0, math.log(0.5), 0.0], np.float32), (count, 1))
    drawn = soft.learned(soft.act(outputs, None, np.random.default_rng(0), True))
    for d, (mean, deviation) in enumerate([(0.2, 0.5), (-1.0, 1.0)]):
        exact = torch.tanh(mean + deviation * quantiles(20_000))
        assert drawn[:, d].mean() == pytest.approx(exact.mean().item(), abs=4 * exact.std().item() / math.sqrt(count))
        assert drawn[:, d].std() == pytest.approx(exact.std().item(), rel=0.03)


@pytest.mark.parametrize("actions", [MultiDiscrete((2, 2)), Continuous((-np.inf,), (np.inf,))])
def test_other_actions_are_refused(actions: Any) -> None:
    with pytest.raises(ValueError, match="continuous actions between finite bounds"):
        soft_of(Spec("toy", (3,), "float32", actions))


def test_the_temperature_of_an_entropy_is_known() -> None:
    """One step, r = -a^2, the entropy held at -1: temperature .0158477161 and E a^2 .0079238580, for the density
    exp(-a^2 / temperature), which tanh of a narrow Gaussian nearly is. By descent with exact values and integrals."""
    soft = Squashed(Spec("line", (1,), "float32", Continuous((-1.0,), (1.0,))))
    noise = quantiles(1_000)
    log_std, log_temperature = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (-1.0, -1.0))
    adam = torch.optim.Adam([log_std, log_temperature], lr=0.03)
    for step in range(600):
        adam.param_groups[0]["lr"] = 0.03 * (1 - step / 600)
        outputs = torch.stack([torch.zeros_like(log_std), log_std]).expand(len(noise), 2)
        q, entropy = soft.prospects(outputs, lambda obs, action: -action.square().T, noise, None, noise)
        actor = -(q + log_temperature.detach().exp() * entropy).mean()
        temperature = log_temperature * (entropy.mean().detach() - soft.goal(None))
        adam.zero_grad()
        (actor + temperature).backward()
        adam.step()
    assert log_temperature.exp().item() == pytest.approx(0.0158477161, rel=5e-3)
    assert -q.mean().item() == pytest.approx(0.0079238580, rel=5e-3)

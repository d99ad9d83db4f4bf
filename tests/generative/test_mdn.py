from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from generative.mdn import Mixture, MixtureDensityRNN


def mixture(*shape: int, seed: int = 0) -> Mixture:
    """Of these [..., Z, K], in float64."""
    generator = torch.Generator().manual_seed(seed)
    return Mixture(*(torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(3)))


def model(kind: str = "lstm", **options: int | bool) -> MixtureDensityRNN:
    asked = {"codes": 3, "actions": 2, "width": 8, "mixtures": 4} | options
    return MixtureDensityRNN(kind, **asked, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# The density ----------------------------------------------------------------------------------------------------------


def test_one_normal_has_the_closed_form() -> None:
    """-log p = (x - m)^2 / (2 s^2) + log s + log(2 pi) / 2."""
    one = Mixture(torch.tensor([[7.0]]), torch.tensor([[0.5]]), torch.tensor([[2.0]]).log())
    expected = (1.5 - 0.5) ** 2 / (2 * 2.0**2) + math.log(2.0) + 0.5 * math.log(2 * math.pi)
    assert -one.log_prob(torch.tensor([1.5])).item() == pytest.approx(expected, abs=1e-6)


def test_the_density_is_that_of_scipy() -> None:
    several, x = mixture(5, 3, 4), np.random.default_rng(1).normal(size=(5, 3))
    weights = several.logits.softmax(-1).numpy()
    density = (weights * norm.pdf(x[..., None], several.mean.numpy(), several.log_deviation.exp().numpy())).sum(-1)
    np.testing.assert_allclose(several.log_prob(torch.from_numpy(x)).numpy(), np.log(density), rtol=1e-10)


def test_the_density_integrates_to_one() -> None:
    x = torch.linspace(-200, 200, 400_001, dtype=torch.float64)
    total = torch.trapezoid(mixture(1, 4).log_prob(x[:, None]).exp()[:, 0], x)
    assert total.item() == pytest.approx(1.0, abs=1e-9)


def test_where_no_normal_reaches_the_density_is_finite() -> None:
    """Weighted densities that are summed before the logarithm would be 0 there: the broken variant."""
    far = torch.full((1,), 1e3, dtype=torch.float64)
    narrow = Mixture(*(torch.zeros(1, 2, dtype=torch.float64) for _ in range(3)))
    assert narrow.log_prob(far).item() == pytest.approx(-0.5 * (1e6 + math.log(2 * math.pi)))
    assert norm.pdf(1e3) == 0.0


# What comes of luck ---------------------------------------------------------------------------------------------------


def test_temperature_divides_logits_and_multiplies_variances() -> None:
    """By counts and moments of 200 000 draws. A share lies within 5 of its deviations but for one time in a million; so
    do the deviations of the normals."""
    tau, n = 0.5, 200_000
    logits = torch.tensor([[0.3, -0.4]], dtype=torch.float64)
    two = Mixture(logits, torch.tensor([[-100.0, 100.0]]).double(), torch.tensor([[0.5, 2.0]]).double().log())
    rng = np.random.default_rng(0)
    uniform, noise = torch.from_numpy(rng.random((n, 1))), torch.from_numpy(rng.standard_normal((n, 1)))
    drawn = Mixture(*(part.expand(n, 1, 2) for part in two)).at(uniform, noise, tau)[:, 0].numpy()
    share = 1 / (1 + math.exp(-0.7 / tau))
    assert (drawn < 0).mean() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / n))
    assert share != pytest.approx(1 / (1 + math.exp(-0.7)), abs=0.1), "the broken variant would be noticed"
    for side, deviation in ((drawn[drawn < 0], 0.5), (drawn[drawn > 0], 2.0)):
        expected = deviation * math.sqrt(tau)
        assert side.std() == pytest.approx(expected, abs=5 * expected / math.sqrt(2 * len(side)))


def test_at_a_temperature_near_0_the_likeliest_comes_always() -> None:
    several = mixture(50, 3, 4)
    rng = np.random.default_rng(0)
    luck = torch.from_numpy(rng.random((50, 3))), torch.from_numpy(rng.standard_normal((50, 3)))
    mode = several.mean.gather(-1, several.logits.argmax(-1, keepdim=True)).squeeze(-1)
    torch.testing.assert_close(several.at(*luck, temperature=1e-12), mode, rtol=0, atol=1e-4)
    assert (several.at(*luck) - mode).abs().max() > 1


# The network ----------------------------------------------------------------------------------------------------------


def test_the_networks_of_the_paper_have_its_parameters() -> None:
    """422 368 for CarRacing and 1 678 785 for Doom, where an LSTM has one bias; torch's has two, of 4 H each. Doom's
    reads whether the episode has just begun, beside 64 codes and an action, and says when it ends."""
    car = model(codes=32, actions=3, width=256, mixtures=5, reward=False, end=False)
    assert count(car) - 4 * 256 == 422_368 and count(car) == 423_392
    doom = model(codes=64, actions=2, width=512, mixtures=5, reward=False, end=True)
    assert count(doom) - 4 * 512 == 1_678_785 and count(doom) == 1_680_833


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_all_steps_at_once_are_the_steps_one_by_one(kind: str) -> None:
    network, generator = model(kind), torch.Generator().manual_seed(1)
    z, action = (torch.randn(6, 2, width, generator=generator) for width in (3, 2))
    first = torch.zeros(6, 2, dtype=torch.bool)
    first[0], first[3, 1] = True, True
    _, at_once = network(network.initial(2), z, action, first)
    carry = network.initial(2)
    for t in range(6):
        carry, one = network(carry, z[t : t + 1], action[t : t + 1], first[t : t + 1])
        for whole, part in zip((*at_once.codes, at_once.reward, at_once.end), (*one.codes, one.reward, one.end)):
            torch.testing.assert_close(whole[t : t + 1], part, rtol=1e-5, atol=1e-6)


def test_what_is_not_asked_for_is_not_said() -> None:
    network = model(reward=False, end=True)
    z, action, first = torch.zeros(1, 2, 3), torch.zeros(1, 2, 2), torch.ones(1, 2, dtype=torch.bool)
    _, coming = network(network.initial(2), z, action, first)
    assert coming.reward is None and coming.end is not None and coming.end.shape == (1, 2)
    assert coming.codes.mean.shape == (1, 2, 3, 4)


def test_a_surprise_has_the_gradient_of_finite_differences() -> None:
    several, x = mixture(2, 3, 4), torch.linspace(-1, 1, 6, dtype=torch.float64).view(2, 3)
    assert torch.autograd.gradcheck(lambda *parts: Mixture(*parts).log_prob(x), [p.requires_grad_() for p in several])

"""The bound of a variational autoencoder where log p(x) is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from generative.vae import (
    Posterior,
    VariationalAutoencoder,
    divergence,
    importance_bound,
    normal_log_prob,
    with_free_bits,
)


class Given(nn.Module):
    """Says the same of whatever it is given."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor(numbers, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.numbers.expand(len(x), -1)


def linear(mean: float, variance: float) -> VariationalAutoencoder:
    """x = 2 z + e, both normal with variance 1, and a posterior that is as given."""
    decoder = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(decoder.weight, 2.0)
    vae = VariationalAutoencoder(Given(mean, float(np.log(variance))), decoder, "gaussian")
    return vae.double()


X = torch.full((1, 1), 1.5, dtype=torch.float64)
EVIDENCE = -1.948657489


def elbo(vae: VariationalAutoencoder, points: int = 40) -> float:
    """Exact, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    noise = torch.from_numpy(nodes)[:, None]
    with torch.no_grad():
        posterior, surprise = vae(X.expand(points, 1), noise)
        expected = -(surprise.numpy() @ weights) / weights.sum()
        return float(expected - divergence(posterior)[0].sum())


def test_the_bound_is_tight_at_the_posterior() -> None:
    assert elbo(linear(0.6, 0.2)) == pytest.approx(EVIDENCE, abs=1e-9)


def test_the_bound_is_loose_by_the_divergence_from_it() -> None:
    assert elbo(linear(0.0, 1.0)) == pytest.approx(-4.043938533, abs=1e-9)
    assert EVIDENCE - elbo(linear(0.0, 1.0)) == pytest.approx(2.095281044, abs=1e-8)


def test_more_samples_are_a_tighter_bound() -> None:
    """With the prior for a proposal: -4.044, -2.61 and -2.03. Standard errors of these means are below .02."""
    vae = linear(0.0, 1.0)
    found = []
    for k in (1, 2, 8):
        noise = torch.from_numpy(np.random.default_rng(k).standard_normal((k, 60_000, 1)))
        found.append(vae.log_likelihood(X.expand(60_000, 1), noise).mean().item())
    assert found == pytest.approx([-4.044, -2.61, -2.03], abs=0.06)
    exact = linear(0.6, 0.2).log_likelihood(X, torch.randn(3, 1, 1, dtype=torch.float64))
    assert exact.item() == pytest.approx(EVIDENCE, abs=1e-9), "every weight is p(x) itself"


def test_divergences_of_units() -> None:
    def of(mean: float, deviation: float) -> float:
        return divergence(Posterior(torch.tensor([[mean]]), torch.tensor([[2 * np.log(deviation)]]))).item()

    assert of(0.5, 0.8) == pytest.approx(0.168144, abs=5e-7)
    assert of(1.0, 0.5) == pytest.approx(0.818147181, abs=5e-7)
    assert of(0.0, 1.0) == 0


def test_what_a_unit_may_say_for_nothing_is_counted_over_the_batch() -> None:
    said = torch.tensor([[0.0, 3.0], [0.4, 1.0]], requires_grad=True)
    with_free_bits(said, 0.5).backward()
    assert with_free_bits(said, 0.5).item() == 2.5  # .5 in place of .2, and 2
    assert said.grad is not None and said.grad.tolist() == [[0, 0.5], [0, 0.5]]


def test_the_mean_of_importance_weights() -> None:
    weights = torch.tensor([[1.0, 2.0], [3.0, 0.5]])
    assert importance_bound(weights.log()).exp().tolist() == pytest.approx([2.0, 1.25])


def test_bernoulli_pixels() -> None:
    vae = VariationalAutoencoder(Given(0.0, 0.0), nn.Identity(), "bernoulli")
    logits, x = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[1.0, 0.0]]])
    expected = np.log(2) + np.log1p(np.exp(2))
    assert vae.surprise(x, logits).tolist() == pytest.approx([expected])
    assert vae.expected(logits).tolist()[0][0] == pytest.approx([0.5, 1 / (1 + np.exp(-2))])
    assert not any("variance" in name for name, _ in vae.named_parameters())


def test_normal_density() -> None:
    density = normal_log_prob(torch.tensor(1.5), torch.tensor(0.5), torch.tensor(np.log(4.0)))
    assert density.item() == pytest.approx(-0.5 * (0.25 + np.log(2 * np.pi * 4)))

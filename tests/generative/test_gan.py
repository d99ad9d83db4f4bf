"""Losses at known points, the penalty of known critics, and what sees labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from generative.coders import Dense, decoder_of, encoder_of
from generative.gan import Discriminator, Generator, Loss, discriminating, discriminator_loss, generator_loss, steepness


def slope(kind: Loss, logit: float) -> float:
    made = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(generator_loss(kind, made), made)
    return gradient.item()


def test_a_generator_that_is_found_out_learns_from_the_non_saturating_loss_only() -> None:
    assert slope("minimax", -6.0) == pytest.approx(-0.00247, abs=5e-6)
    assert slope("non_saturating", -6.0) == pytest.approx(-0.99753, abs=5e-6)
    d = 1 / (1 + np.exp(6))
    assert slope("non_saturating", -6.0) / slope("minimax", -6.0) == pytest.approx((1 - d) / d)


def test_losses_where_samples_are_as_data() -> None:
    half = torch.zeros(1)
    assert discriminator_loss("minimax", half, half).item() == pytest.approx(2 * np.log(2))
    assert generator_loss("minimax", half).item() == pytest.approx(-np.log(2))
    assert generator_loss("non_saturating", half).item() == pytest.approx(np.log(2))
    assert discriminator_loss("least_squares", half + 0.5, half + 0.5).item() == pytest.approx(0.25)
    assert discriminator_loss("wasserstein", half + 3, half + 1).item() == -2
    assert generator_loss("wasserstein", half + 3).item() == -3
    assert generator_loss("least_squares", half).item() == 0.5


def test_the_best_logit_is_the_logarithm_of_the_densities_ratio() -> None:
    """By ascent on the discriminator's loss where data are thrice as frequent as samples."""
    logit = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(2_000):
        loss = 0.75 * discriminator_loss("minimax", logit, torch.tensor(-50.0)) + 0.25 * discriminator_loss(
            "minimax", torch.tensor(50.0), logit
        )
        (gradient,) = torch.autograd.grad(loss, logit)
        logit = (logit - gradient).detach().requires_grad_()
    assert logit.item() == pytest.approx(np.log(3), abs=1e-6)


@pytest.mark.parametrize("functional", [False, True])
def test_steepness(functional: bool) -> None:
    x = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    line = steepness(lambda x: 3 * x[:, 0, 0, 0] - 4 * x[:, 0, 1, 1], x, functional)
    assert line.tolist() == pytest.approx([5.0] * 5)
    lengths = x.flatten(1).norm(dim=-1).tolist()
    bowl = steepness(lambda x: x.square().flatten(1).sum(-1) / 2, x, functional)
    assert bowl.tolist() == pytest.approx(lengths)


def test_a_critic_of_two_points_becomes_a_line_of_slope_one() -> None:
    """Almost: of points 2 apart the loss is -2 slope + 10 (slope - 1)^2."""
    line = nn.Linear(1, 1)
    nn.init.constant_(line.weight, 0.5)  # from below 0 it would become -0.9, a lesser optimum
    trained = discriminating("wasserstein", 10.0, Discriminator(line, 0))
    data, made = np.full((8, 1), 2.0, np.float32), np.zeros((8, 1), np.float32)
    mixture = np.linspace(0, 1, 8, dtype=np.float32)
    for k in range(400):
        trained.update(0.03 * (1 - k / 400), data, made, mixture, None)
    assert line.weight.item() == pytest.approx(1 + 2 / 20, abs=1e-3)


def test_labels_are_shown_to_both() -> None:
    random = torch.Generator().manual_seed(0)
    generator = Generator(decoder_of((1, 2, 2), Dense(), 3 + 4, random), 4, bounded=True)
    discriminator = Discriminator(encoder_of((1 + 4, 2, 2), Dense(), 1, random), 4)
    noise, labels = torch.zeros(4, 3), torch.arange(4)
    made = generator(noise, labels)
    assert made.shape == (4, 1, 2, 2) and len({tuple(m.flatten().tolist()) for m in made}) == 4
    assert ((made > 0) & (made < 1)).all()
    same = made[:1].expand(4, -1, -1, -1)
    assert len(set(discriminator(same, labels).tolist())) == 4
    plane = torch.cat([same[:1], torch.zeros(1, 4, 2, 2)], 1)
    plane[:, 1 + 2] = 1
    assert discriminator(same, labels)[2] == discriminator.encoder(plane).squeeze()
    assert isinstance(discriminator.encoder, nn.Sequential)

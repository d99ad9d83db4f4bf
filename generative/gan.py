"""Generative adversarial networks (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661): a generator makes samples
from noise, a discriminator tells them from the data, and each learns against the other.

    adversaries = Adversaries(generator, discriminator, rows, held_out, batch=64, ...)
    adversaries.update()                                    # the discriminator so often as asked, then the generator
    adversaries.make(noise)                                 # [B, *shape]

Which loss: "minimax" is the paper's game, whose generator hardly learns while it is found out; "non_saturating" the
paper's remedy; "least_squares" of Mao et al. 2017, https://arxiv.org/abs/1611.04076; "wasserstein" of Arjovsky et al.
2017, https://arxiv.org/abs/1701.07875, whose critic must not be steeper than 1: see `steepness`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import grad
from torch.nn.functional import one_hot, softplus

from supervised.fit import Fitting
from supervised.trained import Found, Trained, tensors

Array = NDArray[Any]
Loss = Literal["minimax", "non_saturating", "least_squares", "wasserstein"]


def discriminator_loss(kind: Loss, real: Tensor, made: Tensor) -> Tensor:
    """What the discriminator minimizes, [B], of what it says of data and of samples: logits that they are data, or any
    numbers for a critic."""
    if kind == "wasserstein":
        return made - real
    if kind == "least_squares":
        return 0.5 * (real - 1).square() + 0.5 * made.square()
    return softplus(-real) + softplus(made)  # -log D(x) - log(1 - D(G(z)))


def generator_loss(kind: Loss, made: Tensor) -> Tensor:
    """What the generator minimizes, [B]."""
    if kind == "wasserstein":
        return -made
    if kind == "least_squares":
        return 0.5 * (made - 1).square()
    return -softplus(made) if kind == "minimax" else softplus(-made)  # log(1 - D(G(z))), or -log D(G(z))


def steepness(critic: Callable[[Tensor], Tensor], at: Tensor, functional: bool) -> Tensor:
    """How steep the critic is at points [B, *shape]: lengths of its gradients, [B]. A penalty (length - 1)^2 between
    data and samples keeps it near 1: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028.

    functional: as in `supervised.flat.differentiate`.
    """
    if functional:
        slope = grad(lambda x: critic(x).sum())(at)
    else:
        leaf = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    return (slope.flatten(1).square().sum(-1) + 1e-12).sqrt()


class Generator(nn.Module):
    """noise [B, Z], labels [B] int64 or None -> samples [B, *shape]. bounded: in [0, 1]."""

    def __init__(self, decoder: nn.Module, classes: int, bounded: bool) -> None:
        super().__init__()
        self.decoder, self.classes, self.bounded = decoder, classes, bounded

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            noise = torch.cat([noise, one_hot(labels, self.classes).to(noise.dtype)], -1)
        made: Tensor = self.decoder(noise)
        return made.sigmoid() if self.bounded else made


class Discriminator(nn.Module):
    """x [B, *shape], labels [B] int64 or None -> [B]. A label is shown as more channels, all 0 but one of 1 (Mirza and
    Osindero 2014, https://arxiv.org/abs/1411.1784)."""

    def __init__(self, encoder: nn.Module, classes: int) -> None:
        super().__init__()
        self.encoder, self.classes = encoder, classes

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            shown = one_hot(labels, self.classes).to(x.dtype)
            shown = shown.reshape(*shown.shape, *[1] * (x.ndim - 2)).expand(*shown.shape, *x.shape[2:])
            x = torch.cat([x, shown], 1)
        found: Tensor = self.encoder(x)
        return found.squeeze(-1)


def discriminating(
    kind: Loss, penalty: float, discriminator: Discriminator, compiled: bool = False, **options: Any
) -> Trained:
    """A discriminator that learns from (data, samples, mixtures [B] in [0, 1], labels or None).

    penalty: weight of the gradient penalty, 0 for none.
    """

    def loss(parameters: Tensor, real: Tensor, made: Tensor, mixture: Tensor, labels: Tensor | None) -> Found:
        def judge(x: Tensor) -> Tensor:
            found: Tensor = trained.flat.call(parameters, x, labels)
            return found

        on_real, on_made = judge(real), judge(made)
        terms = {"discriminator_loss": discriminator_loss(kind, on_real, on_made)}
        if penalty:
            share = mixture.reshape(-1, *[1] * (real.ndim - 1))
            terms["gradient_penalty"] = (steepness(judge, real.lerp(made, share), compiled) - 1).square()
        return terms, {"on_data": on_real, "on_samples": on_made}

    coefficients = {"discriminator_loss": 1.0} | ({"gradient_penalty": penalty} if penalty else {})
    trained = Trained(discriminator, loss, coefficients, ["on_data", "on_samples"], compiled=compiled, **options)
    return trained


def generating(kind: Loss, generator: Generator, discriminator: Trained, **options: Any) -> Trained:
    """A generator that learns from (noise, parameters of the discriminator, labels or None)."""

    def loss(parameters: Tensor, noise: Tensor, opponent: Tensor, labels: Tensor | None) -> Found:
        made = trained.flat.call(parameters, noise, labels)
        return {"generator_loss": generator_loss(kind, discriminator.flat.call(opponent, made, labels))}, {}

    trained = Trained(generator, loss, {"generator_loss": 1.0}, **options)
    return trained


Measure = Callable[[Callable[[np.random.Generator, int], tuple[Array, Array | None]]], Mapping[str, Any]]


class Adversaries(Fitting):
    """A course, each of whose updates is one of the generator, after `turns` of the discriminator.

    rows, held_out: (data, labels int64), of which the labels are shown to both if `conditional`. measure: what an
    evaluation finds, given what draws so many samples and their labels from a generator of random numbers. averaging:
    the decay of a running mean of the generator's parameters (its target network), which draws instead; 0 for none.
    """

    def __init__(
        self,
        generator: Trained,
        discriminator: Trained,
        rows: Sequence[Array],
        held_out: Sequence[Array],
        batch: int,
        rate: Callable[[float], float],
        budget: int,
        rng: np.random.Generator,
        *,
        latent: int,
        turns: int,
        conditional: bool,
        measure: Measure,
        averaging: float = 0.0,
    ) -> None:
        super().__init__(discriminator, rows, held_out, batch, rate, budget, rng)
        self.generator, self.latent, self.turns, self.measure = generator, latent, turns, measure
        self.conditional, self.averaging = conditional, averaging

    def advance(self, until: int) -> None:
        super().advance(until)
        with self.blaming():
            self.generator.require_finite()

    def update(self) -> None:
        rate = self.rate(self.progress)
        for _ in range(self.turns):
            real, labels = self._next()
            mixture = self.rng.random(len(real), np.float32)
            self.trained.update(rate, real, self.make(self._noise(self.rng, len(real)), labels), mixture, labels)
        labels = self._labels(self.rng, self.batch)
        self.generator.update(rate, self._noise(self.rng, self.batch), self.trained.state.parameters, labels)
        if self.averaging:
            self.generator.state.follow(1 - self.averaging)
        self.steps += 1

    @torch.no_grad()
    def make(self, noise: Array, labels: Array | None = None) -> Tensor:
        """Samples [B, *shape], where the networks are."""
        made: Tensor = self.generator.flat.module(*tensors((noise, labels), self.generator.state.parameters.device))
        return made

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Array, Array | None]:
        """n samples, by the averaged generator if there is one, and the labels that they were asked for."""
        noise, labels = self._noise(rng, n), self._labels(rng, n)
        state = self.generator.state
        with torch.no_grad():
            parameters = state.target if self.averaging else state.parameters
            made = self.generator.flat.call(parameters, *tensors((noise, labels), parameters.device))
        return made.cpu().numpy(), labels

    def metrics(self) -> Mapping[str, float]:
        with self.blaming():
            return {**super().metrics(), **self.generator.drain("train/")}

    def evaluate(self) -> Mapping[str, Any]:
        return {f"eval/{name}": value for name, value in self.measure(self.draw).items()}

    def _next(self) -> tuple[Array, Array | None]:
        real, labels = self.next()
        return real, labels if self.conditional else None

    def _labels(self, rng: np.random.Generator, n: int) -> Array | None:
        """As frequent as in the data."""
        return rng.choice(self.rows[1], n) if self.conditional else None

    def _noise(self, rng: np.random.Generator, n: int) -> Array:
        return rng.standard_normal((n, self.latent), np.float32)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "generator": self.generator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.generator.load_state_dict(state["generator"])

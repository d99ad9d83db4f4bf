"""Variational autoencoders (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114): an encoder that says which codes
an input may have come from, a decoder that says which inputs a code may become, and a bound on log p(x).

    vae = VariationalAutoencoder(encoder, decoder, "gaussian")               # the encoder puts out [B, 8]
    posterior = vae.posterior(x)                            # means and log variances [B, 4]
    z = posterior.at(noise)                                 # [B, 4], noise standard normal
    elbo = -vae.surprise(x, vae.decoder(z)) - divergence(posterior).sum(-1)

Everything is in nats, and summed over what an input consists of: a mean over pixels would be another beta.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

Likelihood = Literal["gaussian", "bernoulli"]


class Posterior(NamedTuple):
    """q(z | x), a normal distribution of independent units."""

    mean: Tensor  # [B, Z]
    log_variance: Tensor  # [B, Z]

    def at(self, noise: Tensor) -> Tensor:
        """z = mean + deviation * noise [..., B, Z]: reparameterized, so that gradients pass."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x), [..., B]."""
        return normal_log_prob(z, self.mean, self.log_variance).sum(-1)


def divergence(posterior: Posterior) -> Tensor:
    """KL(q(z | x) || N(0, 1)) of each unit, [B, Z]: Kingma and Welling, appendix B."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def normal_log_prob(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(x; mean, variance), elementwise."""
    return -0.5 * ((x - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))


def with_free_bits(divergences: Tensor, bits: float) -> Tensor:
    """The divergence to be minimized, 0-d: a unit whose mean over the batch [B, Z] is below `bits` (in nats, after the
    name) costs no less, so it isn't pressed to say nothing. Kingma et al. 2016, https://arxiv.org/abs/1606.04934."""
    return divergences.mean(0).clamp(min=bits).sum()


def importance_bound(log_weights: Tensor) -> Tensor:
    """log of the mean of k importance weights, [k, B] -> [B]: rises with k from the ELBO to log p(x). Burda et al.
    2016, https://arxiv.org/abs/1509.00519."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


class VariationalAutoencoder(nn.Module):
    """x [B, *shape], noise [B, Z] -> (posterior, how surprising x is: -log p(x | z) [B]).

    likelihood: "gaussian" around the decoder's output, with one variance for all of it that is learned; "bernoulli",
    whose logits the output is, of inputs that are 0 or 1 (grey values have no Bernoulli density).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        if likelihood == "gaussian":
            self.log_variance = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Posterior, Tensor]:
        posterior = self.posterior(x)
        return posterior, self.surprise(x, self.decoder(posterior.at(noise)))

    def posterior(self, x: Tensor) -> Posterior:
        return Posterior(*self.encoder(x).chunk(2, -1))

    def surprise(self, x: Tensor, output: Tensor) -> Tensor:
        """-log p(x | z) of x and what the decoder says of z, both [B, *shape]: [B]."""
        if self.likelihood == "gaussian":
            return -normal_log_prob(x, output, self.log_variance).flatten(1).sum(-1)
        return binary_cross_entropy_with_logits(output, x, reduction="none").flatten(1).sum(-1)

    def expected(self, z: Tensor) -> Tensor:
        """E[x | z], [B, *shape]: what a code looks like."""
        output: Tensor = self.decoder(z)
        return output if self.likelihood == "gaussian" else output.sigmoid()

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, noise: Tensor) -> Tensor:
        """`importance_bound` of log p(x) with noise [k, B, Z]: [B]."""
        posterior, weights = self.posterior(x), []
        for z in posterior.at(noise):
            prior = normal_log_prob(z, torch.zeros_like(z), torch.zeros_like(z)).sum(-1)
            weights.append(prior - self.surprise(x, self.decoder(z)) - posterior.log_prob(z))
        return importance_bound(torch.stack(weights))

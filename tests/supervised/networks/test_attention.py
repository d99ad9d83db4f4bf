"""Attention by worked numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from supervised.networks.attention import (
    Attention,
    Encoder,
    TransformerBlock,
    kernel,
    linear_attention,
    sinusoids,
)


def close(found: Tensor, expected: Any, atol: float = 2e-6) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=atol)


# Three inputs of dimension 4, and the matrices of queries, keys and values, of dimension 3.
INPUTS = torch.tensor([[1.0, 0, 1, 0], [0, 2, 0, 2], [1, 1, 1, 1]])
QUERIES = torch.tensor([[1.0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 1]])
KEYS = torch.tensor([[0.0, 0, 1], [1, 1, 0], [0, 1, 0], [1, 1, 0]])
VALUES = torch.tensor([[0.0, 2, 0], [0, 3, 0], [1, 0, 3], [1, 1, 0]])


def worked(scale: float | None) -> tuple[Tensor, Tensor]:
    """What the first of the inputs gets of the three, and the queries, keys and values of all."""
    attention, seen = Attention(4, 3, heads=1), []
    attention.queries.weight.data, attention.pairs.weight.data = QUERIES.T, torch.cat([KEYS, VALUES], 1).T
    attention.merge.weight.data = torch.eye(4)[:, :3]
    for layer in (attention.queries, attention.pairs, attention.merge):
        layer.bias.data.zero_()

    def look(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.extend([q, k, v])
        return scaled_dot_product_attention(q, k, v, scale=scale)

    found = attention(INPUTS.unsqueeze(1), look)
    return found[0, 0, :3].detach(), torch.cat(seen).squeeze(1).detach()


def test_a_worked_example() -> None:
    plain, seen = worked(scale=1.0)
    close(seen[0, 0], [1, 0, 2])
    close(seen[1], [[0, 1, 1], [4, 4, 0], [2, 3, 1]])
    close(seen[2], [[1, 2, 3], [2, 8, 0], [2, 6, 3]])
    close(plain, [1.936621, 6.683105, 1.595068])
    close(worked(scale=None)[0], [1.863874, 6.319371, 1.704189])  # over the root of 3


def test_small_examples() -> None:
    k, v = torch.tensor([[1.0, 0], [1, 1]]), torch.tensor([[1.0, 2], [3, 4]])
    q = torch.eye(2)
    close(scaled_dot_product_attention(q, k, v), [[2, 3], [2.339523, 3.339523]])

    def linear(visible: Tensor) -> Tensor:
        nothing = torch.zeros(2, 2), torch.zeros(2, 1)
        return linear_attention(kernel(q), kernel(k), v, visible, *nothing)

    every = torch.ones(2, 2, dtype=torch.bool)
    close(linear(every), [[2.090909, 3.090909], [2.2, 3.2]])
    close(linear(every.tril()), [[1, 2], [2.2, 3.2]])


def test_attention_began_as_a_regression_with_kernels() -> None:
    """A Gaussian kernel is softmax attention on keys of one length: keys 0 and 1, deviation 0.5, asked for at 0.25."""
    query, keys, values = torch.tensor(0.25), torch.tensor([0.0, 1]), torch.tensor([0.0, 1])
    close((-(query - keys).square() / (2 * 0.5**2)).softmax(0) @ values, 0.268941)
    q, k = torch.tensor([[0.25, 1.0]]), torch.stack([keys / 0.25, -keys.square() / 0.5], 1)
    close(scaled_dot_product_attention(q, k, values[:, None], scale=1.0), [[0.268941]])


def test_positions() -> None:
    close(sinusoids(torch.tensor(1), 4), [0.841471, 0.540302, 0.00999983, 0.999950])
    all_ = sinusoids(torch.arange(50), 16)
    products = all_ @ all_.T
    for offset in (0, 3, 20):
        along = products.diagonal(offset)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="can't be 5"):
        sinusoids(torch.tensor(1), 5)


def test_normalization() -> None:
    block = TransformerBlock(4, 1, norm="post")
    close(block.first(torch.tensor([1.0, 2, 3, 4])), [-1.341641, -0.447214, 0.447214, 1.341641], atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_without_positions_knows_no_order(norm: str) -> None:
    torch.manual_seed(0)
    encoder, x = Encoder(8, 2, 2, norm), torch.randn(5, 3, 8)  # type: ignore[arg-type]
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(encoder(x[order]), encoder(x)[order], rtol=0, atol=1e-5)
    placed = x + sinusoids(torch.arange(5), 8)[:, None]
    again = x[order] + sinusoids(torch.arange(5), 8)[:, None]
    assert (encoder(again) - encoder(placed)[order]).abs().max() > 1e-2


def test_what_is_not_visible_does_not_count() -> None:
    torch.manual_seed(0)
    encoder, x = Encoder(8, 2, 2), torch.randn(5, 2, 8)
    visible = torch.tensor([[True, True, True, False, False], [True] * 5])
    found = encoder(x, visible)
    torch.testing.assert_close(found[:3, :1], encoder(x[:3, :1]), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, 1:], encoder(x[:, 1:]), rtol=0, atol=1e-5)


def test_another_source() -> None:
    """Who looks at no tokens of his own gets mixtures of the source's, and of its width."""
    attention, x, source = Attention(6, 8, 2, source=5), torch.randn(4, 3, 6), torch.randn(7, 3, 5)
    assert attention(x, source=source).shape == (4, 3, 6)
    alike = attention(x, source=source[:1].expand(7, 3, 5))
    torch.testing.assert_close(alike[0], alike[1], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="3 heads can't share a width of 8"):
        Attention(6, 8, 3)


def test_as_many_parameters_as_torch_counts() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(Attention(16, 16, 4)) == 1088
    assert count(TransformerBlock(16, 4, inner=64)) == 3280

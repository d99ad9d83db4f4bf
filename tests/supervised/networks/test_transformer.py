"""What is a causal transformer's own; what it promises as a sequence model is in `test_sequence.py`."""

from __future__ import annotations

import pytest
import torch

from supervised.networks.transformer import CausalTransformer, reach, since


def test_time_since_the_beginning() -> None:
    first = torch.tensor([[False, True], [False, False], [True, False], [False, True]])
    assert since(first, torch.tensor([7, 3])).tolist() == [[7, 0], [8, 1], [0, 2], [1, 0]]


def test_what_can_be_seen() -> None:
    """Two steps kept and three at hand, a window of 3; the sequence began one step before these three."""
    time = torch.tensor([[1], [2], [3]])
    expected = [
        [False, True, True, False, False],
        [False, True, True, True, False],
        [False, False, True, True, True],
    ]
    assert reach(time, 3, 2)[0, 0].tolist() == expected
    assert reach(time * 0, 3, 2)[0, 0].sum() == 3, "where every step is a beginning each sees itself alone"


@pytest.mark.parametrize("attention", ["softmax", "linear"])
def test_each_layer_reaches_back_by_its_window(attention: str) -> None:
    torch.manual_seed(0)
    network = CausalTransformer(2, 8, layers=2, heads=2, window=3, attention=attention)  # type: ignore[arg-type]
    x = torch.randn(9, 1, 2, requires_grad=True)
    first = torch.zeros(9, 1, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(network(network.initial(1), x, first)[1][8, 0, 0], x)
    reached = gradient.abs().sum((1, 2)) > 0
    assert reached.tolist() == ([False] * 4 if attention == "softmax" else [True] * 4) + [True] * 5


@pytest.mark.parametrize("attention", ["softmax", "linear"])
def test_sums_are_the_same_in_any_order_of_work(attention: str) -> None:
    """In double precision the kept form equals the parallel one to the last digits."""
    torch.manual_seed(0)
    network = CausalTransformer(2, 8, 2, 2, window=12, attention=attention).double()  # type: ignore[arg-type]
    x, first = torch.randn(12, 3, 2, dtype=torch.float64), torch.zeros(12, 3, dtype=torch.bool)
    carry = network.initial(3)
    whole = network(carry, x, first)[1]
    found = []
    for step in range(12):
        carry, y = network(carry, x[step : step + 1], first[step : step + 1])
        found.append(y)
    torch.testing.assert_close(torch.cat(found), whole, rtol=0, atol=1e-12)


def test_without_positions_a_window_knows_no_order() -> None:
    torch.manual_seed(0)
    x, first = torch.randn(5, 1, 2), torch.zeros(5, 1, dtype=torch.bool)
    order = [3, 1, 0, 2, 4]  # the last step looks at all of them
    for positions in ("none", "learned", "relative", "sinusoidal"):
        network = CausalTransformer(2, 8, 1, 2, window=5, positions=positions)
        one, other = (network(network.initial(1), rows, first)[1][4] for rows in (x, x[order]))
        assert torch.allclose(one, other, atol=1e-5) == (positions == "none")


def test_relative_positions_choose_by_age() -> None:
    """A head that adds much to the step before the last one looks at nothing else, whatever was kept or is at hand."""
    torch.manual_seed(0)
    network = CausalTransformer(2, 8, 1, 2, window=5, positions="relative")
    assert network.ages is not None
    with torch.no_grad():
        network.ages.weight.zero_()[2] = 1e3
    x, first = torch.randn(7, 1, 2, requires_grad=True), torch.zeros(7, 1, dtype=torch.bool)
    carry, _ = network(network.initial(1), x[:5], first[:5])
    y = network(carry, x[5:], first[5:])[1]
    (gradient,) = torch.autograd.grad(y[1].sum(), x)
    assert (gradient.abs().sum((1, 2)) > 0).tolist() == [False, False, False, False, True, False, True]


def test_linear_attention_has_no_softmax_to_add_to() -> None:
    with pytest.raises(ValueError, match="relative wants attention=softmax"):
        CausalTransformer(2, 8, 1, 2, window=5, positions="relative", attention="linear")

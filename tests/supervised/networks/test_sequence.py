"""Every sequence model keeps the same promises, and recurrent layers are those of torch.nn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supervised.networks.sequence import Bidirectional, Carry, Recurrent, SequenceModel
from supervised.networks.transformer import CausalTransformer


def transformer(**options: Any) -> CausalTransformer:
    return CausalTransformer(3, width=8, layers=2, heads=2, window=4, **options)


MODELS: dict[str, Callable[[], SequenceModel]] = {
    "rnn": lambda: Recurrent("rnn", 3, 8),
    "gru": lambda: Recurrent("gru", 3, 8, layers=2),
    "lstm": lambda: Recurrent("lstm", 3, 8, layers=2),
    "transformer": transformer,
    "post-norm": lambda: transformer(norm="post", positions="learned"),
    "relative": lambda: transformer(positions="relative"),
    "linear": lambda: transformer(attention="linear"),
}
BOTH_WAYS: dict[str, Callable[[], SequenceModel]] = {
    "bidirectional": lambda: Bidirectional("lstm", 3, 4, layers=2),
    "shared": lambda: Bidirectional("rnn", 3, 4, shared=True),
}
causal = pytest.mark.parametrize("name", MODELS)
every = pytest.mark.parametrize("name", MODELS | BOTH_WAYS)


def made(name: str) -> SequenceModel:
    torch.manual_seed(0)
    return (MODELS | BOTH_WAYS)[name]()


def some(steps: int, rows: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs, and beginnings here and there, at the first step too."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(steps, rows, generator=generator) < 0.2
    first[0] = True
    return torch.randn(steps, rows, 3, generator=generator), first


def run(model: SequenceModel, x: Tensor, first: Tensor, carry: Carry | None = None) -> Tensor:
    return model(model.initial(x.shape[1]) if carry is None else carry, x, first)[1]


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@every
def test_rows_know_nothing_of_each_other(name: str) -> None:
    model, (x, first) = made(name), some(9)
    alone = run(model, x[:, 1:2], first[:, 1:2])
    same(run(model, x, first)[:, 1:2], alone)
    assert model.features == alone.shape[2]


@every
def test_where_a_row_begins_anew_it_is_as_if_it_had_just_begun(name: str) -> None:
    """Also where the carry holds something, and also for models that read backwards."""
    model, (x, _) = made(name), some(9)
    first = torch.zeros(9, 3, dtype=torch.bool)
    first[5, 1] = True
    used = model(model.initial(3), *some(6, seed=1))[0]
    found, broken = run(model, x, first, used), run(model, x, torch.zeros_like(first), used)
    fresh = run(model, x[5:, 1:2], first[5:, 1:2] & False)
    same(found[5:, 1:2], fresh)
    assert (broken[5:, 1:2] - fresh).abs().max() > 1e-3, "the beginnings are ignored"
    first[0] = True
    same(run(model, x, first, used), run(model, x, first))


@every
def test_a_sequence_that_fills_less_than_its_row_is_unmoved_by_what_fills_it_up(name: str) -> None:
    model, (x, first) = made(name), some(9)
    first[:] = False
    first[6] = True  # here the filling begins
    short = run(model, x[:6], first[:6])
    x[6:] = 1e3
    same(run(model, x, first)[:6], short)


@causal
@pytest.mark.parametrize("cuts", [(1,) * 11, (4, 7), (2, 8, 1)])
def test_in_parts_it_is_as_at_once(name: str, cuts: tuple[int, ...]) -> None:
    """Step by step, as it acts, and in longer parts; the longest is longer than the transformers' window."""
    model, (x, first) = made(name), some(11)
    carry, found = model.initial(3), []
    for part, begins in zip(x.split(cuts), first.split(cuts), strict=True):
        carry, y = model(carry, part, begins)
        found.append(y)
    end, whole = model(model.initial(3), x, first)
    same(torch.cat(found), whole)
    assert carry.keys() == end.keys() == model.initial(3).keys()
    for part, fresh in zip(carry, model.initial(3), strict=True):
        assert part == fresh and carry[part].shape == model.initial(3)[part].shape
    same(model(carry, *some(1, seed=2))[1], model(end, *some(1, seed=2))[1])


def seen(model: SequenceModel, x: Tensor, first: Tensor, step: int) -> Tensor:
    """Which inputs the output of row 0 at this step depends on, [T, B]."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(run(model, x, first)[step, 0, 0], x)
    return gradient.abs().sum(-1) > 0


@causal
def test_the_future_has_no_gradient_and_neither_has_another_sequence(name: str) -> None:
    model, (x, first) = made(name), some(9)
    first[:] = False
    first[0], first[3, 0] = True, True
    expected = torch.zeros(9, 3, dtype=torch.bool)
    expected[3:7, 0] = True
    assert torch.equal(seen(model, x, first, 6), expected)
    assert seen(model, x, first & False, 6)[:3, 0].any(), "the broken variant: the beginning is ignored"


def test_who_reads_backwards_sees_the_future() -> None:
    x, _ = some(9)
    first = torch.zeros(9, 3, dtype=torch.bool)
    assert seen(made("bidirectional"), x, first, 4)[:, 0].all()
    first[6, 0] = True
    assert seen(made("bidirectional"), x, first, 4)[:, 0].tolist() == [True] * 6 + [False] * 3


@causal
def test_the_gradient_over_a_row_of_sequences_is_the_sum_of_theirs(name: str) -> None:
    model, (x, _) = made(name), some(10)
    assert isinstance(model, nn.Module)
    first = torch.zeros(10, 3, dtype=torch.bool)
    first[[0, 4, 7]] = True

    def gradient(*parts: slice) -> list[Tensor]:
        loss = sum(run(model, x[part], first[part] & False).square().sum() for part in parts)
        return list(torch.autograd.grad(loss, list(model.parameters())))  # type: ignore[arg-type]

    loss = run(model, x, first).square().sum()
    whole = torch.autograd.grad(loss, list(model.parameters()))
    for found, expected in zip(whole, gradient(slice(0, 4), slice(4, 7), slice(7, 10)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    wrong = gradient(slice(0, 10))
    assert max((a - b).abs().max().item() for a, b in zip(whole, wrong, strict=True)) > 1e-2


# Recurrent layers -----------------------------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.mark.parametrize("kind", WHOLE)
def test_layers_are_those_of_torch(kind: str) -> None:
    torch.manual_seed(0)
    ours, theirs = Recurrent(kind, 3, 5, layers=2), WHOLE[kind](3, 5, num_layers=2)
    for layer, cell in enumerate(ours.cells):
        for name, parameter in cell.named_parameters():
            parameter.data.copy_(getattr(theirs, f"{name}_l{layer}"))
    x = torch.randn(6, 4, 3)
    state = tuple(torch.randn(2, 4, 5) for _ in ours.names)
    carry = {name: part.transpose(0, 1) for name, part in zip(ours.names, state, strict=True)}
    end, y = ours(carry, x, torch.zeros(6, 4, dtype=torch.bool))
    expected, after = theirs(x, state if kind == "lstm" else state[0])
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    for name, part in zip(ours.names, after if kind == "lstm" else (after,), strict=True):
        torch.testing.assert_close(end[name].transpose(0, 1), part, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (lambda: Recurrent("lstm", 10, 20), 2560),
        (lambda: Recurrent("gru", 10, 20), 1920),
        (lambda: Recurrent("rnn", 10, 20), 640),
        (lambda: Bidirectional("lstm", 10, 20, layers=2), 15040),
        (lambda: Bidirectional("rnn", 10, 20, shared=True), 2 * 640 - 10 * 20 - 20),
    ],
)
def test_as_many_parameters_as_torch_counts(model: Callable[[], nn.Module], count: int) -> None:
    assert sum(parameter.numel() for parameter in model().parameters()) == count


def test_a_gru_whose_gates_are_forced_is_an_rnn_or_remembers_nothing() -> None:
    """z = 0: with r = 0 it is tanh(U x + b), and with r = 1 a plain RNN; z = 1 keeps the state."""
    torch.manual_seed(0)
    gru, rnn = Recurrent("gru", 3, 4), Recurrent("rnn", 3, 4)
    cell: Any = gru.cells[0]
    plain: Any = rnn.cells[0]
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(plain, name).data.copy_(getattr(cell, name)[8:])
    x, first = torch.randn(5, 2, 3), torch.zeros(5, 2, dtype=torch.bool)
    state = {"hidden": torch.randn(2, 1, 4)}

    def forced(r: float, z: float) -> Tensor:
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, name).data[:8] = 0
        cell.bias_ih.data[:4], cell.bias_ih.data[4:8] = r, z
        return run(gru, x, first, state)

    same(forced(r=100, z=-100), run(rnn, x, first, state))
    same(forced(r=0, z=100), state["hidden"].transpose(0, 1).expand(5, 2, 4))
    cell.bias_hh.data[8:] = 0
    same(forced(r=-100, z=-100), torch.tanh(x @ cell.weight_ih[8:].T + cell.bias_ih[8:]))

"""Every translator keeps the same promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from supervised.networks.translator import PAD, AttendingTranslator, RecurrentTranslator, Translator


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


MODELS: dict[str, Callable[[], Translator]] = {
    "rnn": lambda: RecurrentTranslator("rnn", 7, 6, 8, 1, random()),
    "gru": lambda: RecurrentTranslator("gru", 7, 6, 8, 2, random()),
    "lstm": lambda: RecurrentTranslator("lstm", 7, 6, 8, 1, random()),
    "transformer": lambda: AttendingTranslator(7, 6, 8, 2, 2, "pre", random()),
    "post-norm": lambda: AttendingTranslator(7, 6, 8, 1, 2, "post", random()),
}
every = pytest.mark.parametrize("name", MODELS)


def some() -> tuple[Tensor, Tensor]:
    """Sources [5, 3] of lengths 5, 3 and 1, and tokens [6, 3]."""
    source = torch.randint(1, 7, (5, 3), generator=random())
    source[3:, 1], source[1:, 2] = PAD, PAD
    return source, torch.randint(6, (6, 3), generator=random())


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@every
@pytest.mark.parametrize("cuts", [(1,) * 6, (4, 2)])
def test_in_parts_it_is_as_at_once(name: str, cuts: tuple[int, ...]) -> None:
    model, (source, tokens) = MODELS[name](), some()
    carry, found = model.begin(source), []
    for part in tokens.split(cuts):
        carry, outputs = model.decode(carry, part)
        found.append(outputs)
    whole = model(source, tokens)
    assert whole.shape == (6, 3, 6)
    same(torch.cat(found), whole)


@every
def test_rows_are_apart_and_what_fills_them_up_does_not_count(name: str) -> None:
    model, (source, tokens) = MODELS[name](), some()
    whole = model(source, tokens)
    for row, length in enumerate((5, 3, 1)):
        same(model(source[:length, row : row + 1], tokens[:, row : row + 1]), whole[:, row : row + 1])
    other = source.clone()
    other[0] = source[0] % 6 + 1
    assert ((model(other, tokens) - whole).abs().amax((0, 2)) > 1e-4).all(), "what is there does count"


@every
def test_rows_of_a_carry_can_be_picked_and_repeated(name: str) -> None:
    model, (source, tokens) = MODELS[name](), some()
    carry, _ = model.decode(model.begin(source), tokens[:2])
    index = torch.tensor([2, 0, 0])
    _, outputs = model.decode({key: part[index] for key, part in carry.items()}, tokens[2:4, index])
    same(outputs, model(source, tokens)[2:4, index])


@every
def test_no_later_token_is_seen(name: str) -> None:
    model, (source, tokens) = MODELS[name](), some()
    changed = tokens.clone()
    changed[4:] = (tokens[4:] + 1) % 6
    found, expected = model(source, changed), model(source, tokens)
    same(found[:4], expected[:4])
    assert (found[4:] - expected[4:]).abs().max() > 1e-4

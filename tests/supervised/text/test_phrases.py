"""Phrases mean what they say."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pytest

from supervised.networks.translator import PAD
from supervised.text.phrases import BEGIN, END, MONTHS, STYLES, decoded, encoded, in_words, phrases, written
from supervised.text.tokens import Characters


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"), (15, "fifteen"), (40, "forty"), (99, "ninety-nine"), (100, "one hundred"),
        (305, "three hundred and five"), (342, "three hundred forty-two"[:13] + " and forty-two"),
        (1_000, "one thousand"), (1_017, "one thousand and seventeen"),
        (210_300, "two hundred and ten thousand three hundred"),
    ],
)  # fmt: skip
def test_numbers_in_words(number: int, words: str) -> None:
    assert in_words(number) == words


def test_different_numbers_have_different_words() -> None:
    assert len({in_words(number) for number in range(20_000)}) == 20_000


def test_a_date_in_every_style_can_be_read() -> None:
    """The day, the month and the year stand in each."""
    day = date(1974, 3, 5)
    found = [written(day, style) for style in STYLES]
    assert found[0] == "Tuesday, 5 March 1974" and found[6] == "Tue, 05-Mar-74" and found[3] == "5.3.1974"
    for text in found:
        assert re.search("74", text) and re.search("Mar|3", text) and re.search(r"\b0?5\b", text)
    assert len(set(MONTHS)) == 12


@pytest.mark.parametrize("name", ["dates", "number_words"])
def test_no_meaning_comes_twice(name: str) -> None:
    pairs = phrases(name, 3_000, np.random.default_rng(0))  # type: ignore[arg-type]
    assert len({target for _, target in pairs}) == len({source for source, _ in pairs}) == 3_000
    with pytest.raises(ValueError, match="examples: found 2000000"):
        phrases(name, 2_000_000, np.random.default_rng(0))  # type: ignore[arg-type]


def test_rows_are_filled_up() -> None:
    tokens = Characters("abcd")
    rows = encoded(["abc", "d", ""], tokens)
    assert rows.tolist() == [[BEGIN, 3, 4, 5, END], [BEGIN, 6, END, PAD, PAD], [BEGIN, END, PAD, PAD, PAD]]
    assert decoded(rows, tokens) == ["abc", "d", ""]

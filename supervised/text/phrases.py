"""Phrases and what they mean, to learn from: dates, and numbers in words.

pairs = phrases("dates", 20_000, rng)   # ("Tue, 5 March 1974", "1974-03-05"), ...
encoded(["abc", "d"], Characters("abcd"))   # [2, 5] int64: BEGIN, a, b, c, END; BEGIN, d, END, PAD, PAD
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from supervised.networks.translator import PAD
from supervised.text.tokens import Characters

Array = NDArray[Any]
Name = Literal["dates", "number_words"]
BEGIN, END = 1, 2
MARKS = 3  # PAD, BEGIN and END stand before the tokens
FIRST, DAYS = date(1950, 1, 1), 36_525  # a century, so that two digits tell a year
LARGEST = 1_000_000

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
STYLES = (
    "{weekday}, {day} {month} {year}", "{month} {day}, {year}", "{short} {day}, {year}", "{day}.{number}.{year}",
    "{day} {short} {year}", "{day} {month} '{two:02}", "{weekday:.3}, {day:02}-{short}-{two:02}",
    "{year}/{number}/{day}",
)  # fmt: skip


def phrases(name: Name, count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Phrases with their meanings, which are all different. Raises ValueError where there are not so many."""
    most = DAYS if name == "dates" else LARGEST
    if count > most:
        raise ValueError(f"examples: found {count}, but of {name} there are {most}")
    drawn = rng.choice(most, count, replace=False).tolist()
    if name == "number_words":
        return [(in_words(number), str(number)) for number in drawn]
    styles = rng.integers(len(STYLES), size=count).tolist()
    days = [FIRST + timedelta(number) for number in drawn]
    return [(written(day, STYLES[style]), day.isoformat()) for day, style in zip(days, styles)]


def written(day: date, style: str) -> str:
    return style.format(
        weekday=WEEKDAYS[day.weekday()],
        day=day.day,
        month=MONTHS[day.month - 1],
        short=MONTHS[day.month - 1][:3],
        number=day.month,
        year=day.year,
        two=day.year % 100,
    )


def in_words(number: int) -> str:
    """A whole number from 0 to 999,999 in English."""
    for size, name in ((1_000, "thousand"), (100, "hundred")):
        if number >= size:
            many, rest = divmod(number, size)
            link = " and " if 0 < rest < 100 else " "
            return f"{in_words(many)} {name}" + (f"{link}{in_words(rest)}" if rest else "")
    if number < len(ONES):
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens] + (f"-{ONES[ones]}" if ones else "")


def encoded(texts: Sequence[str], tokens: Characters) -> Array:
    """[n, L] int64: BEGIN, the tokens, END, and PAD as far as the longest."""
    rows = np.full((len(texts), 2 + max(map(len, texts))), PAD, np.int64)
    for row, text in zip(rows, texts):
        row[: len(text) + 2] = [BEGIN, *(tokens.encode(text) + MARKS), END]
    return rows


def decoded(rows: Array, tokens: Characters) -> list[str]:
    """The texts of rows [n, L] of tokens, so far as the first END."""
    return [tokens.decode([t - MARKS for t in row[: (row + [END]).index(END)] if t >= MARKS]) for row in rows.tolist()]

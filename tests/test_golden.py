"""No number has changed since `python -m tests.traces` wrote tests/golden/."""

from __future__ import annotations

import pytest

from tests.traces import GOLDEN, NEEDS, TRACES, disagreements, trace


@pytest.mark.parametrize("name", TRACES)
def test_no_number_has_changed(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    assert disagreements((GOLDEN / f"{name}.txt").read_text(), trace(name)) == []


def test_every_trace_is_of_something() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(TRACES)


GOLD = "here\n100: train/loss=0.5 eval/mean_reward=3\nactions 1 2\nlearned abc\n"


@pytest.mark.parametrize(
    "found",
    [
        GOLD.replace("0.5", "0.500000001"),
        GOLD.replace("abc", "abd"),
        GOLD.replace("100:", "101:"),
        GOLD.replace(" 2", " 3"),
        GOLD + "learned abc\n",
        GOLD.replace("train/loss=0.5 ", ""),
    ],
)
def test_a_number_that_changed_is_noticed(found: str) -> None:
    assert disagreements(GOLD, found)


def test_on_another_machine_only_what_holds_there_is_compared() -> None:
    elsewhere = GOLD.replace("here", "elsewhere").replace("0.5", "0.6").replace("abc", "abd")
    assert disagreements(GOLD, elsewhere) == []
    assert disagreements(GOLD, elsewhere.replace("actions 1", "actions 2"))
    assert disagreements(GOLD, elsewhere.replace("100:", "101:"))

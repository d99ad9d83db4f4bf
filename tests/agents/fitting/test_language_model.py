"""Language models: what they reach on a source whose entropy is known, and what is told of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.registry import parse
from agents.wiring import build
from experiment.config import read
from scripts.train import main
from supervised.reading import Reading
from tests.runs import FITS, ROOT

MARKOV = read(ROOT / "configs" / "supervised" / "markov_gru.yaml")


def made(config: dict[str, Any], **changes: Any) -> Reading:
    course = build(parse(config | changes))
    assert isinstance(course, Reading)
    return course


def test_the_source_is_predicted_as_well_as_it_can_be_almost() -> None:
    """In a few seconds within .02 nats; within .005 with every network: the slow test below."""
    course = made(MARKOV, steps=150)
    course.advance(1)
    assert course.evaluate()["eval/expected"] > 0.6
    while course.steps < course.budget:
        course.update()
    told = course.evaluate()
    assert 0 < told["eval/expected"] - told["eval/entropy"] < 0.02
    assert set(told["eval/text"]) <= set("abc") and "ac" not in told["eval/text"] and "ba" not in told["eval/text"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm", "transformer"])
def test_every_network_comes_within_five_thousandths_of_the_entropy_and_never_below(kind: str) -> None:
    network = MARKOV["network"] | {"kind": kind}
    course = made(MARKOV, network=network, seed=100)
    while course.steps < course.budget:
        course.update()
    told = course.evaluate()
    assert 0.435217724 < told["eval/expected"] < 0.435217724 + 0.005


def test_a_text_of_ones_own_is_read_in_subwords_too(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "rhyme.txt"
    file.write_text("One for sorrow, two for joy, three for a girl, four for a boy.\n" * 200)
    config = FITS["language_model"] | {"data": str(file), "held_out": 0.2}
    told = made(config, tokens="subwords", vocabulary=300).evaluate()
    characters = told["eval/loss"] / told["eval/nats_per_character"]
    assert characters > 2, "a token is more than two characters, as a mean"
    assert made(config).evaluate()["eval/loss"] == made(config).evaluate()["eval/nats_per_character"]


def test_a_text_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ROOT / "configs" / "supervised" / "markov_gru.yaml"
    assert main([str(config), "data=nowhere.txt", "--run-dir", str(tmp_path / "run")]) == 2
    assert "data=nowhere.txt: expected markov, python, or a text file in UTF-8" in capsys.readouterr().err

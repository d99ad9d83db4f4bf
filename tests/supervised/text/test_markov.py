"""The source by the numbers that are known of it."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.text.markov import TRANSITIONS, Source, entropy

SOURCE = Source(TRANSITIONS)


def test_what_is_known_of_it() -> None:
    np.testing.assert_allclose(SOURCE.stationary, [0.652174, 0.130435, 0.217391], atol=1e-6)
    assert SOURCE.entropy_rate == pytest.approx(0.435217724, abs=1e-9)
    assert entropy(SOURCE.stationary) == pytest.approx(0.876199, abs=1e-6)
    assert SOURCE.hidden_entropy == pytest.approx(0.184173511, abs=1e-9)


def test_sequences_are_all_that_may_come() -> None:
    sequences, chances = SOURCE.sequences(4)
    assert len(sequences) == 3 * 2**3 == len({tuple(row) for row in sequences.tolist()})
    assert chances.sum() == pytest.approx(1) and (chances > 0).all()
    for symbol in range(3):
        assert chances[sequences[:, -1] == symbol].sum() == pytest.approx(SOURCE.stationary[symbol])


def test_nobody_predicts_better_than_who_knows_the_source() -> None:
    sequences, chances = SOURCE.sequences(5)
    with np.errstate(divide="ignore"):
        known = np.maximum(np.log(SOURCE.transitions), -1e3)[sequences]
    assert SOURCE.cross_entropy(sequences, chances, known) == pytest.approx(SOURCE.entropy_rate, abs=1e-12)
    alone = np.broadcast_to(np.log(SOURCE.stationary), known.shape)
    assert SOURCE.cross_entropy(sequences, chances, alone) == pytest.approx(0.876199, abs=1e-6)


def test_what_is_drawn_is_as_frequent_as_it_should_be() -> None:
    """Pairs of 20,000 symbols within 5 standard errors, counted as if independent, doubled for what they aren't: false
    alarms are rarer than one in 100,000."""
    drawn = SOURCE.draw(20_000, np.random.default_rng(0))
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (drawn[:-1], drawn[1:]), 1 / (len(drawn) - 1))
    expected = SOURCE.stationary[:, None] * SOURCE.transitions
    assert (np.abs(pairs - expected) <= 2 * 5 * np.sqrt(expected / len(drawn))).all()

"""What is written, where what a model says is known."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from supervised.networks.sequence import Carry
from supervised.text.markov import TRANSITIONS, Source
from supervised.text.writing import Step, Written, beam, greedy, sample


def known(carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
    """The source of three symbols as a model."""
    return {"steps": carry["steps"] + 1}, torch.tensor(TRANSITIONS).log()[tokens]


def test_samples_are_as_frequent_as_the_model_says() -> None:
    """Within 5 standard errors of 4,000 rows: false alarms are rarer than one in 100,000."""
    begin, n = torch.zeros(4_000, dtype=torch.int64), 4_000
    written = sample(known, {"steps": begin}, begin, 3, torch.Generator().manual_seed(0))
    assert written.shape == (n, 3)
    transitions = torch.tensor(Source(TRANSITIONS).transitions)
    for step in range(3):
        expected = torch.linalg.matrix_power(transitions, step + 1)[0]
        found = torch.bincount(written[:, step], minlength=3) / n
        assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt()).all()
    again = sample(known, {"steps": begin}, begin, 3, torch.Generator().manual_seed(0))
    assert torch.equal(written, again)


# Which text is best --------------------------------------------------------------------------------------------------

END = 0


def spelt(chances: dict[tuple[int, ...], list[float]]) -> Step:
    """A model by its probabilities behind each beginning; the carry holds what was written."""

    def step(carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
        past = torch.cat([carry["past"], tokens[:, None]], 1)
        outputs = [chances[tuple(row[1:])] for row in past.tolist()]
        return {"past": past}, torch.tensor(outputs).log()

    return step


def nothing(n: int) -> Carry:
    return {"past": torch.zeros(n, 0, dtype=torch.int64)}


def test_a_worked_example() -> None:
    """Greedy writing begins with "yes", which has .5; "ok ok" and the end have .4 * .7 * 1."""
    ok, yes = 1, 2
    over = [1.0, 0.0, 0.0]
    chances: dict[tuple[int, ...], list[float]] = {(): [0.1, 0.4, 0.5], (ok,): [0.2, 0.7, 0.1], (yes,): [0.4, 0.3, 0.3]}
    model = spelt(chances | dict.fromkeys([(ok, ok), (ok, yes), (yes, ok), (yes, yes)], over))
    begin = torch.zeros(1, dtype=torch.int64)
    first = greedy(model, nothing(1), begin, END, 3)
    assert first.tokens.tolist() == [[yes, END]] and first.log_probability.exp().item() == pytest.approx(0.2)
    best = beam(model, nothing(1), begin, END, 3, width=2)
    assert best.tokens.tolist() == [[ok, ok, END]]
    assert best.log_probability.item() == pytest.approx(-1.272966, abs=1e-6)
    assert best.score.item() == pytest.approx(-0.424322, abs=1e-6)
    assert beam(model, nothing(1), begin, END, 3, width=1).score >= first.score


def random_model(seed: int, tokens: int = 3, longest: int = 4) -> Step:
    generator = torch.Generator().manual_seed(seed)
    beginnings = [b for n in range(longest) for b in itertools.product(range(1, tokens), repeat=n)]
    return spelt({b: torch.randn(tokens, generator=generator).mul(2).softmax(0).tolist() for b in beginnings} |
                 {(*b, END, *e): [1.0] + [1e-9] * (tokens - 1) for b in beginnings for n in range(longest)
                  for e in itertools.product(range(tokens), repeat=n)})  # fmt: skip


def every(model: Step, longest: int, power: float, tokens: int = 3) -> list[tuple[float, list[int]]]:
    """All texts with their scores: such as end, and such as are cut off."""
    found = []
    for n in range(longest):
        for text in itertools.product(range(1, tokens), repeat=n):
            for last in range(tokens) if n == longest - 1 else [END]:
                whole, carry, total = [*text, last], nothing(1), 0.0
                for before, token in zip([0, *whole], whole):
                    carry, outputs = model(carry, torch.tensor([before]))
                    total += outputs.log_softmax(-1)[0, token].item()
                found.append((total / len(whole) ** power, whole + [END] * (longest - len(whole))))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_a_beam_that_holds_everything_finds_the_best_of_all(power: float) -> None:
    for seed in range(5):
        model = random_model(seed)
        score, text = every(model, 4, power)[0]
        best = beam(model, nothing(1), torch.zeros(1, dtype=torch.int64), END, 4, width=8, power=power)
        assert best.tokens[0].tolist() == text and best.score.item() == pytest.approx(score, abs=1e-5)


def test_a_beam_is_never_worse_than_greedy_writing_and_rows_are_apart() -> None:
    begin, better = torch.zeros(1, dtype=torch.int64), 0
    for seed in range(30):
        model = random_model(seed)
        first, best = (f(model, nothing(1), begin, END, 4) for f in (greedy, beam_of_two))
        assert best.score >= first.score - 1e-6
        assert best.score.item() == pytest.approx(best.log_probability.item() / length(best), abs=1e-6)
        better += int(best.score > first.score + 1e-6)
    assert better > 5, "it finds what greedy writing misses"
    alone, three = (
        beam_of_two(model, nothing(1), begin, END, 4),
        beam_of_two(model, nothing(3), begin.repeat(3), END, 4),
    )
    assert three.tokens.tolist() == alone.tokens.tolist() * 3


def beam_of_two(step: Step, carry: Carry, begin: Tensor, end: int, longest: int) -> Written:
    return beam(step, carry, begin, end, longest, width=2)


def length(found: Written) -> int:
    tokens = found.tokens[0].tolist()
    return tokens.index(END) + 1 if END in tokens else len(tokens)

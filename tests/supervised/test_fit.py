"""A fit: epochs without replacement, a closed form that it reaches, and resuming at any update."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supervised.fit import Array, Fitting
from supervised.losses import squared
from supervised.trained import Found, Trained
from tests.runs import differences

RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3
HELD_OUT = (X[:5], Y[:5])


def linear() -> Trained:
    module = nn.Linear(3, 1)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.1)

    def loss(parameters: Tensor, inputs: Tensor, targets: Tensor) -> Found:
        outputs = trained.flat.call(parameters, inputs)
        return {"loss": squared(outputs, targets)}, {"far": (outputs - targets).abs()}

    trained = Trained(module, loss, {"loss": 1.0}, ["far"])
    return trained


def fit(
    rows: tuple[Array, ...] = (X, Y),
    held_out: tuple[Array, ...] = HELD_OUT,
    batch: int = 4,
    rate: Callable[[float], float] = lambda progress: 0.1 * (1 - progress),
    budget: int = 400,
    kind: type[Fitting] = Fitting,
) -> Fitting:
    return kind(linear(), rows, held_out, batch, rate, budget, np.random.default_rng(1))


class Noting(Fitting):
    """Notes the first column of each batch, and the rate."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen: list[list[float]] = []
        self.rates: list[float] = []
        self.trained.update = self.note  # type: ignore[method-assign]

    def note(self, rate: float, *columns: Any) -> None:
        assert (columns[0] @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3 == columns[1]).all(), "rows stay together"
        self.rates.append(rate)
        self.seen.append(columns[0][:, 0].tolist())


def test_least_squares_are_found() -> None:
    learned = fit()
    while learned.steps < 400:  # how far it comes at once depends on the clock
        learned.advance(400)
    assert learned.steps == 400
    assert learned.evaluate()["eval/loss"] < 1e-6
    np.testing.assert_allclose(learned.trained.flat.weights(), [1, -2, 0.5, 3], atol=1e-3)


def test_an_epoch_takes_no_row_twice_and_the_next_one_another_order() -> None:
    noting = fit(kind=Noting)
    assert isinstance(noting, Noting)
    noting.advance(10)
    epochs = [[row for batch in batches for row in batch] for batches in (noting.seen[:5], noting.seen[5:])]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == 20 and set(epoch) < set(X[:, 0].tolist())
    assert epochs[0] != epochs[1]
    assert noting.metrics()["train/epoch"] == 2


def test_rows_are_augmented_where_they_are_learned_from_alone() -> None:
    def zeros(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
        return [np.zeros_like(column) for column in columns]

    plain = fit()
    blind = Fitting(linear(), (X, Y), HELD_OUT, 4, lambda p: 0.1, 400, np.random.default_rng(1), augment=zeros)
    assert plain.evaluate() == blind.evaluate()
    before = blind.trained.flat.weights()[:3]
    blind.advance(3)
    np.testing.assert_array_equal(blind.trained.flat.weights()[:3], before)


def test_the_rate_follows_progress() -> None:
    noting = fit(kind=Noting, budget=4)
    assert isinstance(noting, Noting)
    noting.advance(6)
    assert noting.rates == pytest.approx([0.1, 0.075, 0.05, 0.025, 0.0, 0.0])


def test_what_is_told() -> None:
    learned = fit()
    learned.advance(7)
    metrics = learned.metrics()
    assert list(metrics) == ["train/loss", "train/far", "train/learning_rate", "train/epoch", "train/n_updates"]
    assert (metrics["train/epoch"], metrics["train/n_updates"]) == (7 / 5, 7)
    assert not {"train/loss"} & learned.metrics().keys(), "means are of the updates since the last call"


def test_the_evaluation_is_of_all_held_out_rows_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    learned = fit()
    learned.advance(3)
    before = learned.state_dict()
    at_once = learned.evaluate()
    monkeypatch.setattr("supervised.fit.CHUNK", 2)  # two, two and one
    assert learned.evaluate() == pytest.approx(at_once)
    outputs = learned.trained.flat.module(torch.from_numpy(HELD_OUT[0])).numpy()
    error = outputs - HELD_OUT[1]
    assert at_once == pytest.approx({"eval/loss": (error**2).mean(), "eval/far": abs(error).mean()})
    assert list(differences(before, learned.state_dict())) == []


def test_a_signal_is_heard_after_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(np.arange(0, 1000, 0.1).tolist())
    monkeypatch.setattr("supervised.fit.time.perf_counter", lambda: next(seconds))
    learned = fit()
    learned.advance(400)
    assert 1 <= learned.steps <= 6


def resumed(state: dict[str, Any]) -> Fitting:
    learned = fit()
    learned.load_state_dict(state)
    return learned


@pytest.mark.parametrize("stop", range(11))
def test_a_fit_that_was_stopped_anywhere_goes_on_as_if_it_had_not_been(stop: int) -> None:
    straight, parts = fit(), fit()
    straight.advance(11)
    if stop:
        parts.advance(stop)
    parts = resumed(parts.state_dict())
    parts.advance(11)
    assert list(differences(straight.state_dict(), parts.state_dict())) == []
    assert straight.metrics() == parts.metrics()


@pytest.mark.parametrize("lost", ["order", "place", "rng"])
def test_what_is_not_restored_is_noticed(lost: str) -> None:
    """The broken variant: this part of the state is as at the beginning."""
    straight, parts = fit(), fit()
    straight.advance(17)
    parts.advance(8)
    state = parts.state_dict()
    state["batches"][lost] = fit().state_dict()["batches"][lost]
    parts = resumed(state)
    parts.advance(17)
    assert any(differences(straight.state_dict()["weights"], parts.state_dict()["weights"]))


def test_a_state_stays_as_it_was_saved() -> None:
    learned = fit()
    state = learned.state_dict()
    weights = state["weights"].copy()
    json.dumps(state["batches"]["rng"])
    learned.advance(3)
    np.testing.assert_array_equal(state["weights"], weights)


def test_other_rows_than_those_of_the_state_are_refused() -> None:
    with pytest.raises(ValueError, match="has 23 rows, but this one 22"):
        fit(rows=(X[:22], Y[:22])).load_state_dict(fit().state_dict())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch": 24}, "rows in batches of 24: there are 23, expected 24 or more"),
        ({"held_out": (X[:0], Y[:0])}, "held-out rows: there are 0"),
        ({"rows": (X, Y[:22])}, r"different lengths: \[23, 22\]"),
    ],
)
def test_rows_that_make_no_batch_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        fit(**options)

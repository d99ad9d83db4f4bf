"""A text is read from its beginning to its end, and gradients flow through windows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from supervised.networks.reader import Reader
from supervised.networks.sequence import Recurrent
from supervised.reading import Reading, Remembering, beginning, windows
from tests.runs import differences

TEXT = np.random.default_rng(0).integers(5, size=41)


def remembering() -> Remembering:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    return Remembering(Reader(Recurrent("gru", 4, 8), 4, 5, generator))


def reading(text: Any = TEXT, rate: float = 0.1, **options: Any) -> Reading:
    return Reading(remembering(), windows(text, 2, 5), windows(text, 2, 5), lambda _: rate, 100, **options)


def test_windows_lie_behind_each_other_in_each_row() -> None:
    inputs, targets = windows(np.arange(43), 2, 5)
    assert inputs.shape == targets.shape == (4, 5, 2)
    assert inputs[:, :, 0].ravel().tolist() == list(range(20)) and inputs[:, :, 1].ravel().tolist() == list(
        range(20, 40)
    )
    np.testing.assert_array_equal(targets, inputs + 1)


def test_what_is_remembered_goes_on_through_an_epoch_and_no_further() -> None:
    """At a rate of 0, what is held after each window is what whole rows leave behind."""
    course = reading(rate=0.0)
    model = course.reader.model
    inputs = windows(TEXT, 2, 5)[0].reshape(20, 2)
    for window in (1, 2, 3, 4, 1):
        course.update()
        carry, _ = model(model.initial(2), torch.from_numpy(inputs[: 5 * window]), torch.zeros(5 * window, 2) > 0)
        torch.testing.assert_close(course.carry["hidden"], carry["hidden"], rtol=0, atol=1e-6)
        if window == 3:
            broken, _ = model(model.initial(2), torch.from_numpy(inputs[10:15]), torch.zeros(5, 2) > 0)
            assert (broken["hidden"] - carry["hidden"]).abs().max() > 1e-3, "a window that forgets is another"


def test_or_each_window_begins_anew() -> None:
    course = reading(rate=0.0, carried=False)
    model = course.reader.model
    for window in windows(TEXT, 2, 5)[0]:
        course.update()
        carry, _ = model(model.initial(2), torch.from_numpy(window), torch.zeros(5, 2) > 0)
        torch.testing.assert_close(course.carry["hidden"], carry["hidden"], rtol=0, atol=1e-6)


def test_the_gradient_is_that_of_the_window_with_the_past_held_fixed() -> None:
    course = reading(rate=0.0)
    course.update()
    inputs, targets = (column[1] for column in course.rows)
    reader, first = course.reader, torch.from_numpy(beginning((5, 2), False))
    seen, expected = torch.from_numpy(inputs), torch.from_numpy(targets)
    found, _ = reader.look(reader.state.parameters, seen, expected, first, *course.carry.values())
    leaf = reader.state.parameters.detach().requires_grad_()
    outputs = reader.flat.call(leaf, course.carry, seen, first)[1]
    (by_hand,) = torch.autograd.grad(cross_entropy(outputs.flatten(0, 1), expected.flatten()), leaf)
    torch.testing.assert_close(found, by_hand)


@pytest.mark.parametrize("carried", [True, False])
def test_the_evaluation_is_of_the_whole_text_at_once(carried: bool) -> None:
    course = reading(carried=carried, characters=2.0)
    course.update()
    before = course.state_dict()
    told = course.evaluate()
    inputs, targets = (torch.from_numpy(part.reshape(20, 2)) for part in windows(TEXT, 2, 5))
    first = torch.zeros(20, 2, dtype=torch.bool)
    first[:: 20 if carried else 5] = True
    model = course.reader.model
    outputs = model(model.initial(2), inputs, first)[1]
    loss = cross_entropy(outputs.flatten(0, 1), targets.flatten()).item()
    expected = {"loss": loss, "perplexity": np.exp(loss), "nats_per_character": loss / 2}
    assert told == pytest.approx({f"eval/{name}": value for name, value in expected.items()}, rel=1e-5)
    assert list(differences(before, course.state_dict())) == []


@pytest.mark.parametrize("stop", [0, 1, 3, 4, 6])
def test_who_stopped_anywhere_goes_on_as_if_it_had_not(stop: int) -> None:
    straight, parts, again = reading(), reading(), reading()
    straight.advance(9)
    for _ in range(stop):
        parts.update()
    again.load_state_dict(parts.state_dict())
    again.advance(9)
    assert list(differences(straight.state_dict(), again.state_dict())) == []
    assert straight.metrics() == again.metrics()


def test_what_is_remembered_is_state() -> None:
    """The broken variant: it is forgotten on resume."""
    straight, again = reading(), reading()
    straight.advance(2)
    again.load_state_dict(straight.state_dict() | {"carry": reading().state_dict()["carry"]})
    for course in (straight, again):
        course.advance(3)
    assert any(differences(straight.state_dict()["weights"], again.state_dict()["weights"]))


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="the text is another one"):
        reading(text=TEXT[::-1].copy()).load_state_dict(reading().state_dict())


def test_too_little_text_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 0, expected 1 or more"):
        reading(text=TEXT[:10])

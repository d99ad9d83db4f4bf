"""Reading: a sequence model learns what comes next in a text that is read in rows side by side, window by window.

    trained = Remembering(reader)
    reading = Reading(trained, windows(tokens, 32, 64), windows(held_out, 32, 64), carried=True, ...)
    reading.advance(1_000)

Gradients flow through a window, and what is remembered into the next one: truncated back-propagation through time
(Williams and Peng 1990). Logs train/loss, in nats a token, and what `Fitting` does; eval/loss, eval/perplexity = exp of
it and eval/nats_per_character, of the held-out text from its beginning to its end.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from supervised.fit import Fitting
from supervised.networks.sequence import Carry, SequenceModel
from supervised.trained import Found, Trained, TrainState, tensors

Array = NDArray[Any]


class Remembering(Trained):
    """A module (carry, tokens [T, B], first [T, B]) -> (carry, outputs [T, B, K]) that learns what comes next."""

    def __init__(self, module: Any, **options: Any) -> None:
        super().__init__(module, self.surprise, {"loss": 1.0}, **options)
        self.model: SequenceModel = module
        self.kept = list(module.initial(1))
        self.measures |= dict.fromkeys(self.kept)  # which are measured, and not logged

    def surprise(self, parameters: Tensor, inputs: Tensor, targets: Tensor, first: Tensor, *carry: Tensor) -> Found:
        """-log p(target) [T * B], in nats; and what is remembered in the end."""
        kept, outputs = self.flat.call(parameters, dict(zip(self.kept, carry)), inputs, first)
        return {"loss": cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")}, kept

    def read(self, rate: float, carry: Carry, *columns: Any) -> Carry:
        """Learn from inputs, targets and first [T, B] each. Returns what is remembered in the end."""
        device = self.state.parameters.device
        given = tensors(columns, device)
        return dict(zip(self.kept, self.step(self.state, torch.tensor(rate, device=device), *given, *carry.values())))

    def _step(self, state: TrainState, rate: Tensor, *columns: Any) -> Any:
        found = self.descend(state, rate, *columns)
        return [found[name] for name in self.kept]


def windows(text: Array, rows: int, steps: int) -> tuple[Array, Array]:
    """A text [N] cut into rows of one length, and these into windows: inputs [W, steps, rows], and targets, which are
    the inputs one token later. What is left over at the end is left out."""
    count = max(len(text) - 1, 0) // (rows * steps)

    def cut(part: Array) -> Array:
        return part[: count * rows * steps].reshape(rows, count, steps).transpose(1, 2, 0)

    return cut(text[:-1]), cut(text[1:])


class Reading(Fitting):
    """A course over `windows`, in their order; an epoch ends with the last one. carried: a window goes on from what was
    remembered at the end of the one before it, else each begins anew. characters: of a token of the held-out text, as a
    mean."""

    def __init__(
        self,
        trained: Remembering,
        rows: tuple[Array, Array],
        held_out: tuple[Array, Array],
        rate: Callable[[float], float],
        budget: int,
        carried: bool = True,
        characters: float = 1.0,
        show: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        super().__init__(trained, rows, held_out, 1, rate, budget, np.random.default_rng(0), show=show)
        self.reader, self.carried, self.characters = trained, carried, characters
        self.carry = trained.model.initial(rows[0].shape[2])
        self.text = zlib.crc32(rows[0].tobytes())

    def shuffled(self) -> Array:
        """In the order of the text."""
        return np.arange(self.size)

    def update(self) -> None:
        inputs, targets = (column[0] for column in self.next())
        begins = self.place == 1 or not self.carried
        self.carry = self.reader.read(
            self.rate(self.progress), self.carry, inputs, targets, beginning(inputs.shape, begins)
        )
        self.steps += 1

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, Any]:
        model, total = self.reader.model, 0.0
        device = self.reader.state.parameters.device
        carry = model.initial(self.held_out[0].shape[2])
        for number, (inputs, targets) in enumerate(zip(*self.held_out)):
            first = beginning(inputs.shape, number == 0 or not self.carried)
            seen, expected, begins = tensors([inputs, targets, first], device)
            carry, outputs = model(carry, seen, begins)
            total += cross_entropy(outputs.flatten(0, 1), expected.flatten()).item()
        loss = total / len(self.held_out[0])
        told = {"loss": loss, "perplexity": math.exp(loss), "nats_per_character": loss / self.characters}
        return {f"eval/{name}": value for name, value in {**told, **self.show()}.items()}

    def state_dict(self) -> dict[str, Any]:
        carry = {name: part.cpu().numpy().copy() for name, part in self.carry.items()}
        return super().state_dict() | {"carry": carry, "text": self.text}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["text"] != self.text:
            raise ValueError("the text is another one than was read when this was saved")
        super().load_state_dict(state)
        carry: Sequence[Any] = tensors(state["carry"].values(), self.reader.state.parameters.device)
        self.carry = dict(zip(state["carry"], carry))


def beginning(shape: tuple[int, ...], begins: bool) -> Array:
    """Where sequences begin, [T, B] bool: at the first step, or nowhere."""
    first = np.zeros(shape, bool)
    first[0] = begins
    return first

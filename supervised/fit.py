"""A fit: a module learns from rows that are all there from the beginning, in shuffled batches.

    def loss(parameters: Tensor, inputs: Tensor, targets: Tensor) -> Found:
        return {"loss": squared(trained.flat.call(parameters, inputs), targets)}, {}

    trained = Trained(network, loss, {"loss": 1.0})
    fit = Fitting(trained, (inputs, targets), held_out, batch=64, rate=lambda progress: 1e-3, budget=10_000, rng=rng)
    fit.advance(10_000)
    fit.evaluate()  # {"eval/loss": 0.25}

Logs what `trained` does, as means over updates, with `train/` in front (of the held-out rows `eval/`), and
train/learning_rate, train/epoch, train/n_updates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supervised.trained import Trained

Array = NDArray[Any]
Vary = Callable[[np.random.Generator, Sequence[Array]], Sequence[Array]]
PATIENCE = 0.5  # seconds of updates after which whoever drives looks up, for a signal or a progress bar
CHUNK = 16_384  # held-out rows that are looked at at once


class Fitting:
    """A course (`experiment.course.Course`). An epoch takes the rows in a new order, none of them twice; what is left
    in the end and makes no whole batch waits for the next epoch.

    rows, held_out: columns [n, ...] each, as `trained`'s loss takes them; rate: the step size by progress, from 0 to 1
    after `budget` updates; vary: what is learned from columns that were drawn, such as noise beside them; augment: the
    same, of rows that are learned from alone; show: pictures to look at. Raises ValueError where the rows make no
    batch, or none are held out.
    """

    unit = "updates"

    def __init__(
        self,
        trained: Trained,
        rows: Sequence[Array],
        held_out: Sequence[Array],
        batch: int,
        rate: Callable[[float], float],
        budget: int,
        rng: np.random.Generator,
        vary: Vary = lambda rng, columns: columns,
        show: Callable[[], Mapping[str, Array]] = dict,
        augment: Vary = lambda rng, columns: columns,
    ) -> None:
        self.trained, self.rows, self.held_out, self.vary, self.show = trained, rows, held_out, vary, show
        self.augment = augment
        self.batch, self.rate, self.budget, self.rng = batch, rate, budget, rng
        self.size, _ = _count(f"rows in batches of {batch}", rows, batch), _count("held-out rows", held_out, 1)
        self.steps = self.epochs = 0  # updates, and whole epochs
        self.order = self.shuffled()  # of this epoch
        self.place = 0  # in it: of the next row
        self.latest = self.order[:0]  # the rows that were learned from last

    def begin(self) -> None:
        """All is ready."""

    def advance(self, until: int) -> None:
        pause = time.perf_counter() + PATIENCE
        while self.steps < until:
            self.update()
            if time.perf_counter() > pause:
                break
        with self.blaming():
            self.trained.require_finite()

    def update(self) -> None:
        """Learn from the next batch."""
        self.trained.update(self.rate(self.progress), *self.vary(self.rng, self.augment(self.rng, self.next())))
        self.steps += 1

    def next(self) -> list[Array]:
        """The next batch of the epoch, or the first one of another."""
        if self.place + self.batch > self.size:
            self.epochs, self.order, self.place = self.epochs + 1, self.shuffled(), 0
        index = self.latest = self.order[self.place : self.place + self.batch]
        self.place += self.batch
        return [column[index] for column in self.rows]

    def shuffled(self) -> Array:
        """The order of the rows in an epoch."""
        return self.rng.permutation(self.size)

    @property
    def progress(self) -> float:
        return min(self.steps / self.budget, 1.0)

    def news(self) -> None:
        """Nothing is known without effort."""

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """Let a FloatingPointError say what was learned from last."""
        try:
            yield
        except FloatingPointError as error:
            batch = {f"column_{number}": column[self.latest] for number, column in enumerate(self.rows)}
            raise FloatingPointError(str(error), batch) from error

    def metrics(self) -> Mapping[str, float]:
        with self.blaming():
            means = self.trained.drain("train/")
        return means | {
            "train/learning_rate": self.rate(self.progress),
            "train/epoch": self.epochs + self.place / (self.size - self.size % self.batch),
            "train/n_updates": self.steps,
        }

    def evaluate(self) -> Mapping[str, float | Array]:
        """Of the held-out rows, which always vary in the same way."""
        size, sums, rng = len(self.held_out[0]), dict[str, float](), np.random.default_rng(0)
        for start in range(0, size, CHUNK):
            part = self.vary(rng, [column[start : start + CHUNK] for column in self.held_out])
            for name, mean in self.trained.measure(*part).items():
                sums[name] = sums.get(name, 0.0) + mean * len(part[0])
        found: dict[str, float | Array] = {name: total / size for name, total in sums.items()}
        return {f"eval/{name}": value for name, value in {**found, **self.show()}.items()}

    def close(self) -> None:
        """Nothing is held."""

    def state_dict(self) -> dict[str, Any]:
        """Everything but the rows: a run that loads it goes on as if it had never stopped."""
        trained = self.trained.state_dict()
        return {
            "weights": trained.pop("weights"),
            "trained": trained,
            "batches": {"order": self.order.copy(), "place": self.place, "rng": self.rng.bit_generator.state},
            "loop": {"steps": self.steps, "epochs": self.epochs},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        batches, loop = state["batches"], state["loop"]
        if len(batches["order"]) != self.size:
            raise ValueError(f"the fit that was saved has {len(batches['order'])} rows, but this one {self.size}")
        self.trained.load_state_dict(state["trained"] | {"weights": state["weights"]})
        self.order, self.place = batches["order"].copy(), batches["place"]
        self.rng.bit_generator.state = batches["rng"]
        self.steps, self.epochs = loop["steps"], loop["epochs"]


def _count(what: str, columns: Sequence[Array], least: int) -> int:
    """How many rows the columns have. Raises ValueError where they differ, or are too few."""
    counts = {len(column) for column in columns}
    if len(counts) != 1:
        raise ValueError(f"{what}: their columns have different lengths: {[len(column) for column in columns]}")
    (count,) = counts
    if count < least:
        raise ValueError(f"{what}: there are {count}, expected {least} or more")
    return count

"""Evaluators of leaves: a network's forward pass, and a cache in front of any evaluator.

    network = Network(game, forward)                  # forward(observations [n, *obs], seats [n]) -> logits, values
    cached = Cache(game, network, capacity=1 << 18)
    result = search.run(positions, cached, seeds)
    cached.clear()                                    # the network has learned: what it said is void

Random play is `agents.search.rollouts.Rollouts`; `uniform` knows nothing. Any other callable does as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from agents.search.api import Estimate, Evaluator
from agents.search.kernels import kernel
from envs.api import Array, Game, GameSpec, Positions
from envs.games.native import NativeGame, observe_into
from envs.games.rules import to_move
from envs.streams import mix

Forward = Callable[[Array, Array], tuple[Array, Array]]
WAYS = 4  # places in which a position may stand in the cache


def uniform(game: Game) -> Evaluator:
    """All actions are equally likely, and nobody is ahead: the middle of the game's range of returns."""
    low, high = game.spec.utility
    middle = (low + high) / 2 if np.isfinite([low, high]).all() else 0.0

    def evaluate(positions: Positions, seeds: Array) -> Estimate:
        n = len(positions)
        return Estimate(np.zeros((n, game.spec.actions), np.float32), np.full((n, game.spec.seats), middle))

    return evaluate


@kernel
def _observe(kind: int, board: Array, positions: Array, planes: Array) -> None:
    """What the seat to move sees in each of n positions, written over planes [n, *]."""
    planes[:] = 0.0
    for row in range(len(positions)):
        observe_into(kind, board, positions[row], to_move(positions[row]), planes[row])


def outputs(spec: GameSpec) -> int:
    """V, the values that a position needs: 1 where two seats play for opposite returns, else one for each seat."""
    return 1 if spec.seats == 2 and spec.zero_sum else spec.seats


def by_seat(values: Array, seat: Array, spec: GameSpec) -> Array:
    """Values from the side of `seat` [n], its own first [n, V] -> the value of each seat [n, P]."""
    if values.shape != (len(seat), outputs(spec)):
        wanted = f"{outputs(spec)} values for each of {len(seat)} positions"
        raise ValueError(f"{spec.name}: expected {wanted}, found an array {list(values.shape)}")
    if values.shape[1] != spec.seats:
        values = np.concatenate([values, -values], 1)
    return np.take_along_axis(values, (np.arange(spec.seats) - seat[:, None]) % spec.seats, 1)


def from_side(values: Array, seat: Array, spec: GameSpec) -> Array:
    """The inverse of `by_seat`: the value of each seat [n, P] -> from the side of `seat` [n, V]."""
    order = (np.arange(outputs(spec)) + seat[:, None]) % spec.seats
    return np.take_along_axis(values, order, 1)


class NetworkEvaluator:
    """A network's word on leaves. `forward` is a closed function of numpy arrays, however it computes.

    It is given observations float32 [n, *obs] of the seat to move, in a buffer that is overwritten by the next call,
    and who moves, int64 [n]. It returns logits [n, A] and the returns to expect [n, V], the mover's first and so on in
    turn; in games of two that sum to zero the mover's alone will do. `evaluated` counts positions.
    """

    def __init__(self, game: Game, forward: Forward) -> None:
        self.game, self.forward = game, forward
        self.buffer = np.zeros((0, *game.spec.obs_shape), np.float32)
        self.evaluated = 0

    def __call__(self, positions: Positions, seeds: Array) -> Estimate:
        seat = self.game.seat(positions)
        logits, values = self.forward(self.observe(positions, seat), seat)
        self.evaluated += len(positions)
        return Estimate(logits, by_seat(values, seat, self.game.spec))

    def observe(self, positions: Positions, seat: Array) -> Array:
        """[n, *obs] float32; native games write them into the buffer."""
        if not isinstance(self.game, NativeGame):
            return self.game.observe(positions, seat)
        n, rules = len(positions), self.game.rules
        if n > len(self.buffer):
            self.buffer = np.zeros((n, *self.game.spec.obs_shape), np.float32)
        _observe(rules.kind, rules.board, positions, self.buffer[:n].reshape(n, -1))
        return self.buffer[:n]


class Remembered(NamedTuple):
    """What is remembered: C places, in groups of WAYS."""

    position: Array  # [C, W] uint64, whole, so that positions with the same hash are told apart
    used: Array  # [C] bool
    pending: Array  # [C] int64: which of the positions asked for now will be written here; -1 for none
    oldest: Array  # [C / WAYS] uint8: the place of a group that is overwritten next
    logits: Array  # [C, A] float32
    values: Array  # [C, P] float64


@kernel
def _look_up(table: Remembered, positions: Array, source: Array, places: Array, logits: Array, values: Array) -> int:
    """Copy what is known, and take a place for each position that is not.

    source [n]: -1 for what is known, else the number of the question it waits for. places [questions]: where the answer
    belongs. Returns the number of questions; a position that stands in the batch twice is one.
    """
    asked, mask = 0, np.uint64(len(table.oldest) - 1)
    for row in range(len(positions)):
        code = np.uint64(0)
        for index in range(positions.shape[1]):
            code = mix(code ^ positions[row, index])
        group = np.int64(code & mask)
        found = -1
        for place in range(group * WAYS, (group + 1) * WAYS):
            same = table.used[place]
            for index in range(positions.shape[1]):
                same &= table.position[place, index] == positions[row, index]
            if same:
                found = place
        if found >= 0:
            source[row] = table.pending[found]
            if source[row] < 0:
                logits[row] = table.logits[found]
                values[row] = table.values[found]
            continue
        place = group * WAYS + table.oldest[group]
        table.oldest[group] = (table.oldest[group] + 1) % WAYS
        table.position[place] = positions[row]
        table.used[place], table.pending[place] = True, asked
        source[row], places[asked] = asked, place
        asked += 1
    return asked


@kernel
def _remember(
    table: Remembered, source: Array, places: Array, asked: Array, answers: Array, logits: Array, values: Array
) -> None:
    """Give n answers [n, A], [n, P] to all who wait, and to the table, unless a place was taken again meanwhile."""
    for index in range(len(asked)):
        if table.pending[places[index]] == index:
            table.logits[places[index]] = asked[index]
            table.values[places[index]] = answers[index]
            table.pending[places[index]] = -1
    for row in range(len(source)):
        if source[row] >= 0:
            logits[row] = asked[source[row]]
            values[row] = answers[source[row]]


class Cache:
    """Asks `evaluator` once for each position, as long as its answer is remembered. For native games.

    capacity: positions remembered, rounded up to a power of 2; the oldest of a few go when there is no place. The
    evaluator must give the same answer for the same position: what draws luck from its seeds must not be cached.
    """

    def __init__(self, game: Game, evaluator: Evaluator, capacity: int) -> None:
        if not isinstance(game, NativeGame):
            raise ValueError(f"{game.spec.name} is not native: its positions can't be compared, so not remembered")
        if capacity < 1:
            raise ValueError(f"a cache of {capacity} positions remembers nothing")
        self.evaluator, self.spec, self.words = evaluator, game.spec, len(game.rules.start)
        groups = 1 << max(0, (-(-capacity // WAYS) - 1).bit_length())
        places = groups * WAYS
        self.table = Remembered(
            np.zeros((places, self.words), np.uint64),
            np.zeros(places, bool),
            np.full(places, -1, np.int64),
            np.zeros(groups, np.uint8),
            np.empty((places, self.spec.actions), np.float32),
            np.empty((places, self.spec.seats)),
        )
        self.asked = self.answered = 0

    def __call__(self, positions: Positions, seeds: Array) -> Estimate:
        n = len(positions)
        logits, values = np.empty((n, self.spec.actions), np.float32), np.empty((n, self.spec.seats))
        source, places = np.empty(n, np.int64), np.empty(n, np.int64)
        questions = _look_up(self.table, positions, source, places, logits, values)
        self.asked += n
        self.answered += n - questions
        if questions:
            try:
                # the first row that waits for each question: np.unique gives them in the order of the questions
                rows = np.unique(source, return_index=True)[1][-questions:]
                estimate = self.evaluator(positions[rows], seeds[rows])
                asked = np.ascontiguousarray(estimate.logits, np.float32)
                answers = np.ascontiguousarray(estimate.values, np.float64)
                _remember(self.table, source, places[:questions], asked, answers, logits, values)
            except BaseException:
                self.clear()  # there are places without an answer
                raise
        return Estimate(logits, values)

    def clear(self) -> None:
        """Forget all positions."""
        self.table.used[:], self.table.pending[:] = False, -1

    def metrics(self) -> Mapping[str, float]:
        """The share of questions since the last call that were not passed on; absent if there were none."""
        asked, answered, self.asked, self.answered = self.asked, self.answered, 0, 0
        return {"search/cache_hit_rate": answered / asked} if asked else {}

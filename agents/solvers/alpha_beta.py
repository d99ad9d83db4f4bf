"""Alpha-beta with a transposition table, for every native board game: exact where it reaches the end.

    solver = AlphaBeta(make_game("othello(board_size=4)"))
    solver.values(positions)                       # [n] exact: 1 a win for the mover, 0 a draw, -1 a loss
    solver.search(position, nodes=100_000)         # the best move found so far, and whether that is proven

Knuth & Moore (1975), "An analysis of alpha-beta pruning"; the table, iterative deepening and the history heuristic
(Schaeffer 1989) are those of chess programs. A search that ends at its horizon goes by a rule of thumb (`_estimate`).
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np

from agents.solvers.connect_four_solver import SPREAD
from envs.api import Array, Game, Positions
from envs.games.native import NativeGame, estimate, legal_into, play
from envs.games.rules import (
    DRAWN,
    WON,
    ZERO,
    is_over,
    rule,
    to_move,
)

WIN = 1000  # the value of a proven win; a rule of thumb stays below it
UPPER, LOWER, EXACT = 1, 2, 3  # what a value in the table is a bound of
VALUE, BOUND, DEPTH, PROVEN, ACTION, AGE = range(6)  # of a note
NODES, LIMIT, STOPPED, NOW = range(4)  # of Work.counts
FIRST_SLICE = 10_000  # nodes searched before the clock is looked at for the first time


class Verdict(NamedTuple):
    """What a search has found for the seat to move."""

    action: int
    value: float  # 1 a win, 0 a draw, -1 a loss; between them a rule of thumb
    proven: bool
    depth: int  # moves that were looked ahead
    nodes: int


class Work(NamedTuple):
    """What a search writes to. Of the two entries at a place of the table, the first keeps to what was searched deeper.

    Positions are stored whole, so that none is taken for another.
    """

    known: Array  # uint64 [places, 2, W] positions
    notes: Array  # int32 [places, 2, 6] what is known of them
    positions: Array  # uint64 [depth, W] the line that is being searched
    moves: Array  # int64 [depth, A]
    best: Array  # int64 [depth] the best move at each ply
    history: Array  # int64 [2, A] how often, and how deep, a seat's move has refuted the other's
    counts: Array  # int64 [4]: nodes, their limit, whether it was reached, the age of what is known now


class AlphaBeta:
    """Searches positions of one game in which two seats take turns, everything is seen and nothing is drawn by lot."""

    def __init__(self, game: Game, megabytes: int = 32) -> None:
        """The table takes up to so many megabytes. Raises ValueError for a game of another sort, or not native."""
        spec = game.spec
        if not isinstance(game, NativeGame) or spec.chance or not spec.perfect_information or spec.seats != 2:
            raise ValueError(f"alpha-beta plays native board games, not {spec.name}")
        self.game, words, depth = game, len(game.rules.start), spec.max_length + 1
        places = 1 << max(0, int(math.log2(megabytes * 2**20 / (2 * (8 * words + 4 * 6)))))
        self._work = Work(
            np.zeros((places, 2, words), np.uint64),
            np.zeros((places, 2, 6), np.int32),
            np.zeros((depth, words), np.uint64),
            np.zeros((depth, spec.actions), np.int64),
            np.zeros(depth, np.int64),
            np.zeros((2, spec.actions), np.int64),
            np.zeros(4, np.int64),
        )

    def values(self, positions: Positions) -> Array:
        """[n] float64: what the mover can expect of n positions, exactly; after the end, 0."""
        self._forget()
        values = np.zeros(len(positions))
        for row in np.flatnonzero(positions[:, 0] < WON):
            values[row] = self._deepen(positions[row], None, None, None).value
        return values

    def search(
        self,
        position: Array,
        depth: int | None = None,
        nodes: int | None = None,
        seconds: float | None = None,
        rng: np.random.Generator | None = None,
    ) -> Verdict:
        """Search a position [W] deeper and deeper until its value is proven or a limit is reached.

        What was found for other positions is forgotten, so that the answer is the same whatever was asked before; with
        `seconds` it depends on the machine. `rng` chooses among moves that look alike.
        """
        if position[0] >= WON:
            raise ValueError(f"{self.game.spec.name}: the game is over, there is nothing to search")
        self._forget()
        if rng is not None:
            self._work.history[:] = rng.integers(self.game.spec.actions, size=self._work.history.shape)
        return self._deepen(position, depth, nodes, seconds)

    def _forget(self) -> None:
        self._work.counts[NOW] += 1
        self._work.history[:] = 0

    def _deepen(self, position: Array, depth: int | None, nodes: int | None, seconds: float | None) -> Verdict:
        """Look one move further ahead each time, until the value is proven or a limit is reached."""
        work, begin = self._work, time.perf_counter()
        work.positions[0] = position
        work.counts[NODES] = 0
        verdict = self._look(1, None)  # the first move is always searched to its end
        while not verdict.proven and verdict.depth < (depth or len(work.best)):
            limit = nodes
            if seconds is not None:
                left = seconds - (time.perf_counter() - begin)
                if left <= 0:
                    break
                # the clock is out of reach in compiled code: so many nodes as the pace so far promises for this time
                pace = work.counts[NODES] / (seconds - left)
                promised = int(work.counts[NODES] + max(FIRST_SLICE, pace * left))
                limit = promised if nodes is None else min(nodes, promised)
            further = self._look(verdict.depth + 1, limit)
            if not work.counts[STOPPED]:
                # where all moves lose, the one that didn't yet when looking less far ahead holds out longest
                verdict = further if further.value > -1 else further._replace(action=verdict.action)
            elif seconds is None or work.counts[NODES] >= (nodes or math.inf):
                break
        return verdict._replace(nodes=int(work.counts[NODES]))

    def _look(self, depth: int, limit: int | None) -> Verdict:
        rules, work = self.game.rules, self._work
        work.counts[LIMIT] = np.iinfo(np.int64).max if limit is None else limit
        work.counts[STOPPED] = 0
        value, proven = _search(rules.kind, rules.board, work, 0, depth, -WIN, WIN)
        return Verdict(int(work.best[0]), value / WIN, proven, depth, int(work.counts[NODES]))


@rule
def _search(kind: int, board: Array, work: Work, ply: int, depth: int, alpha: int, beta: int) -> tuple[Any, Any]:
    """A bound of the mover's value at `ply` (upper if <= alpha, lower if >= beta, else exact), and if it is proven.

    What is proven does not rest on any rule of thumb. Once counts[STOPPED] is set the result means nothing.
    """
    work.counts[NODES] += 1
    if work.counts[NODES] > work.counts[LIMIT]:
        work.counts[STOPPED] = 1
        return 0, False
    if depth == 0:
        return estimate(kind, board, work.positions[ply]), False
    position, moves = work.positions[ply], work.moves[ply]
    place = _place(work, position)
    value: Any
    first: Any
    slot, first = _find(work, place, position), -1
    if slot >= 0:
        note = work.notes[place, slot]
        value, first = np.int64(note[VALUE]), np.int64(note[ACTION])
        useful = note[BOUND] == EXACT or (value >= beta if note[BOUND] == LOWER else value <= alpha)
        if useful and (note[PROVEN] or note[DEPTH] >= depth):
            work.best[ply] = first
            return value, note[PROVEN] != 0
    seat, n = to_move(position), legal_into(kind, board, position, moves)
    best: Any = -WIN - 1
    proven, floor = True, alpha
    for index in range(n):
        _bring_forward(work.history[seat], moves, index, n, first)
        following, action = work.positions[ply + 1], moves[index]
        _copy(position, following)
        play(kind, board, following, action)
        if is_over(following):
            known = True
            value = 0 if following[0] == DRAWN else WIN if following[0] == np.uint64(WON + seat) else -WIN
        else:
            value, known = _search(kind, board, work, ply + 1, depth - 1, -beta, -floor)
            value = -value
            if work.counts[STOPPED]:
                return 0, False
        proven &= known
        if value > best:
            best, work.best[ply] = value, action
        if best >= beta:
            work.history[seat, action] += depth * depth
            _remember(work, place, position, best, LOWER, depth, known, action)
            return best, known
        floor = max(floor, best)
    _remember(work, place, position, best, UPPER if best <= alpha else EXACT, depth, proven, work.best[ply])
    return best, proven


@rule
def _copy(position: Array, target: Array) -> None:
    for word in range(len(position)):  # a slice would be copied by way of an array of its own
        target[word] = position[word]


@rule
def _bring_forward(history: Array, moves: Array, index: int, n: int, first: int) -> None:
    """Exchange moves so that the most promising of those from `index` on comes next: `first`, then by their history."""
    chosen = index
    for other in range(index, n):
        if moves[other] == first:
            chosen = other
            break
        if history[moves[other]] > history[moves[chosen]]:
            chosen = other
    moves[index], moves[chosen] = moves[chosen], moves[index]


@rule
def _place(work: Work, position: Array) -> Any:
    """Where in the table a position belongs."""
    mixed = ZERO
    for word in position:
        mixed = (mixed ^ word) * SPREAD
        mixed ^= mixed >> np.uint64(32)
    return np.int64(mixed & np.uint64(len(work.known) - 1))


@rule
def _find(work: Work, place: int, position: Array) -> int:
    """Which entry at its place is this position's; -1 if none is, or it is from a search before this one."""
    for slot in range(2):
        if work.notes[place, slot, AGE] == work.counts[NOW]:
            same = True
            for word in range(len(position)):
                same &= work.known[place, slot, word] == position[word]
            if same:
                return slot
    return -1


@rule
def _remember(
    work: Work, place: int, position: Array, value: int, bound: int, depth: int, proven: bool, action: int
) -> None:
    slot = _find(work, place, position)
    if slot < 0:
        first = work.notes[place, 0]
        slot = 0 if first[AGE] != work.counts[NOW] or first[DEPTH] <= depth else 1
        _copy(position, work.known[place, slot])
    note = work.notes[place, slot]
    note[VALUE], note[BOUND], note[DEPTH], note[PROVEN], note[ACTION] = value, bound, depth, proven, action
    note[AGE] = work.counts[NOW]

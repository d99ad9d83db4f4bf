"""Connect four, solved: the exact score of any position, by alpha-beta on bitboards.

A score is counted from the mover's side: 0 is a draw, a positive one a win and a negative one a loss, and its size is
how many stones the winner has left in hand when the line is made, that stone included. Fast wins score high.

The search follows Allis (1988), "A knowledge-based approach of connect-four", Tromp's Fhourstones
(https://tromp.github.io/c4/c4.html) and Pons (http://blog.gamesolver.org): moves that lose at once are never tried,
those that create the most threats go first, null windows close in on the score, and a table remembers bounds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs.api import Array, Game, Positions
from envs.games.native import NativeGame
from envs.games.rules import NATIVE, ONE, WON, ZERO, Bits, count, rule

ILLEGAL = -128  # the score of a move that can't be made; all others are within -32 .. 32
EVERYWHERE = np.uint64(0xFFFFFFFFFFFFFFFF)
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing: 2^64 / golden ratio
NOTE = np.uint64(15)  # bits of a table's entry that are not key: 7 of stones, 1 for the kind of bound, 7 of score
ZERO_SCORE = 64  # how a score of 0 is written


class Shape(NamedTuple):
    """A board: cell = column * height + row, and each column ends in a bit that stays empty."""

    height: int  # rows + 1
    cells: int
    length: int  # stones in a line
    mirrored: int  # positions of fewer stones than this share one entry with their mirror image
    bottom: Any  # uint64: the lowest cell of every column
    full: Any  # uint64: all cells
    columns: Array  # uint64 [C]: the cells of each column, from left to right
    central: Array  # uint64 [C]: the same, the middle first


class Transpositions(NamedTuple):
    """What a search writes to."""

    entries: Array  # uint64 [2**bits, 2]: key and note, see `_remember`
    bits: Any  # uint64, 15 or more: the bits that say the place must outnumber those of a note
    moves: Array  # uint64 [cells, C]: the moves at each ply, best first
    threats: Array  # int64 [cells, C]: how many threats each of them leaves
    nodes: Array  # int64 [1]


@rule
def _threats(shape: Shape, own: Bits, filled: Bits) -> Bits:
    """The empty cells, within reach or not, in which one more of one's `own` stones makes a line."""
    found = ZERO
    for direction in (1, shape.height, shape.height + 1, shape.height - 1):
        step = np.uint64(direction)
        if shape.length == 4:  # the usual one, unrolled
            behind, ahead = own << step, own >> step
            two_behind, two_ahead = behind & behind << step, ahead & ahead >> step
            found |= two_behind & (behind << step << step | ahead) | two_ahead & (ahead >> step >> step | behind)
        else:
            behind = EVERYWHERE
            for stones_behind in range(shape.length):
                ahead = EVERYWHERE
                for _ in range(shape.length - 1 - stones_behind):
                    ahead = (ahead & own) >> step
                found |= behind & ahead
                behind = (behind & own) << step
    return found & shape.full & ~filled


@rule
def _hopeless(shape: Shape, other: Bits) -> bool:
    """Whether there is no line left that has none of the `other` seat's stones in it."""
    cells = shape.full & ~other
    for direction in (1, shape.height, shape.height + 1, shape.height - 1):
        step, run = np.uint64(direction), cells
        for _ in range(shape.length - 1):
            run = cells & run >> step
        if run != ZERO:
            return False
    return True


@rule
def _safe_moves(shape: Shape, own: Bits, filled: Bits) -> Bits:
    """The cells to play, as bits, after which the other can't win with the next stone."""
    possible = (filled + shape.bottom) & shape.full
    feared = _threats(shape, filled ^ own, filled)
    forced = possible & feared
    if forced != ZERO:
        if forced & (forced - ONE) != ZERO:
            return ZERO
        possible = forced
    return possible & ~(feared >> ONE)


@rule
def _key(shape: Shape, own: Bits, filled: Bits, stones: int) -> Bits:
    """A number for the position: in each column own + filled stones say how high it is, and whose stones are in it."""
    key = own + filled
    if stones < shape.mirrored:
        mirror, last = ZERO, len(shape.columns) - 1
        for column in range(last + 1):
            cells = (key >> np.uint64(column * shape.height)) & (shape.columns[0] << ONE | ONE)
            mirror |= cells << np.uint64((last - column) * shape.height)
        key = min(key, mirror)
    return key


@rule
def _recall(memory: Transpositions, key: Bits) -> Any:
    """What the table knows of a position, 0 if nothing: ZERO_SCORE + the most it scores; + 128: the least."""
    spread = key * SPREAD
    bucket, tag = spread >> (np.uint64(64) - memory.bits), spread << memory.bits >> NOTE
    for slot in range(2):
        entry = memory.entries[bucket, slot]
        if entry >> NOTE == tag and entry != ZERO:
            return np.int64(entry & np.uint64(255))
    return 0


@rule
def _remember(memory: Transpositions, key: Bits, stones: int, note: int) -> None:
    """Write down a bound, in place of an older one of the position or of another position.

    The place in the table and the bits stored give the whole key back: no position is taken for another. Of the two
    entries of a place the first keeps to positions of few stones, which cost most; the second takes all others.
    """
    spread = key * SPREAD
    bucket, tag = spread >> (np.uint64(64) - memory.bits), spread << memory.bits
    entry = tag | np.uint64(stones << 8 | note)
    first = memory.entries[bucket, 0]
    if first == ZERO or first >> NOTE == tag >> NOTE:
        memory.entries[bucket, 0] = entry
    elif stones <= np.int64(first >> np.uint64(8) & np.uint64(127)):
        memory.entries[bucket, 0], memory.entries[bucket, 1] = entry, first
    else:
        memory.entries[bucket, 1] = entry


@rule
def _order(shape: Shape, memory: Transpositions, own: Bits, filled: Bits, stones: int, safe: Bits) -> int:
    """Write the safe moves, return how many: those that leave most threats first, then from the middle outwards."""
    moves, threats = memory.moves[stones], memory.threats[stones]
    found = 0
    for column in shape.central:
        move = safe & column
        if move != ZERO:
            left = count(_threats(shape, own | move, filled))
            place = found
            while place > 0 and threats[place - 1] < left:
                moves[place], threats[place] = moves[place - 1], threats[place - 1]
                place -= 1
            moves[place], threats[place] = move, left
            found += 1
    return found


@rule
def _negamax(shape: Shape, memory: Transpositions, own: Bits, filled: Bits, stones: int, alpha: int, beta: int) -> int:
    """A bound of the score: an upper one if it is <= alpha, a lower one if >= beta, else the score itself.

    `own` are the mover's stones, who must not be able to win with the next one.
    """
    memory.nodes[0] += 1
    safe = _safe_moves(shape, own, filled)
    if safe == ZERO:
        return -(shape.cells - stones >> 1)  # the other wins with the next stone
    if stones >= shape.cells - 2:
        return 0
    best, most = -(shape.cells - 2 - stones >> 1), shape.cells - 1 - stones >> 1
    if best >= beta:
        return best
    if most <= alpha:
        return most
    if (alpha >= 0 and _hopeless(shape, filled ^ own)) or (beta <= 0 and _hopeless(shape, own)):
        return 0
    if safe & (safe - ONE) == ZERO:  # no need to remember what has no choice
        return -_negamax(shape, memory, filled ^ own, filled | safe, stones + 1, -beta, -alpha)
    key = _key(shape, own, filled, stones)
    note = _recall(memory, key)
    if note >= 128:
        best = max(best, note - 128 - ZERO_SCORE)
    elif note > 0:
        most = min(most, note - ZERO_SCORE)
    if best >= beta or best == most:
        return best
    if most <= alpha:
        return most
    alpha, beta = max(alpha, best), min(beta, most)
    for index in range(_order(shape, memory, own, filled, stones, safe)):
        move = memory.moves[stones, index]
        score = -_negamax(shape, memory, filled ^ own, filled | move, stones + 1, -beta, -alpha)
        if score >= beta:
            _remember(memory, key, stones, 128 + ZERO_SCORE + score)
            return score
        best, alpha = max(best, score), max(alpha, score)
    _remember(memory, key, stones, ZERO_SCORE + best)
    return best


@rule
def _score(shape: Shape, memory: Transpositions, own: Bits, filled: Bits, stones: int, weak: bool) -> int:
    """The score of a position that is not over; with `weak` its sign."""
    if _threats(shape, own, filled) & (filled + shape.bottom) != ZERO:
        return 1 if weak else shape.cells + 1 - stones >> 1
    low, high = -(shape.cells - stones >> 1), shape.cells - 1 - stones >> 1
    if weak:
        low, high = max(low, -1), min(high, 1)
    while low < high:
        middle = (low + high) >> 1
        # far from 0 first: an early end takes the shallowest search to rule out, and the table keeps what it finds
        if middle <= 0:
            middle = min(middle, -(-low // 2))
        else:
            middle = max(middle, high // 2)
        score = _negamax(shape, memory, own, filled, stones, middle, middle + 1)
        if score <= middle:
            high = min(high, score)
        else:
            low = max(low, score)
    return max(-1, min(1, low)) if weak else low


@rule
def _scores(shape: Shape, memory: Transpositions, positions: Array, weak: bool, scores: Array) -> None:
    for row in range(len(positions)):
        own, filled = positions[row, 1 + np.int64(positions[row, 0])], positions[row, 1] | positions[row, 2]
        scores[row] = _score(shape, memory, own, filled, count(filled), weak)


@rule
def _move_scores(shape: Shape, memory: Transpositions, positions: Array, weak: bool, scores: Array) -> None:
    for row in range(len(positions)):
        own, filled = positions[row, 1 + np.int64(positions[row, 0])], positions[row, 1] | positions[row, 2]
        stones = count(filled)
        winning = _threats(shape, own, filled)
        for column in range(len(shape.columns)):
            move = (filled + shape.bottom) & shape.columns[column]
            if move == ZERO:
                scores[row, column] = ILLEGAL
            elif move & winning != ZERO:
                scores[row, column] = 1 if weak else shape.cells + 1 - stones >> 1
            elif stones + 1 == shape.cells:
                scores[row, column] = 0
            else:
                scores[row, column] = -_score(shape, memory, filled ^ own, filled | move, stones + 1, weak)


class ConnectFourSolver:
    """Exact scores on one board. `bits`: the table has 2**(bits + 1) entries of 8 bytes, and forgets nothing itself."""

    def __init__(self, game: Game, bits: int = 22) -> None:
        """Raises ValueError for another game, or a board that isn't native."""
        if not isinstance(game, NativeGame) or NATIVE[game.rules.kind] != "connect_four":
            raise ValueError(
                f"the connect four solver solves connect four on boards up to 64 bits, not {game.spec.name}"
            )
        if not 15 <= bits <= 32:
            raise ValueError(f"bits is {bits}, expected 15 to 32")
        rows, columns, length = map(int, game.rules.board[:3])
        height, cells = rows + 1, rows * columns
        bottom = sum(1 << column * height for column in range(columns))
        column_cells = np.array([((1 << rows) - 1) << column * height for column in range(columns)], np.uint64)
        central = sorted(range(columns), key=lambda column: abs(2 * column - columns + 1))
        full = np.uint64(bottom * ((1 << rows) - 1))
        self._shape = Shape(
            height, cells, length, cells // 3, np.uint64(bottom), full, column_cells, column_cells[central]
        )
        self._memory = Transpositions(
            np.zeros((1 << bits, 2), np.uint64),
            np.uint64(bits),
            np.zeros((cells, columns), np.uint64),
            np.zeros((cells, columns), np.int64),
            np.zeros(1, np.int64),
        )
        self.game = game

    @property
    def nodes(self) -> int:
        """Positions searched so far, in all calls."""
        return int(self._memory.nodes[0])

    def scores(self, positions: Positions, weak: bool = False) -> Array:
        """[n] int64: the mover's score in n positions that are not over; `weak`: only its sign, which is quicker."""
        scores = np.empty(len(positions), np.int64)
        _scores(self._shape, self._memory, self._going(positions), weak, scores)
        return scores

    def move_scores(self, positions: Positions, weak: bool = False) -> Array:
        """[n, C] int64: the mover's score after each move, ILLEGAL where a column is full."""
        scores = np.empty((len(positions), self.game.spec.actions), np.int64)
        _move_scores(self._shape, self._memory, self._going(positions), weak, scores)
        return scores

    def forget(self) -> None:
        """Empty the table and the count of nodes, as when just made."""
        self._memory.entries[:] = 0
        self._memory.nodes[:] = 0

    def _going(self, positions: Positions) -> Array:
        over = np.flatnonzero(positions[:, 0] >= WON)
        if len(over):
            raise ValueError(f"row {over[0]}: the game is over, there is nothing to solve")
        return np.ascontiguousarray(positions)

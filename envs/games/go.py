"""Go on 2 to 19 rows, by area. Cell and action are row * size + column; the last action is to pass.

Words: status, how many moves were made, the ko, six of bits for the empty cells, two for each cell, then one for each
move. The ko is 1 + the cell that may not be taken back at once, 1 + pass after a pass, or 0. The first word of a cell
is its stone (0 empty, 1 black, 2 white), two bits for the stones it ever held, the first cell of its chain, and the
next one around the chain. The second word, in the first cell of a chain, has the sums of 1, x and x * x over the
liberties x of all its stones: additions change them, and they tell whether all are one cell. A move's word is the
Zobrist hash of the board after it, for superko.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envs.api import Array
from envs.games import symmetries
from envs.games.rules import (
    DRAWN,
    ONE,
    WON,
    ZERO,
    Bits,
    Grid,
    Parameters,
    Rules,
    below,
    bit,
    count,
    lowest,
    read,
    rule,
    select,
    start,
    to_move,
    two_player,
)

MOVES, KO, EMPTY, CELLS = 1, 2, 3, 9  # words; a cell's are CELLS + 2 * cell and the next
STONE, EDGE = np.uint64(3), 3  # the stone of a cell; what stands around the board
HELD, FIRST, NEXT = 1, np.uint64(4), np.uint64(16)  # where the parts of a cell's first word begin; HELD + stone
INDEX = np.uint64(0xFFF)
SUM, SQUARES = np.uint64(11), np.uint64(31)  # where the sums of x and x * x begin, in bits that are enough for 19 rows
DOWN, UP, LENGTH, NEAR = 1, 2, 3, 4  # on the board: komi rounded, the longest game, 4 neighbours of each cell; hashes


def rules(name: str, parameters: Parameters) -> Rules | None:
    """None: with handicap stones, which are left to OpenSpiel."""
    defaults = {"board_size": 19, "komi": 7.5, "handicap": 0, "max_game_length": 0}
    size, komi, handicap, longest = read(
        name, parameters, defaults, {"komi": (-1000, 1000), "max_game_length": (0, 100_000)}
    )
    cells = size * size
    if "max_game_length" not in parameters:
        longest = 2 * cells
    if not 2 <= size <= 19 or longest < 2:
        raise ValueError(f"{name}: expected a board_size of 2 to 19 and a max_game_length of at least 2")
    if handicap:
        return None
    hashes = np.random.default_rng(19).integers(-(2**63), 2**63, 2 * cells)
    near = [near for cell in range(cells) for near in _neighbours(size, cell)]
    board = np.array([cells, math.floor(komi), math.ceil(komi), longest, *near, *hashes], np.int64)
    empty = [(1 << cells) - 1 >> 64 * word & (1 << 64) - 1 for word in range(CELLS - EMPTY)]
    words = start(0, 0, *empty, *[0] * (2 * cells + 2), *[0] * (longest + 1))
    words[CELLS + 2 * cells] = EDGE
    spec = two_player(name, cells + 1, (4, size, size), longest)
    grid = Grid(size, size, (0,), (1,), upwards=True, counts_up=True, letters="abcdefghjklmnopqrst")
    same = symmetries.square(size, others=1)
    return Rules(spec, board, words, grid=grid, symmetries=same)


def _neighbours(size: int, cell: int) -> list[int]:
    """Four cells; beyond the edge there is one more cell, size * size."""
    row, column = divmod(cell, size)
    steps = [(row + 1, column), (row, column + 1), (row, column - 1), (row - 1, column)]
    return [y * size + x if 0 <= y < size and 0 <= x < size else size * size for y, x in steps]


@rule
def _stone(position: Array, cell: int) -> Any:
    return position[CELLS + 2 * cell] & STONE


@rule
def _first(position: Array, cell: int) -> Any:
    return np.int64((position[CELLS + 2 * cell] >> FIRST) & INDEX)


@rule
def _next(position: Array, cell: int) -> Any:
    return np.int64(position[CELLS + 2 * cell] >> NEXT)


@rule
def _liberties(position: Array, cell: int) -> Any:
    """Of the chain to which a stone belongs."""
    return position[CELLS + 1 + 2 * _first(position, cell)]


@rule
def _liberty(cell: int) -> Bits:
    x = np.uint64(cell)
    return ONE + (x << SUM) + (x * x << SQUARES)


@rule
def _in_atari(liberties: Bits) -> bool:
    """Whether they are all one cell: only then the mean of the squares is the square of the mean."""
    count = liberties & ((ONE << SUM) - ONE)
    total = (liberties >> SUM) & ((ONE << (SQUARES - SUM)) - ONE)
    return count * (liberties >> SQUARES) == total * total


@rule
def _join(position: Array, first: int, other: int) -> None:
    """Make one chain of two, given by their first cells; the relabelled one is `other`."""
    cell, label = other, np.uint64(first) << FIRST
    while True:
        after = _next(position, cell)
        position[CELLS + 2 * cell] = position[CELLS + 2 * cell] & ~(INDEX << FIRST) | label
        cell = after
        if cell == other:
            break
    one, two = position[CELLS + 2 * first], position[CELLS + 2 * other]
    low = (ONE << NEXT) - ONE
    position[CELLS + 2 * first] = (one & low) | (two & ~low)
    position[CELLS + 2 * other] = (two & low) | (one & ~low)
    position[CELLS + 1 + 2 * first] += position[CELLS + 1 + 2 * other]
    position[CELLS + 1 + 2 * other] = ZERO


@rule
def _remove(board: Array, position: Array, captured: int) -> tuple[int, Bits]:
    """Take a chain off the board. Returns how many stones it had, and how the hash of the board changes."""
    cells = board[0]
    stone = _stone(position, captured)
    cell, stones, change = captured, 0, ZERO
    while True:
        after = _next(position, cell)
        position[CELLS + 2 * cell] &= np.uint64(0b1100)
        position[EMPTY + (cell >> 6)] |= bit(cell & 63)
        stones += 1
        change ^= np.uint64(board[NEAR + 4 * cells + 2 * cell + np.int64(stone) - 1])
        freed = _liberty(cell)
        for index in range(4):
            near = board[NEAR + 4 * cell + index]
            if _stone(position, near) == STONE - stone:
                position[CELLS + 1 + 2 * _first(position, near)] += freed
        cell = after
        if cell == captured:
            break
    return stones, change


@rule
def _place(board: Array, position: Array, cell: int, seat: int) -> Bits:
    """Put a stone, join and capture chains, set the ko. Returns how the hash of the board changes."""
    own, other = np.uint64(1 + seat), np.uint64(2 - seat)
    taken, liberties, enclosed = _liberty(cell), ZERO, True
    for index in range(4):
        near = board[NEAR + 4 * cell + index]
        stone = _stone(position, near)
        if stone == ZERO:
            liberties += _liberty(near)
        elif stone != STONE:
            position[CELLS + 1 + 2 * _first(position, near)] -= taken
        enclosed &= stone != ZERO and stone != own
    position[EMPTY + (cell >> 6)] ^= bit(cell & 63)
    place = np.uint64(cell)
    held = position[CELLS + 2 * cell] | bit(HELD + 1 + seat)
    position[CELLS + 2 * cell] = held | own | place << FIRST | place << NEXT
    position[CELLS + 1 + 2 * cell] = liberties
    change = np.uint64(board[NEAR + 4 * board[0] + 2 * cell + seat])
    first, captured, ko = cell, 0, 0
    for index in range(4):
        near = board[NEAR + 4 * cell + index]
        stone = _stone(position, near)
        if stone == own:
            chain = _first(position, near)
            if chain != first:
                _join(position, chain, first)
                first = chain
        elif stone == other and _liberties(position, near) == ZERO:
            stones, hash_of_them = _remove(board, position, near)
            change ^= hash_of_them
            captured += stones
            ko = near + 1
    position[KO] = ko if enclosed and captured == 1 else 0
    return change


@rule
def play(board: Array, position: Array, action: int) -> None:
    cells, seat, moves = board[0], to_move(position), np.int64(position[MOVES]) + 1
    boards = CELLS + 2 * cells + 2
    now = position[boards + moves - 1]
    position[MOVES] = moves
    position[0] = 1 - seat
    over = moves == board[LENGTH]
    if action == cells:
        over |= position[KO] == cells + 1
        position[KO] = cells + 1
    else:
        held = position[CELLS + 2 * action] & bit(HELD + 1 + seat) != ZERO
        now ^= _place(board, position, action, seat)
        if held and _seen(position, boards, boards + moves, now):
            position[0] = DRAWN
            over = False
    position[boards + moves] = now
    if over:
        position[0] = _result(board, position)


@rule
def _seen(position: Array, first: int, end: int, now: Bits) -> bool:
    """Whether a board comes back. Only where the stone that made it had stood before need this be asked."""
    found, boards = 0, position[first:end]
    for index in range(len(boards)):  # to the end: that the compiler can do several at a time
        found += boards[index] == now
    return found > 0


@rule
def _result(board: Array, position: Array) -> int:
    """The last status, by area: stones, and empty regions that touch stones of one colour only."""
    more = 0
    for cell in range(board[0]):
        stone = _stone(position, cell)
        if stone != ZERO:
            more += 1 if stone == ONE else -1
        elif position[EMPTY + (cell >> 6)] & bit(cell & 63) != ZERO:
            size, touched = _region(board, position, cell)
            more += size if touched == ONE else -size if touched == ONE + ONE else 0
    for cell in range(board[0]):
        if _stone(position, cell) == ZERO:
            position[EMPTY + (cell >> 6)] |= bit(cell & 63)
    return WON if more > board[DOWN] else WON + 1 if more < board[UP] else DRAWN


@rule
def _region(board: Array, position: Array, cell: int) -> tuple[int, Bits]:
    """How many cells an empty region has, and which stones it touches, as bits.

    Cells that were found lose their bit for being empty; those that still wait are a list in their own words.
    """
    size, touched, last = 0, ZERO, cell
    position[EMPTY + (cell >> 6)] ^= bit(cell & 63)
    position[CELLS + 2 * cell] |= np.uint64(cell) << NEXT
    while True:
        size += 1
        for index in range(4):
            near = board[NEAR + 4 * cell + index]
            stone = _stone(position, near)
            if stone == ZERO and position[EMPTY + (near >> 6)] & bit(near & 63) != ZERO:
                position[EMPTY + (near >> 6)] ^= bit(near & 63)
                position[CELLS + 2 * last] ^= np.uint64(last ^ near) << NEXT  # the last of the list is its own next
                position[CELLS + 2 * near] |= np.uint64(near) << NEXT
                last = near
            elif stone != STONE:
                touched |= stone
        after = _next(position, cell)
        position[CELLS + 2 * cell] &= np.uint64(0b1100)
        if after == cell:
            return size, touched
        cell = after


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    cells = board[0]
    if not 0 <= action < cells:
        return action == cells
    return _stone(position, action) == ZERO and _is_free(board, position, action)


@rule
def _is_free(board: Array, position: Array, action: int) -> bool:
    """An empty cell must be no ko; a liberty must be there or come from a chain that joins or is captured."""
    if position[KO] == action + 1:
        return False
    own = position[0] + ONE
    for index in range(4):
        near = board[NEAR + 4 * action + index]
        stone = _stone(position, near)
        if stone == ZERO:
            return True
        if stone != STONE and _in_atari(_liberties(position, near)) != (stone == own):
            return True
    return False


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    found = 0
    for word in range(CELLS - EMPTY):
        empty = position[EMPTY + word]
        while empty != ZERO:
            action = 64 * word + lowest(empty)
            empty &= empty - ONE
            if _is_free(board, position, action):
                actions[found] = action
                found += 1
    actions[found] = board[0]
    return found + 1


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    """A legal action, each as likely as the others: an empty cell or to pass, until it is a legal one."""
    empty, words = 0, EMPTY + (board[0] + 63 >> 6)
    for word in range(EMPTY, words):
        empty += count(position[word])
    while True:
        rank, word = below(streams, row, empty + 1), EMPTY
        if rank == empty:
            return board[0]
        while rank >= count(position[word]):
            rank -= count(position[word])
            word += 1
        action = 64 * (word - EMPTY) + select(position[word], rank)
        if _is_free(board, position, action):
            return action


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Black, white, empty, and ones where white is to move, whoever looks."""
    cells = board[0]
    for cell in range(cells):
        plane = (np.int64(_stone(position, cell)) + 2) % 3
        planes[plane * cells + cell] = 1.0
    if position[MOVES] & ONE != ZERO:
        planes[3 * cells :] = 1.0

"""Othello on a square board of 4 to 8 rows. Words: status, black, white, where a stone may be put.

Cell is row * size + column. The last action, size * size, is to pass: legal only where nothing else is. Nobody able to
move ends the game. OpenSpiel has the 8x8 board alone; `othello(board_size=6)` is ours.
"""

from __future__ import annotations

import numpy as np

from envs.api import Array
from envs.games import symmetries
from envs.games.rules import (
    DRAWN,
    WON,
    ZERO,
    Bits,
    Grid,
    Parameters,
    Rules,
    bit,
    count,
    random_bit,
    read,
    rule,
    set_bits,
    start,
    to_move,
    two_player,
    write_plane,
)


def rules(name: str, parameters: Parameters) -> Rules:
    (size,) = read(name, parameters, {"board_size": 8})
    if size not in (4, 6, 8):
        raise ValueError(f"{name}: board_size is {size}, expected 4, 6 or 8")
    cells, middle = size * size, size // 2
    full = (1 << cells) - 1
    first_column = sum(1 << row * size for row in range(size))
    inner = full & ~first_column & ~(first_column << size - 1)  # no line runs through the first or the last column
    black = 1 << (middle - 1) * size + middle | 1 << middle * size + middle - 1
    white = 1 << (middle - 1) * size + middle - 1 | 1 << middle * size + middle
    spec = two_player(name, cells + 1, (3, size, size), 2 * cells)
    moves = sum(1 << (middle + down) * size + middle + right for down, right in ((-2, -1), (-1, -2), (0, 1), (1, 0)))
    board = np.array([size, full, inner, full & ~first_column, full & ~(first_column << size - 1)], np.uint64)
    grid, same = Grid(size, size, first=(2,), second=(1,), style="discs"), symmetries.crossed(size, others=1)
    return Rules(spec, board.view(np.int64), start(black, white, moves), grid=grid, symmetries=same)


@rule
def _shift(bits: Bits, step: int) -> Bits:
    return bits << np.uint64(step) if step > 0 else bits >> np.uint64(-step)


@rule
def _direction(board: Array, index: int) -> tuple[int, Bits, Bits]:
    """One of 8 directions: its step, the cells that a line may run through, and those that a step may arrive at."""
    size, full = board[0], np.uint64(board[1])
    if index == 0:
        return size, full, full
    if index == 1:
        return -size, full, full
    inner = np.uint64(board[2])
    if index < 5:  # to the right: never into the first column
        return (index - 3) * size + 1, inner, np.uint64(board[3])
    return (index - 6) * size - 1, inner, np.uint64(board[4])


@rule
def _moves(board: Array, own: Bits, other: Bits) -> Bits:
    """The empty cells from which a line of the other's stones leads to one's own."""
    found, empty = ZERO, np.uint64(board[1]) & ~(own | other)
    for index in range(8):
        step, through, into = _direction(board, index)
        crossed = other & through
        run = _shift(own, step) & crossed
        for _ in range(board[0] - 3):
            run |= _shift(run, step) & crossed
        found |= _shift(run, step) & into & empty
    return found


@rule
def _flipped(board: Array, own: Bits, other: Bits, cell: int) -> Bits:
    """The other's stones that a stone of one's own in `cell` turns over."""
    turned, placed = ZERO, bit(cell)
    for index in range(8):
        step, through, into = _direction(board, index)
        crossed = other & through
        run = _shift(placed, step) & crossed
        for _ in range(board[0] - 3):
            run |= _shift(run, step) & crossed
        if _shift(run, step) & into & own != ZERO:
            turned |= run
    return turned


@rule
def play(board: Array, position: Array, action: int) -> None:
    seat = to_move(position)
    own, other = position[1 + seat], position[2 - seat]
    if action < board[0] * board[0]:
        turned = _flipped(board, own, other, action)
        own, other = own | turned | bit(action), other & ~turned
        position[1 + seat], position[2 - seat] = own, other
    position[3] = _moves(board, other, own)
    if position[3] != ZERO or _moves(board, own, other) != ZERO:
        position[0] = 1 - seat
        return
    more = count(own) - count(other)
    position[0] = DRAWN if more == 0 else WON + (seat if more > 0 else 1 - seat)


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    cells = board[0] * board[0]
    if action == cells:
        return position[3] == ZERO
    return 0 <= action < cells and position[3] & bit(action) != ZERO


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    if position[3] == ZERO:
        actions[0] = board[0] * board[0]
        return 1
    return set_bits(position[3], 0, actions, 0)


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    return board[0] * board[0] if position[3] == ZERO else random_bit(position[3], streams, row)


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Empty, one's own, the other's."""
    cells = board[0] * board[0]
    write_plane(np.uint64(board[1]) & ~(position[1] | position[2]), planes[:cells])
    write_plane(position[1 + seat], planes[cells : 2 * cells])
    write_plane(position[2 - seat], planes[2 * cells :])


@rule
def estimate(board: Array, position: Array) -> int:
    """Corners, and moves to choose from, which are the last word."""
    size, seat = board[0], to_move(position)
    corners = bit(0) | bit(size - 1) | bit(size * size - size) | bit(size * size - 1)
    return 40 * (count(position[1 + seat] & corners) - count(position[2 - seat] & corners)) + 5 * count(position[3])

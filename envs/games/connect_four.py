"""Connect four of any size up to 64 bits. Words: status, crosses, noughts; action is the column.

A column is rows + 1 bits, the lowest cell first: the bit above its cells stays 0, so that no line wraps around.
"""

from __future__ import annotations

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
    read,
    rule,
    start,
    to_move,
    two_player,
)


def rules(name: str, parameters: Parameters) -> Rules | None:
    """None: too large for one word."""
    defaults = {"rows": 6, "columns": 7, "x_in_row": 4, "egocentric_obs_tensor": False}
    rows, columns, x_in_row, egocentric = read(name, parameters, defaults)
    if min(rows, columns, x_in_row) < 2 or (rows + 1) * columns > 64:
        return None
    spec = two_player(name, columns, (3, rows, columns), rows * columns)
    top = sum(1 << column * (rows + 1) + rows - 1 for column in range(columns))
    board = np.array([rows, columns, x_in_row, egocentric, top])
    grid, same = (
        Grid(
            rows,
            columns,
            (0,),
            (1,),
            upwards=True,
            counts_up=True,
            style="drop",
            players=("red", "yellow"),
            clicked="column",
        ),
        symmetries.columns_mirrored(rows, columns),
    )
    return Rules(spec, board, start(0, 0), grid=grid, symmetries=same)


@rule
def _has_line(stones: Bits, height: int, length: int) -> bool:
    """`length` stones in a row: upwards, to the right, or along a diagonal."""
    for step in (1, height, height + 1, height - 1):
        run = stones
        for distance in range(1, length):
            run &= stones >> np.uint64(distance * step) if distance * step < 64 else ZERO
        if run != ZERO:
            return True
    return False


@rule
def play(board: Array, position: Array, action: int) -> None:
    height, seat, filled = board[0] + 1, to_move(position), position[1] | position[2]
    # added at the foot of a column, a bit carries through the stones there into the first empty cell
    position[1 + seat] |= (filled + bit(action * height)) & ~filled
    if _has_line(position[1 + seat], height, board[2]):
        position[0] = WON + seat
    else:
        top = np.uint64(board[4])
        position[0] = DRAWN if (position[1] | position[2]) & top == top else 1 - seat


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    """Whether the top cell of a column is empty."""
    top = action * (board[0] + 1) + board[0] - 1
    return 0 <= action < board[1] and (position[1] | position[2]) & bit(top) == ZERO


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    found = 0
    for column in range(board[1]):
        if is_legal(board, position, column):
            actions[found] = column
            found += 1
    return found


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    while True:
        column = below(streams, row, board[1])
        if is_legal(board, position, column):
            return column


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Crosses, noughts, empty; or the other's, one's own, empty. The lowest row comes first."""
    rows, columns = board[0], board[1]
    cells = rows * columns
    first = 1 - seat if board[3] else 0  # the seat whose stones are in plane 0
    for row in range(rows):
        for column in range(columns):
            cell, here = row * columns + column, bit(column * (rows + 1) + row)
            if position[1 + first] & here != ZERO:
                planes[cell] = 1.0
            elif position[2 - first] & here != ZERO:
                planes[cells + cell] = 1.0
            else:
                planes[2 * cells + cell] = 1.0


@rule
def estimate(board: Array, position: Array) -> int:
    """Stones in the middle."""
    height, columns, seat = board[0] + 1, board[1], to_move(position)
    column = bit(height) - ONE
    middle = column << np.uint64(columns // 2 * height) | column << np.uint64((columns - 1) // 2 * height)
    return 5 * (count(position[1 + seat] & middle) - count(position[2 - seat] & middle))

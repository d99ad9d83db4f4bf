"""Hex on up to 11 x 11 cells. Words: status, two of bits for the empty cells, then 16 cells to a word.

Cell and action are row * columns + column. Seat 0 is black and connects north to south; white connects west to east. A
cell is OpenSpiel's plane of it: 4 is empty, 5 black, 6 and 7 black that is connected to the south and to the north, 8
the stone that won; 3, 2, 1 and 0 the same for white (east, west). A stone that reaches an edge tells its group, so that
the next move need not search for the edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.api import Array
from envs.games import symmetries
from envs.games.rules import (
    ONE,
    WON,
    ZERO,
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
    set_bits,
    start,
    to_move,
    two_player,
)

EMPTY = 4
CELLS = 3  # the first word of cells
NEAR, EACH = 3, 7  # on the board: where the neighbours of cell 0 are, 6 for each cell, and then the edges it is on
NO_STONES = 0x4444444444444444
TURNED = (0, 2, 1, 3, 4, 5, 7, 6, 8)  # upside down, opposite edges have changed places
PLANES = (9, 3)  # the second with plain_obs_tensor: black, white, empty


def rules(name: str, parameters: Parameters) -> Rules | None:
    """None: too large, a single row, or with the swap rule or another way of writing, which are left to OpenSpiel."""
    size = parameters.get("board_size", 11)
    defaults = {"board_size": 11, "num_cols": size, "num_rows": size, "swap": False, "plain_obs_tensor": False}
    written = {key: value for key, value in parameters.items() if key != "string_rep"}
    _, columns, rows, swap, plain = read(name, written, defaults)
    if min(rows, columns) < 2 or rows * columns > 121 or swap or "string_rep" in parameters:
        return None
    cells = rows * columns
    empty = (1 << cells) - 1
    words = [empty & (1 << 64) - 1, empty >> 64, *[NO_STONES] * -(-cells // 16)]
    board = [rows, columns, plain, *(near for cell in range(cells) for near in _surroundings(rows, columns, cell))]
    spec = two_player(name, cells, (PLANES[plain], columns, rows), cells)
    first, second, planes = ((0,), (1,), (0, 1, 2)) if plain else ((5, 6, 7, 8), (0, 1, 2, 3), TURNED)
    grid = Grid(rows, columns, first, second, slanted=True, style="hex", players=("red", "blue"))
    same = symmetries.half_turned(rows, columns, planes)
    return Rules(spec, np.array(board), start(*words), grid=grid, symmetries=same)


def _surroundings(rows: int, columns: int, cell: int) -> list[int]:
    """Six cells, clockwise from the north, -1 beyond the edge; then bits: at the north, south, west, east edge."""
    row, column = divmod(cell, columns)
    steps = [(row - 1, column), (row - 1, column + 1), (row, column + 1)]
    steps += [(row + 1, column), (row + 1, column - 1), (row, column - 1)]
    near = [y * columns + x if 0 <= y < rows and 0 <= x < columns else -1 for y, x in steps]
    return [*near, (row == 0) + 2 * (row == rows - 1) + 4 * (column == 0) + 8 * (column == columns - 1)]


@rule
def _cell(position: Array, cell: int) -> Any:
    return np.int64((position[CELLS + (cell >> 4)] >> np.uint64(4 * (cell & 15))) & np.uint64(15))


@rule
def _put(position: Array, cell: int, plane: int) -> None:
    shift = np.uint64(4 * (cell & 15))
    word = position[CELLS + (cell >> 4)] & ~(np.uint64(15) << shift)
    position[CELLS + (cell >> 4)] = word | np.uint64(plane) << shift


@rule
def _connection(board: Array, position: Array, seat: int, cell: int) -> int:
    """What a stone would be: 0 in the open, 1 and 2 connected to the one and the other edge, 3 to both."""
    edges = board[NEAR + EACH * cell + 6] >> 2 * seat
    first, last = edges & 1 != 0, edges & 2 != 0
    for index in range(6):
        neighbour = board[NEAR + EACH * cell + index]
        if neighbour >= 0:
            plane = _cell(position, neighbour)
            first |= plane == (7 if seat == 0 else 1)
            last |= plane == (6 if seat == 0 else 2)
    return 2 * first + last


@rule
def play(board: Array, position: Array, action: int) -> None:
    seat = to_move(position)
    side = 1 if seat == 0 else -1
    stone = EMPTY + side
    connection = _connection(board, position, seat, action)
    _put(position, action, stone + side * connection)
    position[1 + (action >> 6)] ^= bit(action & 63)
    position[0] = WON + seat if connection == 3 else 1 - seat
    if connection == 1 or connection == 2:
        _tell(board, position, action, stone, stone + side * connection)


@rule
def _tell(board: Array, position: Array, cell: int, stone: int, connected: int) -> None:
    """Make `connected` all stones that hang together with `cell`. Cells that wait are two words of bits."""
    low, high = ZERO, ZERO
    while True:
        for index in range(6):
            neighbour = board[NEAR + EACH * cell + index]
            if neighbour >= 0 and _cell(position, neighbour) == stone:
                _put(position, neighbour, connected)
                if neighbour < 64:
                    low |= bit(neighbour)
                else:
                    high |= bit(neighbour - 64)
        if low != ZERO:
            cell = lowest(low)
            low &= low - ONE
        elif high != ZERO:
            cell = 64 + lowest(high)
            high &= high - ONE
        else:
            return


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    return 0 <= action < board[0] * board[1] and position[1 + (action >> 6)] & bit(action & 63) != ZERO


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    return set_bits(position[2], 64, actions, set_bits(position[1], 0, actions, 0))


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    low = count(position[1])
    rank = below(streams, row, low + count(position[2]))
    return select(position[1], rank) if rank < low else 64 + select(position[2], rank - low)


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Nine planes of what a cell is; or black, white, empty. Whoever looks."""
    cells = board[0] * board[1]
    for cell in range(cells):
        plane = _cell(position, cell)
        if board[2]:
            plane = 2 if plane == EMPTY else int(plane < EMPTY)
        planes[plane * cells + cell] = 1.0

"""Breakthrough on up to 64 cells. Words: status, black, white; cell is row * columns + column.

An action is ((row * columns + column) * 6 + direction) * 2 + capture, from the cell that is left. Directions 0 to 2 are
black's, one row on and a column back, straight or ahead; 3 to 5 are white's, one row back. Only slanted moves capture.
"""

from __future__ import annotations

import numpy as np

from envs.api import Array
from envs.games.rules import (
    BREAKTHROUGH,
    ONE,
    WON,
    ZERO,
    Parameters,
    Rules,
    bit,
    kernel,
    lowest,
    read,
    start,
    to_move,
    two_player,
    write_plane,
)


def rules(name: str, parameters: Parameters) -> Rules | None:
    """None: too large for one word."""
    rows, columns = read(name, parameters, {"rows": 8, "columns": 8})
    cells = rows * columns
    if min(rows, columns) < 2 or cells > 64:
        return None
    camp = columns * (2 if rows >= 6 else 1)
    black = (1 << camp) - 1
    spec = two_player(name, cells * 12, (3, rows, columns), (4 * rows - 6) * columns + 1)
    return Rules(spec, BREAKTHROUGH, np.array([rows, columns]), start(black, black << cells - camp))


@kernel
def _target(board: Array, cell: int, direction: int) -> int:
    """The cell that a move arrives at, or -1 where there is none."""
    row = cell // board[1] + (1 if direction < 3 else -1)
    column = cell % board[1] + direction % 3 - 1
    return row * board[1] + column if 0 <= row < board[0] and 0 <= column < board[1] else -1


@kernel
def _move(board: Array, position: Array, cell: int, direction: int) -> int:
    """The action of going there from an own stone: -1 where the rules forbid it."""
    target = _target(board, cell, direction)
    if target < 0 or position[1 + to_move(position)] & bit(target) != ZERO:
        return -1
    taken = position[2 - to_move(position)] & bit(target) != ZERO
    if taken and direction % 3 == 1:
        return -1
    return (cell * 6 + direction) * 2 + taken


@kernel
def play(board: Array, position: Array, action: int) -> None:
    seat = to_move(position)
    cell = action // 12
    target = _target(board, cell, action // 2 % 6)
    position[1 + seat] ^= bit(cell) | bit(target)
    position[2 - seat] &= ~bit(target)
    home = target // board[1] == (board[0] - 1 if seat == 0 else 0)
    position[0] = WON + seat if home or position[2 - seat] == ZERO else 1 - seat


@kernel
def is_legal(board: Array, position: Array, action: int) -> bool:
    if not 0 <= action < board[0] * board[1] * 12:
        return False
    seat, cell, direction = to_move(position), action // 12, action // 2 % 6
    own = position[1 + seat] & bit(cell) != ZERO and direction // 3 == seat
    return own and _move(board, position, cell, direction) == action


@kernel
def legal_into(board: Array, position: Array, actions: Array) -> int:
    seat, found = to_move(position), 0
    stones = position[1 + seat]
    while stones != ZERO:
        cell = lowest(stones)
        stones &= stones - ONE
        for direction in range(3 * seat, 3 * seat + 3):
            action = _move(board, position, cell, direction)
            if action >= 0:
                actions[found] = action
                found += 1
    return found


@kernel
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Black, white, empty, whoever looks."""
    cells = board[0] * board[1]
    write_plane(position[1], planes[:cells])
    write_plane(position[2], planes[cells : 2 * cells])
    for cell in range(cells):
        if (position[1] | position[2]) & bit(cell) == ZERO:
            planes[2 * cells + cell] = 1.0

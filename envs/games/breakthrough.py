"""Breakthrough on up to 64 cells. Words: status, black, white; cell is row * columns + column.

An action is ((row * columns + column) * 6 + direction) * 2 + capture, from the cell that is left. Directions 0 to 2 are
black's, one row on and a column back, straight or ahead; 3 to 5 are white's, one row back. Only slanted moves capture.
"""

from __future__ import annotations

import numpy as np

from envs.api import Array
from envs.games import symmetries
from envs.games.rules import (
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
    full, first_column = (1 << cells) - 1, sum(1 << row * columns for row in range(rows))
    spec = two_player(name, cells * 12, (3, rows, columns), (4 * rows - 6) * columns + 1)
    board = np.array([rows, columns, full & ~first_column, full & ~(first_column << columns - 1)], np.uint64)
    grid = Grid(rows, columns, (0,), (1,), counts_up=True, style="pieces", clicked="step")
    same = symmetries.steps_mirrored(rows, columns, directions=(2, 1, 0, 5, 4, 3), kinds=2)
    first = start(black, black << cells - camp)
    return Rules(spec, board.view(np.int64), first, grid=grid, symmetries=same)


@rule
def _step(board: Array, direction: int) -> int:
    """How much a direction adds to a cell."""
    return (board[1] if direction < 3 else -board[1]) + direction % 3 - 1


@rule
def _leading_to(cells: Bits, step: int) -> Bits:
    """The cells from which a step arrives at one of `cells`; none of a seat's stones has reached its last row yet."""
    return cells >> np.uint64(step) if step > 0 else cells << np.uint64(-step)


@rule
def _movable(board: Array, own: Bits, other: Bits, direction: int) -> Bits:
    """One's own stones that may go there: onto an empty cell or, slanted, also onto one of the other's."""
    if direction % 3 == 1:
        return own & _leading_to(~(own | other), _step(board, direction))
    inside = np.uint64(board[2] if direction % 3 == 0 else board[3])  # not beyond the first or last column
    return own & inside & _leading_to(~own, _step(board, direction))


@rule
def play(board: Array, position: Array, action: int) -> None:
    seat = to_move(position)
    cell = action // 12
    target = cell + _step(board, action // 2 % 6)
    position[1 + seat] ^= bit(cell) | bit(target)
    position[2 - seat] &= ~bit(target)
    home = target >= (board[0] - 1) * board[1] if seat == 0 else target < board[1]
    position[0] = WON + seat if home or position[2 - seat] == ZERO else 1 - seat


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    if not 0 <= action < board[0] * board[1] * 12:
        return False
    seat, direction, leaves = to_move(position), action // 2 % 6, bit(action // 12)
    own, other = position[1 + seat], position[2 - seat]
    if direction // 3 != seat or _movable(board, own, other, direction) & leaves == ZERO:
        return False
    return (_leading_to(other, _step(board, direction)) & leaves != ZERO) == (action % 2 == 1)


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    seat, found = to_move(position), 0
    own, other, first = position[1 + seat], position[2 - seat], 3 * seat
    back = _movable(board, own, other, first)
    ahead = _movable(board, own, other, first + 1)
    on = _movable(board, own, other, first + 2)
    takes_back = _leading_to(other, _step(board, first))
    takes_on = _leading_to(other, _step(board, first + 2))
    stones = back | ahead | on
    while stones != ZERO:
        cell = lowest(stones)
        here = bit(cell)
        stones ^= here
        action = (cell * 6 + first) * 2
        if back & here != ZERO:
            actions[found] = action + (takes_back & here != ZERO)
            found += 1
        if ahead & here != ZERO:
            actions[found] = action + 2
            found += 1
        if on & here != ZERO:
            actions[found] = action + 4 + (takes_on & here != ZERO)
            found += 1
    return found


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    seat = to_move(position)
    own, other, first = position[1 + seat], position[2 - seat], 3 * seat
    back, ahead = _movable(board, own, other, first), _movable(board, own, other, first + 1)
    on = _movable(board, own, other, first + 2)
    straight, slanted = count(back), count(back) + count(ahead)
    rank = below(streams, row, slanted + count(on))
    if rank < straight:
        cell, direction = select(back, rank), first
    elif rank < slanted:
        return (select(ahead, rank - straight) * 6 + first + 1) * 2
    else:
        cell, direction = select(on, rank - slanted), first + 2
    takes = other & bit(cell + _step(board, direction)) != ZERO
    return (cell * 6 + direction) * 2 + takes


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Black, white, empty, whoever looks."""
    cells = board[0] * board[1]
    write_plane(position[1], planes[:cells])
    write_plane(position[2], planes[cells : 2 * cells])
    for cell in range(cells):
        if (position[1] | position[2]) & bit(cell) == ZERO:
            planes[2 * cells + cell] = 1.0


@rule
def estimate(board: Array, position: Array) -> int:
    """Pieces."""
    seat = to_move(position)
    return 20 * (count(position[1 + seat]) - count(position[2 - seat]))

"""Tic-tac-toe. Words: status, crosses, noughts; cell and action are row * 3 + column."""

from __future__ import annotations

import numpy as np

from envs.api import Array
from envs.games import symmetries
from envs.games.rules import (
    DRAWN,
    WON,
    ZERO,
    Grid,
    Parameters,
    Rules,
    bit,
    random_bit,
    read,
    rule,
    set_bits,
    start,
    to_move,
    two_player,
    write_plane,
)

FULL = np.uint64(0o777)
LINES = np.array([0o700, 0o070, 0o007, 0o444, 0o222, 0o111, 0o421, 0o124], np.uint64)


def rules(name: str, parameters: Parameters) -> Rules:
    read(name, parameters, {})
    spec, board = two_player(name, 9, (3, 3, 3), 9), np.zeros(0, np.int64)
    grid = Grid(3, 3, first=(2,), second=(1,), style="marks", players=("x", "o"))
    return Rules(spec, board, start(0, 0), grid=grid, symmetries=symmetries.square(3))


@rule
def play(board: Array, position: Array, action: int) -> None:
    seat = to_move(position)
    stones = position[1 + seat] | bit(action)
    position[1 + seat] = stones
    position[0] = 1 - seat
    if position[1] | position[2] == FULL:
        position[0] = DRAWN
    for line in LINES:
        if stones & line == line:
            position[0] = WON + seat


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    return 0 <= action < 9 and (position[1] | position[2]) & bit(action) == ZERO


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    return set_bits(FULL & ~(position[1] | position[2]), 0, actions, 0)


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    return random_bit(FULL & ~(position[1] | position[2]), streams, row)


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Empty, noughts, crosses, whoever looks."""
    write_plane(FULL & ~(position[1] | position[2]), planes[0:9])
    write_plane(position[2], planes[9:18])
    write_plane(position[1], planes[18:27])

"""Kuhn poker for two seats: three cards, an ante of one chip, one bet of one chip.

Words: status, the card of each seat + 1 (0: not dealt yet), how many moves were made, which of them were bets (bit i:
move i). Cards 0 to 2 rise in rank. Action 0 is to pass (check, fold), 1 to bet (or call).
"""

from __future__ import annotations

import numpy as np

from envs.api import Array, GameSpec, Positions
from envs.games.rules import (
    LUCK,
    ONE,
    WON,
    ZERO,
    Parameters,
    Rules,
    below,
    bit,
    read,
    rule,
    to_move,
)

MOVES, BETS = 3, 4  # words
CARDS = 3


def rules(name: str, parameters: Parameters) -> Rules | None:
    """None: for more than two seats."""
    (players,) = read(name, parameters, {"players": 2})
    if players != 2:
        return None
    spec = GameSpec(name, 2, CARDS, (7,), 3, zero_sum=True, chance=True, perfect_information=False)
    start = np.array([LUCK, 0, 0, 0, 0], np.uint64)
    return Rules(spec, np.zeros(0, np.int64), start, information_state, information_tensor)


@rule
def play(board: Array, position: Array, action: int) -> None:
    if position[0] == LUCK:
        if position[1] == ZERO:
            position[1] = action + 1
        else:
            position[2] = action + 1
            position[0] = ZERO
        return
    seat = to_move(position)
    facing = position[BETS] != ZERO  # a bet
    if action == 1:
        position[BETS] |= bit(position[MOVES])
    position[MOVES] += ONE
    if facing and action == 0:
        position[0] = WON + 1 - seat
    elif facing or (action == 0 and seat == 1):
        position[0] = WON if position[1] > position[2] else WON + 1
    else:
        position[0] = 1 - seat


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    if position[0] == LUCK:
        return 0 <= action < CARDS and position[1] != np.uint64(action + 1)
    return 0 <= action < 2


@rule
def legal_into(board: Array, position: Array, actions: Array) -> int:
    found = 0
    for action in range(CARDS):
        if is_legal(board, position, action):
            actions[found] = action
            found += 1
    return found


@rule
def random_action(board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    return actions[below(streams, row, legal_into(board, position, actions))]


@rule
def stake(board: Array, position: Array, seat: int) -> int:
    """What a seat has put in: the ante and its bet. Seat 0 makes the moves 0 and 2, seat 1 move 1."""
    own = np.uint64(0b101) if seat == 0 else np.uint64(0b010)
    return 2 if position[BETS] & own != ZERO else 1


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Who looks, its card, what each seat has put in."""
    planes[seat] = 1.0
    if position[1 + seat] != ZERO:
        planes[1 + np.int64(position[1 + seat])] = 1.0
    planes[5] = stake(board, position, 0)
    planes[6] = stake(board, position, 1)


def information_state(position: Array, seat: int) -> str:
    """OpenSpiel's: one's own card, then p for each pass and b for each bet."""
    _, *cards, moves, bets = position.tolist()
    if not cards[seat]:
        return ""
    return f"{cards[seat] - 1}" + "".join("b" if bets >> move & 1 else "p" for move in range(moves))


def information_tensor(positions: Positions, seats: Array) -> Array:
    """[n, 11] OpenSpiel's: who looks, its card, for each of three moves whether it was a pass or a bet."""
    known, rows = np.zeros((len(positions), 11), np.float32), np.arange(len(positions))
    known[rows, seats] = 1.0
    card = positions[rows, 1 + seats].astype(np.int64)
    known[rows[card > 0], 1 + card[card > 0]] = 1.0
    for move in range(3):
        made = np.flatnonzero(positions[:, MOVES] > move)
        bet = positions[made, BETS].astype(np.int64) >> move & 1
        known[made, 5 + 2 * move + bet] = 1.0
    return known

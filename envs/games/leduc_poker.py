"""Leduc poker for two seats: six cards of three ranks, an ante of one chip, bets before and after a public card.

Words: status, the card of each seat + 1, the public card + 1 (0: not dealt yet), the moves of the two rounds, the chips
that each seat has put in. Moves are two bits each, action + 1, the first lowest. Card c has rank c // 2. Actions: 0
fold, 1 call or check, 2 raise by 2 chips in the first round and by 4 in the second; two raises a round.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.api import Array, GameSpec, Positions
from envs.games.rules import (
    DRAWN,
    LUCK,
    WON,
    ZERO,
    Parameters,
    Rules,
    below,
    read,
    rule,
    to_move,
)

PUBLIC, ROUND, CHIPS = 3, 4, 6  # words
CARDS, STACK = 6, 100
FOLD, CALL, RAISE = range(3)


def rules(name: str, parameters: Parameters) -> Rules | None:
    """None: for more than two seats, and OpenSpiel's variants."""
    defaults = {"players": 2, "action_mapping": False, "suit_isomorphism": False, "starting_player": 0}
    if read(name, parameters, defaults) != list(defaults.values()):
        return None
    spec = GameSpec(name, 2, CARDS, (16,), 8, zero_sum=True, chance=True, perfect_information=False)
    start = np.array([LUCK, 0, 0, 0, 0, 0, 1, 1], np.uint64)
    return Rules(spec, np.zeros(0, np.int64), start, information_state, information_tensor)


@rule
def play(board: Array, position: Array, action: int) -> None:
    if position[0] == LUCK:
        _deal(position, action)
        return
    seat, second = to_move(position), position[PUBLIC] != ZERO
    moves, _ = _round(position)
    position[ROUND + second] |= np.uint64(action + 1) << np.uint64(2 * moves)
    if action == FOLD:
        position[0] = WON + 1 - seat
        return
    more = 0 if action == CALL else 4 if second else 2
    position[CHIPS + seat] = position[CHIPS + 1 - seat] + np.uint64(more)
    if action == RAISE or moves == 0:
        position[0] = 1 - seat
    elif second:
        position[0] = _showdown(position)
    else:
        position[0] = LUCK


@rule
def _deal(position: Array, card: int) -> None:
    word = 1
    while position[word] != ZERO:
        word += 1
    position[word] = card + 1
    if word > 1:
        position[0] = ZERO


@rule
def _round(position: Array) -> tuple[int, int]:
    """How many moves were made in this round of bets, and how many of them were raises."""
    moves, raises = 0, 0
    played = position[ROUND + (position[PUBLIC] != ZERO)]
    while played != ZERO:
        moves += 1
        raises += played & np.uint64(3) == np.uint64(RAISE + 1)
        played >>= np.uint64(2)
    return moves, raises


@rule
def _showdown(position: Array) -> int:
    """The last status: a pair with the public card wins, then the higher rank."""
    first, second = (np.int64(position[1]) - 1) // 2, (np.int64(position[2]) - 1) // 2
    if first == second:
        return DRAWN
    public = (np.int64(position[PUBLIC]) - 1) // 2
    return WON if first == public or (first > second and second != public) else WON + 1


@rule
def is_legal(board: Array, position: Array, action: int) -> bool:
    if position[0] == LUCK:
        card = np.uint64(action + 1)
        return 0 <= action < CARDS and position[1] != card and position[2] != card
    if action == FOLD:
        seat = to_move(position)
        return position[CHIPS + seat] < position[CHIPS + 1 - seat]
    return action == CALL or (action == RAISE and _round(position)[1] < 2)


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
def stake(board: Array, position: Array, seat: int) -> Any:
    """What a seat has put in."""
    return np.int64(position[CHIPS + seat])


@rule
def observe_into(board: Array, position: Array, seat: int, planes: Array) -> None:
    """Who looks, its card, the public card, what each seat has put in."""
    planes[seat] = 1.0
    if position[1 + seat] != ZERO:
        planes[1 + np.int64(position[1 + seat])] = 1.0
    if position[PUBLIC] != ZERO:
        planes[1 + CARDS + np.int64(position[PUBLIC])] = 1.0
    planes[14] = position[CHIPS]
    planes[15] = position[CHIPS + 1]


def information_state(position: Array, seat: int) -> str:
    """OpenSpiel's, with its own words for a card that is not dealt, and for who moves: after the end who moved last."""
    status, *cards, public, first, second, one, two = position.tolist()
    rounds = [_moves(first), _moves(second)]
    mover, pot, money = status, one + two, [STACK - one, STACK - two]
    if status == LUCK:
        mover = -1
    elif status >= WON:
        mover = (len(rounds[public > 0]) - 1) % 2
        won = pot // 2 if status == DRAWN else pot
        money = [left + won * (status in (DRAWN, WON + index)) for index, left in enumerate(money)]
        pot = 0
    parts = [f"Observer: {seat}", f"Private: {cards[seat] - 1 if cards[seat] else -10000}"]
    dealing = status == LUCK and first > 0  # the public card
    parts += [f"Round {1 + (dealing or public > 0)}", f"Player: {mover}"]
    parts += [f"Pot: {pot}", f"Money: {money[0]} {money[1]}"]
    parts += [f"Public: {public - 1}"] if public else []
    parts += [f"Round{number}: {' '.join(map(str, moves))}" for number, moves in enumerate(rounds, 1)]
    return "".join(f"[{part}]" for part in parts)


def _moves(played: int) -> list[int]:
    """The actions of a round."""
    moves = []
    while played:
        moves.append((played & 3) - 1)
        played >>= 2
    return moves


def information_tensor(positions: Positions, seats: Array) -> Array:
    """[n, 30] OpenSpiel's: who looks, its card, the public card, for each of 2 x 4 moves: a call or a raise."""
    known, rows = np.zeros((len(positions), 30), np.float32), np.arange(len(positions))
    known[rows, seats] = 1.0
    for word, before in ((1 + seats, 1), (PUBLIC, 1 + CARDS)):
        card = positions[rows, word].astype(np.int64)
        known[rows[card > 0], before + card[card > 0]] = 1.0
    for number in range(2):
        for move in range(4):
            action = (positions[:, ROUND + number].astype(np.int64) >> 2 * move & 3) - 1
            made = np.flatnonzero(action >= CALL)
            known[made, 14 + 8 * number + 2 * move + action[made] - CALL] = 1.0
    return known

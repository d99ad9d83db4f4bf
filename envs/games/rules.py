"""What a native game is made of, and the one calling convention of its kernels.

A position is a row, uint64 [W]. Word 0 is the status: 0 or 1 is the seat to move, 2 + seat says that this seat has won,
4 is a draw, 5 that chance is to move. The other words belong to the game. `board` is an int64 vector of what a size of
the game fixes. A game is a name in NATIVE and the file of this name, with a function `rules(name, parameters) -> Rules`
and kernels for one position that is not over:

    play(board, position, action)                          play a legal action, or an outcome of chance; set the status
    is_legal(board, position, action) -> bool              of any integer
    legal_into(board, position, actions) -> n              write the n legal actions, ascending; actions is int64 [A]
    random_action(board, position, actions, streams, row)  one of them, each as likely; `actions` is room to list them
    observe_into(board, position, seat, planes)            write what is not zero; planes is float32, flat, all zeros

Where a game is not about 1 there is one more, for a position in which somebody has won, and where a rule of thumb is
known another one, for those who can't look to the end:

    stake(board, position, seat)                           what the loser has lost; `seat` is the loser
    estimate(board, position)                              the mover's value, between -1000 and 1000

`native` has the same with the `kind` of a game in front, for compiled code that plays any of them. Kernels trust their
caller: what Game promises beside them (refused actions, all-False masks after the end) is said once, in `native`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np

from envs.api import Array, GameSpec, Positions, Symmetry
from envs.compiled import INLINED, compiler
from envs.names import Parameters as Parameters  # of a native game

WON, DRAWN, LUCK = 2, 4, 5  # a status below WON is the seat to move, from WON to DRAWN the game is over
NATIVE = (  # the files of the games; a name's place here is the kind of its game
    "tic_tac_toe",
    "connect_four",
    "othello",
    "hex",
    "breakthrough",
    "kuhn_poker",
    "leduc_poker",
    "go",
)
SIDE = 100  # of a board, at most
ZERO, ONE = np.uint64(0), np.uint64(1)  # numba makes a float of a uint64 and a signed integer: keep to these
_SOURCES = sorted(Path(__file__).parent.glob("*.py"))

kernel = compiler(_SOURCES)
rule = compiler(_SOURCES, **INLINED)

Bits = Any  # a uint64 in compiled code, which has no Python type


class Grid(NamedTuple):
    """Where the stones are in an observation as seat 1 sees it, for those who draw a board.

    An observation is planes of rows * columns cells, whatever the spec calls its axes.
    """

    rows: int
    columns: int
    first: tuple[int, ...]  # planes with a one where seat 0 has a stone
    second: tuple[int, ...]  # ... seat 1
    upwards: bool = False  # row 0 is drawn at the bottom
    counts_up: bool = False  # rank 1 is drawn at the bottom
    slanted: bool = False  # each row is drawn half a cell further to the right than the one above it
    letters: str = ascii_lowercase  # of the files
    style: str = "stones"  # how a page paints it
    players: tuple[str, str] = ("black", "white")  # what they are called
    clicked: str = "cell"  # where an action puts a stone; "column": into which one; "step": from and to which cell


class Rules(NamedTuple):
    """A game of one size: `start` [W] uint64 is the first position, `board` the constants of its kernels.

    Where a seat doesn't know the position, `information_state(position, seat)` is the key of what it knows, and
    `information_tensor(positions, seats)` float32 [n, F] the same for networks. `grid` is absent where there is
    no board, `symmetries` where none is known.
    """

    spec: GameSpec
    board: Array
    start: Array
    information_state: Callable[[Array, int], str] | None = None
    information_tensor: Callable[[Positions, Array], Array] | None = None
    grid: Grid | None = None
    symmetries: Sequence[Symmetry] = ()

    @property
    def kind(self) -> int:
        """The number by which compiled code chooses the kernels of the game."""
        return NATIVE.index(self.spec.name.partition("(")[0])


@rule
def count(bits: Bits) -> Any:
    """How many bits of a uint64 are set. LLVM knows this form and makes one instruction of it."""
    bits = bits - ((bits >> ONE) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@rule
def lowest(bits: Bits) -> Any:
    """The index of the lowest bit of a uint64 that is not 0."""
    return count((bits & (~bits + ONE)) - ONE)


@rule
def select(bits: Bits, rank: int) -> Any:
    """The index of the set bit that has `rank` set bits below it. There must be one.

    Vigna, Broadword implementation of rank/select queries, 2008: first the byte, then the bit in it, without a loop.
    """
    ones, tops, eight = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080), np.uint64(8)
    sums = bits - ((bits >> ONE) & np.uint64(0x5555555555555555))
    sums = (sums & np.uint64(0x3333333333333333)) + ((sums >> np.uint64(2)) & np.uint64(0x3333333333333333))
    sums = ((sums + (sums >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)) * ones  # of each byte and all below
    wanted = np.uint64(rank)
    below_it = ((((wanted * ones | tops) - sums) & tops) >> np.uint64(7)) * ones >> np.uint64(56)  # bytes
    place = below_it * eight
    wanted -= ((sums << eight) >> place) & np.uint64(0xFF)
    spread = ((bits >> place) & np.uint64(0xFF)) * ones & np.uint64(0x8040201008040201)  # bit i of it, in byte i
    sums = (((spread | ((spread | tops) - ones)) & tops) >> np.uint64(7)) * ones
    return np.int64(place + (((((wanted * ones | tops) - sums) & tops) >> np.uint64(7)) * ones >> np.uint64(56)))


@rule
def bit(index: int) -> Bits:
    """The uint64 with just this bit."""
    return ONE << np.uint64(index)


@rule
def below(streams: Array, row: int, n: int) -> Any:
    """A number from 0 to n - 1, the next of the stream of `row`: splitmix64, Steele, Lea, Flood 2014.

    `streams` uint64 [rows] are the states, any numbers. https://doi.org/10.1145/2660193.2660195
    """
    streams[row] += np.uint64(0x9E3779B97F4A7C15)
    word = streams[row]
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return np.int64(((word >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@rule
def is_over(position: Array) -> bool:
    """Whether nobody moves any more, neither a seat nor chance."""
    return WON <= position[0] <= DRAWN


@rule
def to_move(position: Array) -> Any:
    """The seat to move in a position that is not over."""
    return np.int64(position[0])


@rule
def set_bits(bits: Bits, first: int, actions: Array, found: int) -> int:
    """Write `first` + the indices of the bits that are set, lowest first, after `found` others; return how many now."""
    while bits != ZERO:
        actions[found] = first + lowest(bits)
        bits &= bits - ONE
        found += 1
    return found


@rule
def random_bit(bits: Bits, streams: Array, row: int) -> Any:
    """The index of a set bit, each as likely as the others."""
    return select(bits, below(streams, row, count(bits)))


@rule
def write_plane(bits: Bits, plane: Array) -> None:
    """Write a one where a bit is set."""
    while bits != ZERO:
        plane[lowest(bits)] = 1.0
        bits &= bits - ONE


def two_player(name: str, actions: int, obs_shape: tuple[int, ...], max_length: int, version: int = 1) -> GameSpec:
    """The spec that all native games share: two seats, all seen, no luck, what one wins the other loses."""
    return GameSpec(
        name,
        2,
        actions,
        obs_shape,
        max_length,
        zero_sum=True,
        chance=False,
        perfect_information=True,
        utility=(-1.0, 1.0),
        version=version,
    )


def start(*words: int) -> Array:
    """A first position in which seat 0 is to move."""
    return np.array([0, *words], np.uint64)


def read(
    name: str,
    given: Parameters,
    defaults: Mapping[str, int | float | bool | str],
    limits: Mapping[str, tuple[int, int]] | None = None,
) -> list[Any]:
    """The parameters of a game in the order of `defaults`. Numbers are from 0 to SIDE, or within limits of their own.

    Raises ValueError for an unknown parameter, another type, or a number outside.
    """
    for key, value in given.items():
        if key not in defaults:
            raise ValueError(f"{name}: unknown parameter {key!r}, known are {', '.join(defaults) or 'none'}")
        if type(value) is not type(defaults[key]):
            raise ValueError(f"{name}: {key} is {value!r}, expected {type(defaults[key]).__name__}")
        least, most = (limits or {}).get(key, (0, SIDE))
        if isinstance(value, int | float) and not least <= value <= most:
            raise ValueError(f"{name}: {key} is {value}, expected {least} to {most}")
    return [given.get(key, default) for key, default in defaults.items()]

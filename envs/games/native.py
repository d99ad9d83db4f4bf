"""Native games as `envs.api.Game`: one class for all, and kernels that play any of them by the number of its kind.

Other compiled code (rollouts of a search) calls `play`, `legal_into` and `observe_into` of this file on single rows, by
the convention in `envs.games.rules`. A number chooses the game because numba can't cache code that is given functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numba import njit

from envs.api import CHANCE, TERMINAL, Array, IllegalAction, Positions, Symmetry
from envs.games.drawing import board_picture, board_text
from envs.games.rules import DRAWN, LUCK, NATIVE, WON, Grid, Rules, is_over, kernel, rule
from envs.games.symmetries import identity

GAMES = {name: import_module(f"envs.games.{name}") for name in NATIVE}  # in the order of their kinds


def _of_any(name: str, otherwise: Any = None) -> Any:
    """The kernel of this name of any game: `_of_any("play")(kind, arguments)` is `play(*arguments)` of that kind.

    `otherwise` is the kernel of the games that have none of this name.
    """
    return _choice([getattr(game, name, otherwise) for game in GAMES.values()], 0)


def _choice(kernels: Sequence[Any], first: int) -> Any:
    """Call one of the kernels of the kinds from `first` on: `kind` is below the middle one or not, and so on by halves.

    Numba writes these ifs into the kernel that asks. So they are compiled with that one, and cached with it. By halves,
    because ifs that are written into one another forty deep are too much for it.
    """
    only, half = kernels[0], len(kernels) // 2
    if half == 0:
        return njit(inline="always")(lambda kind, arguments: only(*arguments))
    middle, lower, upper = first + half, _choice(kernels[:half], first), _choice(kernels[half:], first + half)

    def choose(kind: int, arguments: tuple[Any, ...]) -> Any:
        if kind < middle:
            return lower(kind, arguments)
        return upper(kind, arguments)

    return njit(inline="always")(choose)


@rule
def _one(board: Array, position: Array, seat: int) -> int:
    """The stake of games that have no other."""
    return 1


@rule
def _nothing(board: Array, position: Array) -> int:
    """The estimate of games without a rule of thumb."""
    return 0


_play, _is_legal, _legal_into = _of_any("play"), _of_any("is_legal"), _of_any("legal_into")
_random_action, _observe_into = _of_any("random_action"), _of_any("observe_into")
_stake, _estimate = _of_any("stake", _one), _of_any("estimate", _nothing)


@rule
def play(kind: int, board: Array, position: Array, action: int) -> None:
    """Play a legal action in a position that is not over, in place."""
    _play(kind, (board, position, action))


@rule
def estimate(kind: int, board: Array, position: Array) -> Any:
    """A rule of thumb for the mover's value, between -1000 and 1000; 0 where none is known."""
    return _estimate(kind, (board, position))


@rule
def is_legal(kind: int, board: Array, position: Array, action: int) -> bool:
    """Whether any integer is a legal action; none is after the end."""
    return not is_over(position) and _is_legal(kind, (board, position, action))


@rule
def legal_into(kind: int, board: Array, position: Array, actions: Array) -> int:
    """Write the legal actions, ascending, and return how many; none after the end. `actions` is int64 [A].

    Where chance moves (status LUCK) these are its outcomes, each as likely as the others in all native games.
    """
    if is_over(position):
        return 0
    return _legal_into(kind, (board, position, actions))


@rule
def random_action(kind: int, board: Array, position: Array, actions: Array, streams: Array, row: int) -> int:
    """A legal action, each as likely as the others, in a position that is not over: also an outcome of chance.

    `actions` is int64 [A], to write in; `streams` and `row` as in `rules.below`.
    """
    return _random_action(kind, (board, position, actions, streams, row))


@rule
def observe_into(kind: int, board: Array, position: Array, seat: int, planes: Array) -> None:
    """Write the ones of what `seat` sees into `planes`, flat float32 zeros."""
    _observe_into(kind, (board, position, seat, planes))


@rule
def payoff(kind: int, board: Array, position: Array) -> float:
    """What seat 0 has won when the game is over, else 0. Seat 1 has lost as much: native games sum to zero."""
    if not is_over(position) or position[0] == DRAWN:
        return 0.0
    sign, loser = (1.0, 1) if position[0] == WON else (-1.0, 0)
    return sign * _stake(kind, (board, position, loser))


@kernel
def _step(kind: int, board: Array, positions: Array, actions: Array) -> int:
    """Play in every row in place. Returns the first row whose action is not legal, or -1."""
    for row in range(len(positions)):
        if not is_legal(kind, board, positions[row], actions[row]):
            return row
        play(kind, board, positions[row], actions[row])
    return -1


@kernel
def _legal(kind: int, board: Array, positions: Array, mask: Array) -> None:
    actions = np.empty(mask.shape[1], np.int64)
    for row in range(len(positions)):
        for index in range(legal_into(kind, board, positions[row], actions)):
            mask[row, actions[index]] = True


@kernel
def _chance(kind: int, board: Array, positions: Array, probabilities: Array) -> None:
    actions = np.empty(probabilities.shape[1], np.int64)
    for row in range(len(positions)):
        if positions[row, 0] == LUCK:
            outcomes = legal_into(kind, board, positions[row], actions)
            for index in range(outcomes):
                probabilities[row, actions[index]] = 1.0 / outcomes


@kernel
def _returns(kind: int, board: Array, positions: Array, returns: Array) -> None:
    for row in range(len(positions)):
        returns[row, 0] = payoff(kind, board, positions[row])
        returns[row, 1] = -returns[row, 0]


@kernel
def _observe(kind: int, board: Array, positions: Array, seats: Array, planes: Array) -> None:
    for row in range(len(positions)):
        observe_into(kind, board, positions[row], seats[row], planes[row])


class NativeGame:
    """The rules of a native game for many positions at once (`envs.api.Game`); positions are uint64 [n, W].

    Where chance moves and after the end `observe` and `information_state` are seat 0's, unless told another seat.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules, self.spec = rules, rules.spec

    def initial(self, n: int) -> Positions:
        return np.tile(self.rules.start, (n, 1))

    def step(self, positions: Positions, actions: Array) -> Positions:
        """Raises IllegalAction, which names the row, for an action that is not legal and after the end."""
        chosen = np.asarray(actions)
        if chosen.shape != (len(positions),) or chosen.dtype.kind not in "iu":
            wanted = f"{self.spec.name} takes one integer for each of {len(positions)} positions"
            raise ValueError(f"{wanted}, not {chosen.dtype} {list(chosen.shape)}")
        following = positions.copy()
        row = _step(self.rules.kind, self.rules.board, following, chosen.astype(np.int64))
        if row >= 0:
            raise self._illegal(positions, chosen, row)
        return following

    def seat(self, positions: Positions) -> Array:
        status = positions[:, 0].astype(np.int64)
        return np.where(status < WON, status, np.where(status == LUCK, CHANCE, TERMINAL))

    def legal(self, positions: Positions) -> Array:
        mask = np.zeros((len(positions), self.spec.actions), bool)
        _legal(self.rules.kind, self.rules.board, np.ascontiguousarray(positions), mask)
        return mask

    def chance(self, positions: Positions) -> Array:
        probabilities = np.zeros((len(positions), self.spec.actions))
        if self.spec.chance:
            _chance(self.rules.kind, self.rules.board, np.ascontiguousarray(positions), probabilities)
        return probabilities

    def returns(self, positions: Positions) -> Array:
        returns = np.zeros((len(positions), 2))
        _returns(self.rules.kind, self.rules.board, np.ascontiguousarray(positions), returns)
        return returns

    def observe(self, positions: Positions, seat: Array | None = None) -> Array:
        planes = np.zeros((len(positions), *self.spec.obs_shape), np.float32)
        flat = planes.reshape(len(positions), int(np.prod(self.spec.obs_shape)))
        seats = self._looking(positions, seat)
        _observe(self.rules.kind, self.rules.board, np.ascontiguousarray(positions), seats, flat)
        return planes

    def information_state(self, positions: Positions, seat: Array | None = None) -> list[str]:
        """OpenSpiel's string where cards are hidden; else the position itself, which everybody sees."""
        seats = self._looking(positions, seat).tolist()
        known = self.rules.information_state
        if known is None:
            return [position.tobytes().hex() for position in positions]
        return [known(position, looks) for position, looks in zip(positions, seats, strict=True)]

    def information_tensor(self, positions: Positions, seat: Array | None = None) -> Array:
        """OpenSpiel's tensor where cards are hidden; else what is seen, flat."""
        known = self.rules.information_tensor
        if known is None:
            return self.observe(positions, seat).reshape(len(positions), int(np.prod(self.spec.obs_shape)))
        return known(positions, self._looking(positions, seat))

    def symmetries(self) -> list[Symmetry]:
        same = list(self.rules.symmetries)
        return same or [identity(int(np.prod(self.spec.obs_shape)), self.spec.actions)]

    def cells(self, positions: Positions) -> Array:
        """int8 [n, rows, columns] as the eye sees it, the top row first: 0 empty, 1 seat 0's, 2 seat 1's.

        Raises ValueError where there is no board.
        """
        grid = self._grid()
        seen = self.observe(positions, np.ones(len(positions), np.int64))
        seen = seen.reshape(len(positions), -1, grid.rows, grid.columns)
        cells = np.where(seen[:, grid.first].any(1), 1, np.where(seen[:, grid.second].any(1), 2, 0)).astype(np.int8)
        return cells[:, ::-1] if grid.upwards else cells

    def text(self, positions: Positions, seat: Array | None = None) -> list[str]:
        """The board, x for seat 0 and o for seat 1; where cards are hidden, what `seat` knows."""
        if self.rules.grid is None:
            return self.information_state(positions, seat)
        return [board_text(self.rules.grid, cells) for cells in self.cells(positions)]

    def picture(self, positions: Positions) -> Array:
        grid = self._grid()
        return np.stack([board_picture(grid, cells) for cells in self.cells(positions)])

    def _grid(self) -> Grid:
        if self.rules.grid is None:
            raise ValueError(f"{self.spec.name} has no board to draw: `text` tells what a seat sees")
        return self.rules.grid

    def _looking(self, positions: Positions, seat: Array | None) -> Array:
        seats = np.maximum(self.seat(positions), 0) if seat is None else np.asarray(seat, np.int64)
        if seats.shape != (len(positions),) or ((seats < 0) | (seats > 1)).any():
            wanted = f"one of the seats 0 and 1 for each of {len(positions)} positions"
            raise ValueError(f"{self.spec.name}: expected {wanted}, found {seats}")
        return np.ascontiguousarray(seats)

    def _illegal(self, positions: Positions, actions: Array, row: int) -> IllegalAction:
        if is_over(positions[row]):
            return IllegalAction(f"{self.spec.name}, row {row}: action {actions[row]} after the end of the game")
        legal = np.flatnonzero(self.legal(positions[row : row + 1])).tolist()
        return IllegalAction(f"{self.spec.name}, row {row}: action {actions[row]} is not legal, legal are {legal}")

"""How often a player errs, in positions whose every move has a known value.

    graded = load("connect_four_early", game)
    error_rate(player, graded, rng)        # ErrorRate(rate=0.034, interval=(0.021, 0.054), ...)

A mistake is a move with a strictly worse outcome than the best one: a draw or a loss where there was a win, a loss
where there was a draw. Winning more slowly than possible is none. `scripts/positions.py` writes the sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agents.api import Player, fresh
from agents.arena.estimates import Interval, wilson
from agents.solvers.connect_four_solver import ILLEGAL, ConnectFourSolver
from envs.api import Array, Game, Positions

HOME = Path(__file__).parent / "positions"
OUTCOMES = {"-": -1, "=": 0, "+": 1, ".": ILLEGAL}
SIGNS = {outcome: sign for sign, outcome in OUTCOMES.items()}
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # actions, one letter each
CANDIDATES = 2048  # games begun at once when positions are looked for
PATIENCE = 20  # times that so many games may bring no position of use


class Graded(NamedTuple):
    """n positions, none of them over, and what each move is worth to the mover."""

    positions: Positions
    values: Array  # [n, A] int64: 1 wins, 0 draws, -1 loses, ILLEGAL

    @property
    def outcome(self) -> Array:
        """[n] what the mover gets by best play."""
        best: Array = self.values.max(1)
        return best

    @property
    def contested(self) -> Array:
        """[n] bool: a mistake is possible."""
        worse = (self.values > ILLEGAL) & (self.values < self.outcome[:, None])
        return np.asarray(worse.any(1))


class ErrorRate(NamedTuple):
    rate: float  # mistakes / positions
    interval: Interval  # 95 %, Wilson
    mistakes: int
    positions: int
    contested: int  # positions in which a mistake was possible
    wins_lost: int  # mistakes that let a win go, for a draw or a loss


class Line(NamedTuple):
    """A position as the moves that lead to it, and the values of the moves there."""

    moves: list[int]
    values: list[int]


def error_rate(player: Player, graded: Graded, rng: np.random.Generator) -> ErrorRate:
    """Let a player move once in each position. Raises ValueError if it chooses an illegal action."""
    actions = fresh(player, graded.positions, rng)
    chosen = graded.values[np.arange(len(actions)), actions]
    if (chosen == ILLEGAL).any():
        row = int((chosen == ILLEGAL).argmax())
        raise ValueError(f"{player.name} chose the illegal action {actions[row]} in position {row}")
    mistaken = chosen < graded.outcome
    mistakes, n = int(mistaken.sum()), len(actions)
    wins_lost = int((mistaken & (graded.outcome == 1)).sum())
    return ErrorRate(mistakes / n, wilson(mistakes, n), mistakes, n, int(graded.contested.sum()), wins_lost)


def load(name: str, game: Game) -> Graded:
    """A set that comes with the package. Raises ValueError for an unknown one, or one of another game."""
    file = HOME / f"{name}.txt"
    if not file.exists():
        known = ", ".join(sorted(file.stem for file in HOME.glob("*.txt")))
        raise ValueError(f"no set of positions {name!r}, known are {known}")
    return replay(game, read(file.read_text(encoding="ascii")))


def read(text: str) -> list[Line]:
    """Lines such as `3342 +=-.==-`: the moves from the start, and a sign for the value of each move of the mover."""
    lines = []
    for line in filter(lambda line: line and not line.startswith("#"), text.splitlines()):
        moves, values = line.split(" ")
        lines.append(Line([DIGITS.index(move) for move in moves], [OUTCOMES[sign] for sign in values]))
    return lines


def write(lines: Sequence[Line], about: Sequence[str]) -> str:
    """What `read` reads, below lines that say what it is."""
    written = [
        f"{''.join(DIGITS[move] for move in moves)} {''.join(SIGNS[value] for value in values)}"
        for moves, values in lines
    ]
    return "\n".join([*(f"# {line}" for line in about), *written, ""])


def replay(game: Game, lines: Sequence[Line]) -> Graded:
    """The positions of lines. Raises ValueError where a line is not one of this game."""
    values = np.array([line.values for line in lines])
    positions = [_play(game, line.moves) for line in lines]
    graded = Graded(np.concatenate(positions), values)
    if values.shape[1] != game.spec.actions or ((values != ILLEGAL) != game.legal(graded.positions)).any():
        raise ValueError(f"these are not positions of {game.spec.name}: other moves are legal")
    return graded


def mirrored(line: Line) -> Line:
    """The same on a board whose columns run the other way."""
    return Line([len(line.values) - 1 - move for move in line.moves], line.values[::-1])


def _play(game: Game, moves: Sequence[int]) -> Positions:
    position = game.initial(1)
    for move in moves:
        position = game.step(position, np.array([move]))
    return position


# Making a set ---------------------------------------------------------------------------------------------------------


def compose(solver: ConnectFourSolver, plies: range, counts: dict[int, int], rng: np.random.Generator) -> list[Line]:
    """Draw positions of `plies` moves in equal parts, as many of each outcome (1, 0, -1) as `counts` says.

    They come up in random games in which nobody overlooks a win or a threat of the next move, so that neither does the
    mover have an immediate win. Won and drawn ones are taken only if some move gives the result away. No position comes
    twice, nor its mirror image. Raises ValueError if there seem to be too few.
    """
    lines, seen = list[Line](), set[bytes]()
    for at, ply in enumerate(plies):
        wanted = Counter({outcome: _share(count, at, len(plies)) for outcome, count in counts.items()})
        lines += _drawn(solver, ply, wanted, seen, rng)
    return lines


def _drawn(
    solver: ConnectFourSolver, ply: int, wanted: Counter[int], seen: set[bytes], rng: np.random.Generator
) -> list[Line]:
    """As many lines of each outcome as are wanted. Both arguments are brought up to date."""
    found, patience = list[Line](), PATIENCE
    while wanted.total():
        if not patience:
            named = solver.game.spec.name
            raise ValueError(f"{named} has too few positions after {ply} moves: no more of {dict(+wanted)}")
        patience -= 1
        for moves in _sensible_games(solver.game, ply, rng):
            line = _of_use(solver, moves, wanted, seen)
            if line is not None:
                found.append(line)
                wanted[max(line.values)] -= 1
                seen |= {_play(solver.game, same.moves).tobytes() for same in (line, mirrored(line))}
                patience = PATIENCE
            if not wanted.total():
                break
    return found


def _of_use(solver: ConnectFourSolver, moves: list[int], wanted: Counter[int], seen: set[bytes]) -> Line | None:
    """The line of these moves, if it is new, of an outcome that is wanted, and nothing to be taken for granted."""
    position = _play(solver.game, moves)
    if position.tobytes() in seen or not wanted[int(solver.scores(position, weak=True)[0])]:
        return None
    graded = Graded(position, solver.move_scores(position, weak=True))
    if graded.outcome[0] >= 0 and not graded.contested[0]:
        return None
    return Line(moves, graded.values[0].tolist())


def _share(count: int, at: int, parts: int) -> int:
    """`count` things in `parts` parts as equal as can be: how many are in this one."""
    return count * (at + 1) // parts - count * at // parts


def _sensible_games(game: Game, plies: int, rng: np.random.Generator) -> list[list[int]]:
    """Random games of so many moves; those in which somebody could win at once, or had to lose, are left out."""
    positions, moves = game.initial(CANDIDATES), np.zeros((CANDIDATES, 0), np.int64)
    for _ in range(plies):
        options = sensible(game, positions)
        playable = options.any(1)
        positions, moves, options = positions[playable], moves[playable], options[playable]
        action = (options * rng.random(options.shape)).argmax(1)
        positions, moves = game.step(positions, action), np.column_stack([moves, action])
    found: list[list[int]] = moves[sensible(game, positions).any(1)].tolist()
    return found


def sensible(game: Game, positions: Positions) -> Array:
    """[n, A] bool: legal, and no reply wins. None where the mover could win."""
    options = game.legal(positions)
    row, action = options.nonzero()
    following = game.step(positions[row], action)
    winning = _won(game, following, game.seat(positions)[row])
    parent, reply = game.legal(following).nonzero()
    answered = parent[_won(game, game.step(following[parent], reply), game.seat(following)[parent])]
    options[row[answered], action[answered]] = False
    options[row[winning]] = False
    return options


def _won(game: Game, positions: Positions, seat: Array) -> Array:
    """[n] bool: the game is over, and `seat` [n] has won."""
    won: Array = game.returns(positions)[np.arange(len(seat)), seat] > 0
    return won

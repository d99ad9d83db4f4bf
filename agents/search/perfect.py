"""A player of connect four that never gives anything away."""

from __future__ import annotations

import numpy as np

from agents.search.connect_four_solver import ConnectFourSolver
from agents.search.grading import HOME, mirrored, read, replay
from envs.api import Array, Game, Positions

EXACT = 32  # with so many empty cells or fewer the length of the game counts too; before, that takes too long


class Perfect:
    """Plays a move of the best outcome, any of them (`agents.api.Player`): wins fast and loses slowly.

    On the usual board a book knows the moves of positions of few stones. Behind it a move may take seconds; with more
    than `EXACT` empty cells only win, draw and loss are told apart.
    """

    def __init__(self, game: Game, name: str = "solver", bits: int = 22) -> None:
        """`bits` is the size of the solver's table. Raises ValueError for another game than connect four."""
        self.name, self.solver = name, ConnectFourSolver(game, bits)
        self.book = opening_book(game) if game.spec.name in ("connect_four", "connect_four()") else {}

    def choose(self, positions: Positions, rng: np.random.Generator) -> Array:
        """[n] int64."""
        scores = np.concatenate([self._scores(positions[row : row + 1]) for row in range(len(positions))])
        best: Array = (scores == scores.max(1, keepdims=True)) * (1 + rng.random(scores.shape))
        actions: Array = best.argmax(1)
        return actions

    def _scores(self, position: Positions) -> Array:
        """[1, C] of one position."""
        known = self.book.get(position.tobytes())
        if known is not None:
            return known[None]
        stones = sum(int(word).bit_count() for word in position[0, 1:3])
        return self.solver.move_scores(position, weak=self.solver.game.spec.max_length - stones > EXACT)


def opening_book(game: Game) -> dict[bytes, Array]:
    """The outcome of each move, [C], in every position of as many stones as those of the book or fewer."""
    lines = read((HOME / "connect_four_book.txt").read_text(encoding="ascii"))
    graded = replay(game, [*lines, *map(mirrored, lines)])
    known = {position.tobytes(): values for position, values in zip(graded.positions, graded.values, strict=True)}
    plies = [game.initial(1)]
    while len(plies) < len(lines[0].moves):
        row, action = game.legal(plies[-1]).nonzero()
        plies.append(np.unique(game.step(plies[-1][row], action), axis=0))
    for positions in reversed(plies):
        for position in positions[:, None]:
            following = game.step(np.repeat(position, game.spec.actions, 0), np.arange(game.spec.actions))
            known[position.tobytes()] = np.array([-known[after.tobytes()].max() for after in following])
    return known

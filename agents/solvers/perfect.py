"""A player of connect four that never gives anything away."""

from __future__ import annotations

import numpy as np

from agents.records import Carry, forgets
from agents.solvers.connect_four_solver import ConnectFourSolver
from agents.solvers.grading import sensible
from envs.api import TERMINAL, Array, Game, Positions

EXACT = 32  # with so many empty cells or fewer the length of the game counts too; before, that takes too long


class Perfect:
    """Plays a move of the best outcome (`agents.api.Player`), and the length of the game permitting wins fast, loses
    slowly, and otherwise plays any of them.

    With more than `EXACT` empty cells it only tells a win, a draw and a loss apart, plays the most central move that
    keeps what it has, and where all lose any that doesn't at once. Its first moves on the usual board take minutes.
    """

    def __init__(self, game: Game, name: str = "solver", bits: int = 22) -> None:
        """`bits` is the size of the solver's table. Raises ValueError for another game than connect four."""
        self.name, self.game, self.solver = name, game, ConnectFourSolver(game, bits)
        columns = game.spec.actions
        self.central = sorted(range(columns), key=lambda column: abs(2 * column - columns + 1))

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        """[n] int64."""
        return carry, np.array([self._one(positions[row : row + 1], rng) for row in range(len(positions))], np.int64)

    def _one(self, position: Positions, rng: np.random.Generator) -> int:
        stones = sum(int(word).bit_count() for word in position[0, 1:3])
        if self.game.spec.max_length - stones <= EXACT:
            scores = self.solver.move_scores(position)[0]
            return int(rng.choice(np.flatnonzero(scores == scores.max())))
        legal, outcome = self.game.legal(position)[0], self.solver.scores(position, weak=True)[0]
        if outcome < 0:
            safe = sensible(self.game, position)[0]
            return int(rng.choice(np.flatnonzero(safe if safe.any() else legal)))
        return next(move for move in self.central if legal[move] and self._outcome(position, move) == outcome)

    def _outcome(self, position: Positions, move: int) -> int:
        """What the mover gets after a move."""
        following = self.game.step(position, np.array([move]))
        if self.game.seat(following)[0] == TERMINAL:
            return int(self.game.returns(following)[0, self.game.seat(position)[0]])
        return -int(self.solver.scores(following, weak=True)[0])

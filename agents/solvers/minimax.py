"""A player that looks ahead by alpha-beta: perfect where the end of the game is within its budget."""

from __future__ import annotations

import numpy as np

from agents.records import Carry, forgets
from agents.solvers.alpha_beta import AlphaBeta
from envs.api import Array, Game, Positions

NODES = 100_000  # for a move, where nothing else is said: the whole of connect four on 4x4 takes a third of it


class Minimax:
    """Plays the best move that alpha-beta finds (`agents.api.Player`), and among those that look alike any.

    Each position is searched anew: deeper and deeper until its value is proven, or to `depth` moves, `nodes` positions
    or `seconds`, whichever comes first; by default to 100,000 positions. Only `seconds` makes it depend on the machine.
    """

    def __init__(
        self,
        game: Game,
        depth: int | None = None,
        name: str = "minimax",
        nodes: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Raises ValueError for a limit that is not positive, and for games that alpha-beta can't play."""
        for limit, value in (("depth", depth), ("nodes", nodes), ("seconds", seconds)):
            if value is not None and value <= 0:
                raise ValueError(f"{name}: {limit} is {value}, expected more than 0")
        self.name, self.depth, self.seconds = name, depth, seconds
        self.nodes = NODES if depth is None and nodes is None and seconds is None else nodes
        self.search = AlphaBeta(game)

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        """[n] int64. The draws for a position don't depend on the positions beside it, but for how many come before."""
        return carry, np.array(
            [self.search.search(position, self.depth, self.nodes, self.seconds, rng).action for position in positions],
            np.int64,
        )

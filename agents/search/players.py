"""Players that search: MCTS with random rollouts at any budget, or with any evaluator, in any game."""

from __future__ import annotations

import numpy as np

from agents.footprint import NotEnoughMemory, available_memory
from agents.records import Carry, forgets
from agents.search.api import Evaluator
from agents.search.config import SIMULATIONS, WIDTH, SearchOptions, tree_bytes
from agents.search.dynamics import dynamics_of
from agents.search.rollouts import Rollouts
from agents.search.search import Search
from envs.api import Array, Game, Positions

TOGETHER = 1 << 23  # nodes of all the trees that are grown at once, about


class SearchPlayer:
    """Plays what a search without exploration finds best (`agents.api.Player`).

    Where there is one legal action it is not thought about. A tree is grown for each position anew. `options.seconds`
    is the time for one call of `choose`, whatever the number of positions. Raises ValueError for more simulations than
    there is memory for.
    """

    def __init__(self, name: str, game: Game, evaluator: Evaluator, options: SearchOptions) -> None:
        self.name, self.game, self.evaluator = name, game, evaluator
        self.search = Search(dynamics_of(game), options)
        needed, free = tree_bytes(options.simulations, game.spec.actions), available_memory()
        if options.seconds is None and needed > free:
            raise ValueError(f"player {name!r}: {NotEnoughMemory('simulations', options.simulations, needed, free)}")
        nodes = max(1, options.simulations) * min(game.spec.actions, WIDTH)
        self.together = max(1, TOGETHER // nodes) if options.seconds is None else None

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        """[n] int64. Raises ValueError for positions in which nobody is to move."""
        seeds = rng.integers(0, 2**64, len(positions), np.uint64)
        legal = self.game.legal(positions)
        actions: Array = legal.argmax(1)
        rows = np.flatnonzero((legal.sum(1) > 1) | (self.game.seat(positions) < 0))
        step = self.together or max(1, len(rows))
        for begin in range(0, len(rows), step):
            some = rows[begin : begin + step]
            actions[some] = self.search.run(positions[some], self.evaluator, seeds[some]).action
        return carry, actions


def mcts(game: Game, simulations: int | None = None, seconds: float | None = None, rollouts: int = 1) -> SearchPlayer:
    """UCT with random rollouts (Kocsis, Szepesvari 2006) and proven results, stopped by a number of simulations for
    each move, by the clock, or by whichever comes first. It is named "mcts:200", "mcts:0.5s".

    Raises ValueError without a budget.
    """
    if simulations is None and seconds is None:
        raise ValueError("a search needs a budget: simulations, seconds, or both")
    budgets = [*([] if simulations is None else [f"{simulations}"]), *([] if seconds is None else [f"{seconds:g}s"])]
    options = SearchOptions(
        selection="ucb1", proven=True, simulations=SIMULATIONS if simulations is None else simulations, seconds=seconds
    )
    return SearchPlayer("mcts:" + ",".join(budgets), game, Rollouts(game, rollouts), options)

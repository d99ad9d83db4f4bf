"""Counterfactual regret minimization on a compiled tree, in five variants of one rule.

    solver = RegretMinimizer(compile_tree(make_game("leduc_poker")), VARIANTS["cfr_plus"])
    solver.iterate(1000)
    solver.evaluate()                                      # {"game/exploitability": ..., ...}
    by_action(solver.tree, solver.regret, "a key of an infoset")

cfr                   Zinkevich et al. 2007, https://papers.nips.cc/paper/3306
cfr_plus              Tammelin 2014, https://arxiv.org/abs/1407.5042
linear_cfr            Brown & Sandholm 2019, https://arxiv.org/abs/1809.04040
discounted_cfr        the same; its alpha, beta and gamma are options
predictive_cfr_plus   Farina, Kroer & Sandholm 2021, https://arxiv.org/abs/2007.14358

Logs game/nash_conv, game/exploitability (half of it, where two play for opposite returns) and game/value of the average
policy; game/infosets, game/memory_bytes. docs/cfr.md says what differs from the papers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from agents.api import Algorithm, State
from agents.regret.best_response import measures
from agents.regret.configs.cfr import CFR
from agents.regret.forms import (
    Discounting,
    Sums,
    history_form,
    history_iterations,
    sequence_form,
    sequence_iterations,
)
from agents.regret.policies import TabularPlayer, normalized, realization_plan, table, uniform
from agents.regret.tree import GameTree, Progress, cached_tree, compile_tree
from envs.api import Array, Game
from envs.games.make import make_game
from experiment.seeding import Seeds

INF = float("inf")
VARIANTS = {
    "cfr": Discounting(positive=INF, negative=INF, averaging=0.0, prediction=0.0),
    "cfr_plus": Discounting(positive=INF, negative=-INF, averaging=1.0, prediction=0.0),
    "linear_cfr": Discounting(positive=1.0, negative=1.0, averaging=1.0, prediction=0.0),
    "discounted_cfr": Discounting(positive=1.5, negative=0.0, averaging=2.0, prediction=0.0),
    "predictive_cfr_plus": Discounting(positive=INF, negative=-INF, averaging=2.0, prediction=1.0),
}


class RegretMinimizer:
    """A solver (`agents.api.Solver`) for any number of seats and any returns.

    The average policy goes to equilibrium in zero-sum games of two; elsewhere NashConv says how far it gets.
    `alternating`: seats learn in turns, each from what the one before has become; otherwise all at once.
    `form`: "sequence" (two seats, fast), "history" (any number, equal to OpenSpiel to the last bit), or "auto".
    """

    def __init__(
        self, tree: GameTree, rule: Discounting = VARIANTS["cfr_plus"], alternating: bool = True, form: str = "auto"
    ) -> None:
        self.tree, self.rule, self.alternating, self.iterations = tree, rule, alternating, 0
        self.regret, self.average = np.zeros((2, tree.sequences))
        self.policy = uniform(tree)
        self._reach = realization_plan(tree, self.policy)
        if form == "history" or (form == "auto" and tree.seats != 2):
            self._history = history_form(tree)
            self._all = Sums(self.regret, self.policy, self.average, self._reach, np.zeros(tree.sequences))
            self._advance = self._histories
        else:
            self._forms = [sequence_form(tree, seat) for seat in range(2)]
            self._seats = [self._views(*tree.sequence_start[seat : seat + 2]) for seat in range(2)]
            self._advance = self._sequences

    def _views(self, begin: int, end: int) -> Sums:
        own = slice(begin, end)
        value = np.zeros(end - begin + 1)  # one more, for what unused lanes write
        return Sums(self.regret[own], self.policy[own], self.average[own], self._reach[own], value)

    def _sequences(self, n: int) -> None:
        (a, b), (x, y) = self._forms, self._seats
        sequence_iterations(n, self.iterations, self.rule, self.alternating, a, b, x, y)

    def _histories(self, n: int) -> None:
        history_iterations(n, self.iterations, self.rule, self.alternating, self._history, self._all)

    def iterate(self, n: int) -> None:
        """n more iterations. n calls of 1 give the same as 1 call of n."""
        self._advance(n)
        self.iterations += n

    def average_policy(self) -> Array:
        """[S]; uniform where it never got."""
        return normalized(self.tree, self.average)

    def metrics(self) -> Mapping[str, float]:
        """How large the game is."""
        return {"game/infosets": float(self.tree.infosets), "game/memory_bytes": float(self.nbytes)}

    def evaluate(self) -> Mapping[str, float]:
        """Of the average policy: what seat 0 gets, NashConv, and where it is defined exploitability."""
        return measures(self.tree, self.average_policy())

    @property
    def nbytes(self) -> int:
        """What an iteration works on; the tree is not part of it."""
        if self._advance == self._histories:
            return sum(array.nbytes for array in (*self._history, *self._all))
        return sum(array.nbytes for part in (*self._forms, *self._seats) for array in part)

    def state_dict(self) -> State:
        arrays = {"regret": self.regret, "policy": self.policy, "average": self.average}
        return {"iterations": self.iterations} | {name: array.copy() for name, array in arrays.items()}

    def load_state_dict(self, state: State) -> None:
        """Raises ValueError for the state of another game; then nothing has changed."""
        for name in ("regret", "policy", "average"):
            if np.shape(state[name]) != self.regret.shape:
                raise ValueError(
                    f"{self.tree.name} has {self.tree.sequences} sequences, but the state's {name} has shape "
                    f"{list(np.shape(state[name]))}: it is of another game"
                )
        self.regret[:], self.policy[:], self.average[:] = state["regret"], state["policy"], state["average"]
        self._reach[:] = realization_plan(self.tree, self.policy)
        self.iterations = int(state["iterations"])


# As a run ------------------------------------------------------------------------------------------------------------


def make(config: CFR, seeds: Seeds) -> RegretMinimizer:
    """Raises ValueError for a game or a form that doesn't fit, MemoryError for a tree beyond `memory_bytes`."""
    form = config.form
    return RegretMinimizer(_tree(config, make_game(config.game)), rule(config), config.updates == "alternating", form)


def rule(config: CFR) -> Discounting:
    """The variant's, with the options that are set."""
    given = {"positive": config.alpha, "negative": config.beta, "averaging": config.gamma}
    return VARIANTS[config.variant]._replace(**{name: value for name, value in given.items() if value is not None})


def player(config: CFR, game: Game, state: State, name: str) -> TabularPlayer:
    """Plays the average policy of a checkpoint."""
    tree, average = _tree(config, game), state["solver"]["average"]
    return TabularPlayer(name, game, table(tree, normalized(tree, average), reach=_with_root(tree, average)))


def _with_root(tree: GameTree, average: Array) -> Array:
    """Summed reach [S]; an infoset that nothing of its seat's came before counts fully."""
    return np.where(tree.sequence_infoset < 0, 1.0, average)


def _tree(config: CFR, game: Game) -> GameTree:
    progress = _announced(game)
    if config.tree_cache is None:
        return compile_tree(game, config.memory_bytes, progress)
    return cached_tree(game, Path(config.tree_cache), config.memory_bytes, progress)


def _announced(game: Game, every: int = 1_000_000) -> Progress:
    """A line on stderr after each million nodes."""
    reported = 0

    def progress(depth: int, nodes: int) -> None:
        nonlocal reported
        if nodes >= reported + every:
            reported = nodes
            print(f"{game.spec.name}: {nodes:,} nodes, at depth {depth}", file=sys.stderr, flush=True)

    return progress


ALGORITHM = Algorithm[CFR](solver=make, player=player)

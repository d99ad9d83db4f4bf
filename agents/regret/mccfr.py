"""Monte-Carlo counterfactual regret minimization: each iteration walks a sample of the game, not all of it.

    solver = SampledRegrets(compile_tree(make_game("leduc_poker")), exploration=None, linear=True, seed=7)
    solver.iterate(100_000)
    solver.evaluate()                                      # {"game/nash_conv": ..., ...}

External and outcome sampling: Lanctot et al. 2009, https://papers.nips.cc/paper/3713. Linear weights:
Brown & Sandholm 2019, https://arxiv.org/abs/1809.04040. On a compiled tree all iterations run inside a kernel
(`agents/regret/sampling.py`); a game too large for that is sampled through its rules into a table of bounded memory
(`agents/regret/growing.py`). docs/mccfr.md says what differs from the papers.

Logs game/nash_conv, game/exploitability and game/value of the average policy where there is a tree, else
game/return_against_random; game/infosets, game/memory_bytes; without a tree game/memory_ceiling, game/unknown (share of
decisions that found no room in the table) and game/nodes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.api import Algorithm, Player, Solver, State
from agents.regret import mccfr_fleet
from agents.regret.best_response import measures
from agents.regret.configs.mccfr import MCCFR
from agents.regret.growing import GrowingSolver, TablePlayer
from agents.regret.infosets import InfosetTable
from agents.regret.policies import TabularPlayer, normalized, table
from agents.regret.sampling import Iterations, require_two_seats
from agents.regret.tree import GameTree, compile_tree
from envs.api import Array, Game
from envs.games.make import make_game
from experiment.seeding import Seeds


class SampledRegrets:
    """A solver (`agents.api.Solver`) on a compiled tree of two seats. `exploration` None is external sampling."""

    def __init__(self, tree: GameTree, exploration: float | None, linear: bool, seed: int) -> None:
        self.tree, self.iterations = tree, 0
        self.regret, self.average = np.zeros((2, tree.sequences))
        self.random = np.array([seed], np.uint64)
        self._advance = Iterations(tree, exploration, linear)

    def iterate(self, n: int) -> None:
        """n more iterations, of a traversal for each seat. n calls of 1 give the same as 1 call of n."""
        self._advance(self.regret, self.average, self.random, self.iterations, n)
        self.iterations += n

    def average_policy(self) -> Array:
        """[S]; uniform where it never got."""
        return normalized(self.tree, self.average)

    def metrics(self) -> Mapping[str, float]:
        """How large the game is, and what an iteration works on."""
        walked = self._advance
        arrays = walked.nodes, walked.chance, walked.returns, self.regret, self.average
        return {
            "game/infosets": float(self.tree.infosets),
            "game/memory_bytes": float(sum(array.nbytes for array in arrays)),
        }

    def evaluate(self) -> Mapping[str, float]:
        """Of the average policy: what seat 0 gets, NashConv, and where it is defined exploitability."""
        return measures(self.tree, self.average_policy())

    def state_dict(self) -> State:
        arrays = {"regret": self.regret, "average": self.average, "random": self.random}
        return {"iterations": self.iterations} | {name: array.copy() for name, array in arrays.items()}

    def load_state_dict(self, state: State) -> None:
        """Raises ValueError for the state of another game; then nothing has changed."""
        for name in ("regret", "average"):
            if np.shape(state[name]) != self.regret.shape:
                raise ValueError(
                    f"{self.tree.name} has {self.tree.sequences} sequences, but the state's {name} has shape "
                    f"{list(np.shape(state[name]))}: it is of another game"
                )
        self.regret[:], self.average[:], self.random[:] = state["regret"], state["average"], state["random"]
        self.iterations = int(state["iterations"])


# As a run ------------------------------------------------------------------------------------------------------------


def make(config: MCCFR, seeds: Seeds) -> Solver:
    """Raises ValueError for a game that isn't of two, MemoryError for a tree beyond `memory_bytes`."""
    game = make_game(config.game)
    require_two_seats(game.spec.name, game.spec.seats)
    exploration = config.exploration if config.sampling == "outcome" else None
    linear = config.weighting == "linear"
    if config.table == "growing":
        return GrowingSolver(
            game, config.memory_bytes, config.batch, exploration, linear, seeds, config.evaluation.games
        )
    return SampledRegrets(compile_tree(game, config.memory_bytes), exploration, linear, seeds.integer("traversals"))


def player(config: MCCFR, game: Game, state: State, name: str) -> Player:
    """Plays the average policy of a checkpoint."""
    if config.table == "growing":
        known = InfosetTable(config.memory_bytes)
        known.load_state_dict(state["solver"]["table"])
        return TablePlayer(name, game, known)
    tree = compile_tree(game, config.memory_bytes)
    learned = state["solver"] if config.runtime is None else state["learner"]
    return TabularPlayer(name, game, table(tree, normalized(tree, learned["average"])))


ALGORITHM = Algorithm[MCCFR](
    solver=make,
    make=mccfr_fleet.make,
    actor=mccfr_fleet.actor,
    evaluation=mccfr_fleet.evaluation,
    player=player,
)

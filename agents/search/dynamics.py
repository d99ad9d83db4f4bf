"""Which dynamics a game is searched by.

    search = Search(dynamics_of(make_game("connect_four")), options)

Those of a learned model are `agents.search.model.ModelDynamics`.
"""

from __future__ import annotations

from agents.search.adapted import AdaptedDynamics
from agents.search.api import Dynamics, Evaluator
from agents.search.native import NativeDynamics
from envs.api import Game
from envs.games.native import NativeGame


def dynamics_of(game: Game) -> Dynamics[Evaluator]:
    """Compiled where the game is native, else through the game's interface."""
    return NativeDynamics(game) if isinstance(game, NativeGame) else AdaptedDynamics(game)

"""The evaluation of self-play: a ladder of opponents, and the truth where it is known.

Logs what `agents.arena.ladder` does; solver/error_rate/SET, the share of positions of a graded set in which the player
gives a result away; and solver/losing_lines, in how many of all games that the rules allow against it the player loses,
from all seats together: 0 is play that nobody beats, proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.alphazero.config import Ladder
from agents.api import Player, State
from agents.arena.ladder import Climber
from agents.solvers.exhaustive import play_every_line
from agents.solvers.grading import error_rate, load
from envs.api import Array, Game
from experiment.seeding import Seeds


class Examination:
    """An `agents.api.Evaluation`: player(name, weights) makes who is examined."""

    def __init__(
        self,
        game: Game,
        options: Ladder,
        opponents: Sequence[Player],
        seeds: Seeds,
        player: Callable[[str, Array], Player],
    ) -> None:
        self.game, self.options, self.seeds, self.player = game, options, seeds, player
        self.climber = Climber(game, opponents, options.games, options.past, seeds, player)
        self.graded = {name: load(name, game) for name in options.graded}

    def __call__(self, weights: Array, steps: int) -> dict[str, float]:
        metrics, player = dict[str, float](), self.player("now", weights)
        for name, graded in self.graded.items():
            rng = self.seeds.generator("evaluation", name)
            metrics[f"solver/error_rate/{name}"] = error_rate(player, graded, rng).rate
        if self.options.every_line:
            rng = self.seeds.generator("evaluation", "every line")
            lines = [play_every_line(self.game, player, seat, rng) for seat in range(self.game.spec.seats)]
            metrics["solver/losing_lines"] = sum(line.losses for line in lines)
        # Last, since it remembers: a measurement that is given up leaves no trace.
        return self.climber(weights, steps) | metrics

    def state_dict(self) -> State:
        return self.climber.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.climber.load_state_dict(state)

"""How far self-play has come: matches against players that stay as they are, and against the player of the last time.

Logs arena/score/NAME, the share of points against each opponent (a draw is half a point), over paired openings and both
seats; arena/score/past against the player of the evaluation before; and arena/rating, in Elo's points above the first
on the ladder, from these results and those of the opponents among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from agents.api import Player, State
from agents.arena.match import play, streams, usual_plies
from agents.arena.ratings import Pairing, bradley_terry
from envs.api import Array, Game
from experiment.seeding import Seeds


class Climber:
    """The evaluation of a run that learns a game (`agents.api.Evaluation`): player(name, weights) makes who climbs.

    games: against each opponent. past: meet the player of the last evaluation as well.
    """

    def __init__(
        self,
        game: Game,
        opponents: Sequence[Player],
        games: int,
        past: bool,
        seeds: Seeds,
        player: Callable[[str, Array], Player],
    ) -> None:
        self.game, self.opponents, self.seeds, self.player = game, opponents, seeds, player
        self.games, self.past = games, past
        self.last: Array | None = None  # weights of the evaluation before
        self.ladder: list[Pairing] = []  # the opponents among themselves, who meet once

    def __call__(self, weights: Array, steps: int) -> dict[str, float]:
        now, count = self.player("now", weights), len(self.opponents)
        metrics, pairings = {}, []
        for index, opponent in enumerate(self.opponents):
            pairings.append(self._meet(count, index, now, opponent))
            metrics[f"arena/score/{opponent.name}"] = float(pairings[-1].scores.mean())
        if self.past and self.last is not None:
            past = self.player("past", self.last)
            metrics["arena/score/past"] = float(self._meet(0, 1, now, past).scores.mean())
        if count:
            if not self.ladder:
                pairs = combinations(range(count), 2)
                self.ladder = [self._meet(a, b, self.opponents[a], self.opponents[b]) for a, b in pairs]
            ratings = bradley_terry(count + 1, [*self.ladder, *pairings], self.seeds.generator("evaluation", "ratings"))
            metrics["arena/rating"] = ratings[count].elo - ratings[0].elo
        self.last = weights  # now that nothing can be given up any more
        return metrics

    def _meet(self, a: int, b: int, one: Player, other: Player) -> Pairing:
        """All seatings of always the same openings; the other holds every seat but one."""
        seats = self.game.spec.seats
        luck, table = streams(self.seeds, (one.name, other.name)), [0] + [1] * (seats - 1)
        groups = max(1, self.games // seats)
        if seats == 1:
            return self._compare(a, b, one, other, groups)
        played = play(self.game, [one, other], groups, luck, usual_plies(self.game.spec), table)
        own = played.returns[played.seating == 0]
        theirs = np.where(played.seating == 0, -np.inf, played.returns).max(1)
        points = np.where(own > theirs, 1.0, np.where(own < theirs, 0.0, 0.5))
        games = np.bincount(played.group)
        return Pairing(a, b, np.bincount(played.group, points) / games, games)

    def _compare(self, a: int, b: int, one: Player, other: Player, groups: int) -> Pairing:
        """In a game for one both play alone, after the same openings and with the same luck."""
        paid = []
        for player in (one, other):
            luck = streams(self.seeds, (player.name,))
            played = play(self.game, [player], groups, luck, usual_plies(self.game.spec))
            paid.append(played.returns[np.argsort(played.group), 0])
        ours, theirs = paid
        points = np.where(ours > theirs, 1.0, np.where(ours < theirs, 0.0, 0.5))
        return Pairing(a, b, points, np.ones(groups, np.int64))

    def state_dict(self) -> State:
        return {"last": self.last}

    def load_state_dict(self, state: State) -> None:
        self.last = state["last"]

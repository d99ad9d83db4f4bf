"""Round robins: everybody meets everybody, and any number of worker processes gives the same results.

    terms = Terms("connect_four", ("random", "one_ply", "mcts:50"), groups=200, plies=2, seed=0)
    for bout, played in results(terms, entrant, workers=2): ...

The groups of games of a match are divided into bouts by a rule that looks at nothing but their number. A bout has
random streams of its own, so it is the same wherever it is played, and results come in the order of the bouts.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import combinations, combinations_with_replacement, pairwise
from typing import Any, NamedTuple

import numpy as np

from agents.api import Player
from agents.arena.match import Played, openings, play, seatings, streams, usual_plies
from envs.api import Game
from envs.games.make import make_game
from experiment import extensions
from experiment.seeding import Seeds

GROUPS = 100  # of a bout in a short match, such as 200 games of two players
BOUTS = 64  # in a long match


class Terms(NamedTuple):
    """What the matches of a tournament have in common. Plain values, which travel to workers."""

    game: str
    agents: tuple[str, ...]  # as `agents.entrants` names them
    groups: int  # openings of each match; every seating plays each of them
    plies: int  # random moves of an opening
    seed: int
    seconds: float | None = None  # what a move may take
    trust: bool = False  # load archives although that runs code in them

    @property
    def names(self) -> list[str]:
        """The agents; who enters twice is told apart."""
        seen = [self.agents[:index].count(agent) for index, agent in enumerate(self.agents)]
        return [f"{a} ({before + 1})" if before else a for a, before in zip(self.agents, seen, strict=True)]

    @property
    def seats(self) -> int:
        return _game(self.game).spec.seats

    @property
    def games(self) -> int:
        """Of each match."""
        return self.groups * max(len(seatings(table)) for table in tables(len(self.agents), self.seats))

    @property
    def title(self) -> str:
        return f"{self.game}: {self.games} games of each match, {self.plies} random plies to open, seed {self.seed}"

    def record(self) -> dict[str, Any]:
        """As JSON values, without what changes nothing."""
        return {
            "game": self.game,
            "games": self.games,
            "openings": self.plies,
            "seed": self.seed,
            "time_limit": self.seconds,
        }


class Bout(NamedTuple):
    """A part of a match: `groups` openings of those who sit at `table`, the first of them being number `first`."""

    table: tuple[int, ...]
    shard: int
    first: int
    groups: int


def tables(agents: int, seats: int) -> list[tuple[int, ...]]:
    """Who meets: all choices of as many as there are seats; where there are fewer, some hold several seats."""
    if agents >= seats:
        return list(combinations(range(agents), seats))
    return [table for table in combinations_with_replacement(range(agents), seats) if len(set(table)) == agents]


def bouts(terms: Terms, seats: int) -> list[Bout]:
    """All bouts, in the order of their results."""
    shards = min(-(-terms.groups // GROUPS), BOUTS)
    edges = [terms.groups * shard // shards for shard in range(shards + 1)]
    return [
        Bout(table, shard, first, last - first)
        for shard, (first, last) in enumerate(pairwise(edges))
        for table in tables(len(terms.agents), seats)
    ]


Enter = Callable[[str, Game, bool], Player]  # who plays under a name, and whether archives are trusted: `entrant`


def invite(
    name: str,
    agents: Sequence[str],
    enter: Enter,
    games: int,
    plies: int | None,
    seed: int,
    seconds: float | None,
    trust: bool,
) -> Terms:
    """The terms of matches of at least so many games each, with everybody made and ready.

    Raises ValueError for what can't be played: an unknown game or agent, one that doesn't fit, openings too long.
    """
    game = make_game(name)
    if len(agents) < 2:
        raise ValueError(f"{name} is not played alone here: name two agents or more")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"a time limit is above 0 seconds, not {seconds:g}")
    plies = usual_plies(game.spec) if plies is None else plies
    if plies < 0:
        raise ValueError(f"an opening has 0 random plies or more, not {plies}")
    if plies >= game.spec.max_length:
        raise ValueError(f"openings of {plies} random plies end the game: {name} lasts {game.spec.max_length} at most")
    seated = max(len(seatings(table)) for table in tables(len(agents), game.spec.seats))
    terms = Terms(name.strip(), tuple(agents), -(-games // seated), plies, seed, seconds, trust)
    for agent in terms.agents:
        _player(enter, agent, terms.game, trust)
    openings([game], 1, plies, Seeds(seed).generator("check"))
    return terms


def results(terms: Terms, enter: Enter, workers: int = 1) -> Generator[tuple[Bout, Played], None, None]:
    """Play all bouts, in this process or in several others, where `enter`, a function of a module, goes by its name.

    Close the generator to stop early.
    """
    todo = bouts(terms, _game(terms.game).spec.seats)
    if workers == 1:
        for bout in todo:
            yield bout, fight(terms, enter, bout)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, extensions.load, (extensions.loaded(),))
    try:
        futures = [pool.submit(fight, terms, enter, bout) for bout in todo]
        for bout, future in zip(todo, futures, strict=True):
            yield bout, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def fight(terms: Terms, enter: Enter, bout: Bout) -> Played:
    """Play one bout; players are numbered as in the terms, and groups from `bout.first` on.

    Networks compute with one thread, as what comes out may depend on their number. Under a time limit players are made
    anew for each bout: one that hangs in another thread can't be asked again.
    """
    here = sorted(set(bout.table))
    make = _player.__wrapped__ if terms.seconds else _player
    players = [make(enter, terms.agents[index], terms.game, terms.trust) for index in here]
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    own = streams(Seeds(terms.seed), [terms.names[index] for index in here], bout.shard)
    table = [here.index(index) for index in bout.table]
    played = play(_game(terms.game), players, bout.groups, own, terms.plies, table, terms.seconds)
    return played._replace(seating=np.array(here)[played.seating], group=played.group + bout.first)


@cache
def _game(name: str) -> Game:
    return make_game(name)


@cache
def _player(enter: Enter, agent: str, game: str, trust: bool) -> Player:
    return enter(agent, _game(game), trust)

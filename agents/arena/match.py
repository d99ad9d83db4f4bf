"""Matches: every seating of the players meets the same openings and the same luck, all games in lockstep.

    played = play(make_game("connect_four"), [ours, theirs], groups=200, streams=streams(Seeds(0)), plies=2)

A group of games shares an opening (random moves that never end the game) and what chance brings. In it each seating is
played once, so that neither a seat nor an opening favours anybody. A ply is one `choose` for each player, with all its
games. A player that gives no usable answer, or an illegal one, forfeits that game; the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from agents.api import Player
from agents.arena.referee import Referee
from agents.maths.explore import draw
from agents.records import mapped
from envs.api import CHANCE, TERMINAL, Array, Game, GameSpec, IllegalAction, Positions
from experiment.seeding import Seeds
from experiment.stop import unless_stopped

ATTEMPTS = 1000  # batches of openings drawn before giving up on a game that such openings end


class Played(NamedTuple):
    """n games that are over. The one who forfeits a game has lost it to everybody else."""

    seating: Array  # [n, P] int64: the index of the player on each seat
    group: Array  # [n] int64: games of one group share opening and luck
    returns: Array  # [n, P] float64; NaN where somebody forfeited
    forfeit: Array  # [n] int64: the seat that did, or -1
    reasons: dict[int, str]  # why, by row
    moves: Array  # [n] int64, those of the opening included, those of chance not
    openings: Array  # [groups, K] int64: actions of seats and chance; -1 behind the last one


class Streams(NamedTuple):
    """The random streams of a match."""

    opening: np.random.Generator
    luck: np.random.Generator
    players: list[np.random.Generator]  # one for each player


class Boards:
    """The same n games on the boards of one or more Games, which agree move for move; the first one is the judge."""

    def __init__(self, games: Sequence[Game], positions: Sequence[Positions]) -> None:
        self.games, self.positions = games, positions

    def __len__(self) -> int:
        return len(self.positions[0])

    def seat(self) -> Array:
        return self.games[0].seat(self.positions[0])

    def legal(self) -> Array:
        return self.games[0].legal(self.positions[0])

    def chance(self) -> Array:
        return self.games[0].chance(self.positions[0])

    def returns(self) -> Array:
        return self.games[0].returns(self.positions[0])

    def rows(self, index: Array) -> Boards:
        """index: integers."""
        return Boards(self.games, [positions.take(index, 0) for positions in self.positions])

    def step(self, actions: Array) -> Boards:
        """Raises IllegalAction."""
        return Boards(self.games, [g.step(p, actions) for g, p in zip(self.games, self.positions, strict=True)])

    def step_rows(self, rows: Array, actions: Array) -> Boards:
        """Play in these rows only."""
        stepped = [positions.copy() for positions in self.positions]
        for positions, news in zip(stepped, self.rows(rows).step(actions).positions, strict=True):
            positions[rows] = news
        return Boards(self.games, stepped)


def streams(seeds: Seeds, players: Sequence[str], shard: int = 0) -> Streams:
    """Openings and luck are the same whoever plays; a player's own stream is named by who plays whom."""
    own = [seeds.generator("player", index, *players, shard) for index in range(len(players))]
    return Streams(seeds.generator("opening", shard), seeds.generator("luck", shard), own)


def usual_plies(spec: GameSpec) -> int:
    """Random plies of an opening: 2, less in very short games, none where luck makes games differ anyway."""
    return 0 if spec.chance else min(2, spec.max_length // 4)


def seatings(table: Sequence[int]) -> Array:
    """All different orders of those who sit at a table, [S, P]. Somebody may hold more than one seat."""
    return np.array(sorted(set(permutations(table))), np.int64)


def play(
    game: Game,
    players: Sequence[Player],
    groups: int,
    streams: Streams,
    plies: int,
    table: Sequence[int] | None = None,
    seconds: float | None = None,
) -> Played:
    """Play `groups` times all seatings of a table; by default each player has one seat.

    A player with an attribute `game` reads the positions of that Game, which the match keeps beside its own.
    seconds: what a move may take (`agents.arena.referee`). Raises ValueError if the table doesn't fit the game, or if
    openings of so many plies end it; Stopped where a run is told to stop.
    """
    orders = seatings(range(len(players)) if table is None else table)
    if orders.shape[1] != game.spec.seats or not set(orders.flat) <= set(range(len(players))):
        raise ValueError(f"{game.spec.name} has {game.spec.seats} seats, this is no table of {len(players)} players")
    games, board = _boards(game, players)
    opened, led = openings(games, groups, plies, streams.opening)
    group = np.tile(np.arange(groups), len(orders))
    referees = [Referee(player, seconds) for player in players]
    try:
        for referee, place, rng in zip(referees, board, streams.players, strict=True):
            referee.ready(opened.positions[place][:1], rng)
        match = _Match(opened.rows(group), np.repeat(orders, groups, 0), group, referees, board, streams)
        while len(match.live):
            unless_stopped()
            match.ply()
    finally:
        for referee in referees:
            referee.close()
    moves = match.moves + plies
    return Played(match.seating, group, match.returns, match.forfeit, match.reasons, moves, led)


def openings(games: Sequence[Game], groups: int, plies: int, rng: np.random.Generator) -> tuple[Boards, Array]:
    """Positions after random moves that don't end the game, and the actions that led there [groups, K].

    games: the boards to play them on. Raises ValueError where hardly any opening leaves the game open.
    """
    found, actions, missing = [], [], groups
    for _ in range(ATTEMPTS):
        tried, led = _walk(Boards(games, [game.initial(missing) for game in games]), plies, rng)
        good = np.flatnonzero(tried.seat() != TERMINAL)
        found.append(tried.rows(good))
        actions.append(led[good])
        missing -= len(good)
        if not missing:
            break
    else:
        raise ValueError(f"{games[0].spec.name}: openings of {plies} random plies end the game; choose fewer")
    together = [np.concatenate(parts) for parts in zip(*(boards.positions for boards in found), strict=True)]
    width = max(led.shape[1] for led in actions)
    padded = [np.pad(led, ((0, 0), (0, width - led.shape[1])), constant_values=-1) for led in actions]
    return Boards(games, together), np.concatenate(padded)


class _Match:
    """The games of a match on their way. `live` [m] are the rows of those that go on, `boards` their positions."""

    def __init__(
        self, boards: Boards, seating: Array, group: Array, referees: list[Referee], board: list[int], streams: Streams
    ) -> None:
        n, seats = seating.shape
        self.boards, self.seating, self.referees, self.board, self.streams = boards, seating, referees, board, streams
        self.live = np.arange(n)
        # What each player remembers in every chair: seat p of game g is chair g * P + p.
        self.carries = [mapped(np.copy, referee.player.begin(n * seats)) for referee in referees]
        self.returns = np.full((n, seats), np.nan)
        self.forfeit = np.full(n, -1)
        self.reasons: dict[int, str] = {}
        self.moves = np.zeros(n, np.int64)
        self.plies = 0  # made by every game that goes on
        self._group = group
        self._lucky = np.zeros(n, np.int64)  # how often chance has moved in each game
        self._luck = np.zeros((int(group.max(initial=-1)) + 1, 0))  # [groups, times] uniform numbers

    def ply(self) -> None:
        """Let chance move, take the games that are over out, and let everybody move once."""
        seat = self._settle()
        over = seat == TERMINAL
        if over.any():
            ended = np.flatnonzero(over)
            self.returns[self.live[ended]] = self.boards.rows(ended).returns()
            self.moves[self.live[ended]] = self.plies
            seat = self._leave(ended, seat)
        if not len(self.live):
            return
        mover = self.seating.ravel().take(self.live * self.seating.shape[1] + seat)
        actions, lost = np.zeros(len(seat), np.int64), list[int]()
        for player in range(len(self.referees)):
            rows = np.flatnonzero(mover == player)
            if len(rows):
                actions[rows], faults = self._ask(player, rows, seat)
                for row, reason in faults.items():
                    lost.append(self._lose(int(rows[row]), seat, reason))
        actions = self._leave(lost, actions)
        try:
            following = self.boards.step(actions)
        except IllegalAction:
            legal, seat = self.boards.legal(), self.boards.seat()
            lost = np.flatnonzero(~_allowed(legal, actions)).tolist()
            for row in lost:
                possible = np.flatnonzero(legal[row]).tolist()
                self._lose(row, seat, f"illegal action {actions[row]}, legal were {possible}")
            actions = self._leave(lost, actions)
            following = self.boards.step(actions)
        self.plies += 1
        self.boards = following

    def _ask(self, player: int, rows: Array, seat: Array) -> tuple[Array, dict[int, str]]:
        """A player's actions in these rows, and what it is to blame for; what it remembers is noted."""
        positions = self.boards.positions[self.board[player]].take(rows, 0)
        chairs, carries = self.live[rows] * self.seating.shape[1] + seat[rows], self.carries[player]
        carry = mapped(lambda a: a[chairs], carries)
        answer = self.referees[player].ask(carry, positions, self.streams.players[player])
        for name, remembered in answer.carry.items():
            carries[name][chairs] = remembered
        return answer.actions, answer.faults

    def _settle(self) -> Array:
        """Let chance move until a seat is to move or a game is over; games of a group share their luck."""
        while (lucky := np.flatnonzero((seat := self.boards.seat()) == CHANCE)).size:
            rows = self.live[lucky]
            if self._lucky[rows].max() >= self._luck.shape[1]:
                self._luck = np.hstack([self._luck, self.streams.luck.random((len(self._luck), 16))])
            uniform = self._luck[self._group[rows], self._lucky[rows]]
            self.boards = self.boards.step_rows(lucky, draw(self.boards.rows(lucky).chance(), uniform))
            self._lucky[rows] += 1
        return seat

    def _leave(self, rows: Sequence[int] | Array, beside: Array) -> Array:
        """These games are over. Returns what else there is by row, for those that go on."""
        if not len(rows):
            return beside
        going = np.delete(np.arange(len(self.live)), rows)
        self.live, self.boards = self.live[going], self.boards.rows(going)
        return beside[going]

    def _lose(self, row: int, seat: Array, reason: str) -> int:
        """Enter a forfeit, and return its row."""
        game = int(self.live[row])
        self.forfeit[game], self.reasons[game], self.moves[game] = seat[row], reason, self.plies
        return row


def _boards(game: Game, players: Sequence[Player]) -> tuple[list[Game], list[int]]:
    """The different boards of a match, its own first, and which of them each player reads."""
    games, names, board = [game], [(type(game), game.spec.name)], []
    for player in players:
        own = getattr(player, "game", game)
        name = (type(own), own.spec.name)
        if name not in names:
            games.append(own)
            names.append(name)
        board.append(names.index(name))
    return games, board


def _walk(boards: Boards, plies: int, rng: np.random.Generator) -> tuple[Boards, Array]:
    """Random moves of the seats, and what chance does before each; games that end on the way stop there."""
    left, led = np.full(len(boards), plies), list[Array]()
    while True:
        seat = boards.seat()
        rows = np.flatnonzero((left > 0) & (seat != TERMINAL))
        if not len(rows):
            return boards, np.stack(led, 1) if led else np.zeros((len(boards), 0), np.int64)
        here = boards.rows(rows)
        weight = np.where((seat[rows] == CHANCE)[:, None], here.chance(), here.legal())
        actions = draw(weight, rng.random(len(rows)))
        boards = boards.step_rows(rows, actions)
        left[rows] -= seat[rows] >= 0
        led.append(np.full(len(boards), -1))
        led[-1][rows] = actions


def _allowed(legal: Array, actions: Array) -> Array:
    exists = (actions >= 0) & (actions < legal.shape[1])
    return exists & legal[np.arange(len(actions)), np.where(exists, actions, 0)]

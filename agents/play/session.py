"""A game between a person and an agent, or of one agent with another, one deed at a time: moves, undo, other seats.

    table = Table(make_game("connect_four"), [mcts(game, 200)])
    session = Session(table, np.random.default_rng(7))
    session.play(3)
    session.reply()
    session.undo()

The page and the terminal show the same sessions. Chance is drawn here. In games with something hidden a person sees
what its seat knows, and nothing of what the agent thinks before the game is over.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.api import Player
from agents.arena.match import Boards
from agents.maths.explore import draw
from agents.play.drawing import drawing_of
from agents.play.thoughts import Thought, strength, think
from envs.api import CHANCE, TERMINAL, Game, GameSpec
from envs.games.make import make_game

SHOWN, FIRST_PLAYER = 1, 2  # which boards of a table are for the eye, and from where on they are the players'


class Refusal(ValueError):
    """What was asked for can't be done now; the message is for the person who asked."""


class GameTable:
    """What all sessions share: a game and who plays it, an agent against a person or two agents against each other.

    Raises ValueError for a game that can't be shown without OpenSpiel. One player thinks at a time, whatever the
    session: `thinking` is held meanwhile.
    """

    def __init__(self, game: Game, players: Sequence[Player]) -> None:
        self.game, self.players = game, list(players)
        self.drawing = drawing_of(game)
        self.strengths = [strength(player) for player in players]
        self.thinking = threading.Lock()
        # positions for the judge, for those who look on, and for each player
        shown = game if self.drawing else make_game(game.spec.name, native=False)
        self.games = [game, shown, *(getattr(player, "game", game) for player in players)]

    @property
    def spec(self) -> GameSpec:
        return self.game.spec

    @property
    def watched(self) -> bool:
        """Whether nobody but agents plays."""
        return len(self.players) == 2


class Moment(NamedTuple):
    """A position in which a seat is to move, or in which the game is over, and how it came about."""

    boards: Boards
    mover: int = CHANCE  # the seat that led here by `action`
    action: int = -1
    thought: Thought | None = None  # of the mover


class Session:
    """One game. `turn` counts all that has happened to it, undone moves and other seats included.

    The first of two sides is the person (where agents only play, the first agent) and has the seat `first`; the other
    side has all others.
    """

    def __init__(self, table: GameTable, rng: np.random.Generator) -> None:
        self.table, self.rng = table, rng
        self.simulations = [None if known is None else known.own for known in table.strengths]
        self.first = self.turn = 0
        self.forfeit: tuple[int, str] | None = None  # the seat that gave up, and why
        self._begin()

    @property
    def person(self) -> int | None:
        """The seat of the person; None where agents only play."""
        return None if self.table.watched else self.first

    @property
    def now(self) -> Moment:
        return self.moments[-1]

    @property
    def seat(self) -> int:
        """Who is to move, or TERMINAL; also where somebody gave up."""
        return TERMINAL if self.forfeit else int(self.now.boards.seat()[0])

    @property
    def open(self) -> bool:
        """Whether everything may be shown to whoever looks on."""
        return self.table.spec.perfect_information or self.person is None

    @property
    def legal(self) -> list[int]:
        """Actions of the seat to move, ascending."""
        found: list[int] = np.flatnonzero(self.now.boards.legal()[0]).tolist()
        return [] if self.forfeit else found

    def player(self, seat: int) -> int | None:
        """The index of the player on a seat; None for the person."""
        if self.table.watched:
            return int(seat != self.first)
        return None if seat == self.first else 0

    def play(self, action: int) -> None:
        """The person moves."""
        self._going()
        if self.seat != self.person:
            raise Refusal("it is not your turn")
        if action not in self.legal:
            raise Refusal("that is not a legal move here")
        self._step(action, None)

    def reply(self) -> None:
        """The agent whose turn it is moves. One that fails to, or not by the rules, has lost."""
        self._going()
        seat = self.seat
        index = self.player(seat)
        if index is None:
            raise Refusal("it is your turn")
        player, positions = self.table.players[index], self.now.boards.positions[FIRST_PLAYER + index]
        try:
            with self.table.thinking:
                thought = think(player, positions, self.rng, self.simulations[index])
            if thought.action not in self.legal:
                raise ValueError(f"it chose action {thought.action}, which is not legal")
        except Exception as error:  # whatever it is, it is the player's fault, and no reason to stop the rest
            self.forfeit = (seat, f"{player.name} gave up: {error}")
            self.turn += 1
            return
        self._step(thought.action, thought)

    def undo(self) -> None:
        """Back to the person's last choice; where agents only play, one move back. Chance will be drawn anew."""
        kept = len(self.moments) - 1
        if self.forfeit and self.person is None:
            kept += 1  # it is the failure that is taken back
        while kept and self.person is not None and self.moments[kept - 1].boards.seat()[0] != self.person:
            kept -= 1
        if not kept:
            raise Refusal("there is nothing to take back")
        del self.moments[kept:]
        self.forfeit = None
        self.turn += 1

    def swap(self) -> None:
        """The first side moves on to the next seat. What was hidden there must not be known: then a new game begins."""
        self.first = (self.first + 1) % self.table.spec.seats
        if not self.open:
            self._begin()
        self.forfeit = None
        self.turn += 1

    def restart(self) -> None:
        """A new game with the same seats."""
        self._begin()
        self.turn += 1

    def strengthen(self, player: int, simulations: int) -> None:
        """How hard a player that searches shall try from now on."""
        known = self.table.strengths[player] if 0 <= player < len(self.simulations) else None
        if known is None or simulations not in known.choices:
            raise Refusal("there is no such strength to choose")
        self.simulations[player] = simulations
        self.turn += 1

    def _begin(self) -> None:
        self.forfeit = None
        games = self.table.games
        self.moments = [Moment(self._settle(Boards(games, [game.initial(1) for game in games])))]

    def _going(self) -> None:
        if self.seat == TERMINAL:
            raise Refusal("the game is over")

    def _step(self, action: int, thought: Thought | None) -> None:
        boards = self._settle(self.now.boards.step(np.array([action])))
        self.moments.append(Moment(boards, self.seat, action, thought))
        self.turn += 1

    def _settle(self, boards: Boards) -> Boards:
        """Let chance move until a seat is to move or the game is over."""
        while boards.seat()[0] == CHANCE:
            boards = boards.step(draw(boards.chance(), self.rng.random(1)))
        return boards

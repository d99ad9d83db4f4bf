"""A league: every game of many runs in one SQLite file, from which ratings are made.

    with League(Path("connect_four.sqlite")) as league:
        run, seed = league.begin(terms, seed=None)
        league.add(run, terms.names, bout, played)
        names, pairings = league.pairings("connect_four")

Several processes may add to a league at once. It holds numbers and names only, and every value is bound, never pasted
into a statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import TracebackType

import numpy as np

from agents.arena.match import Played
from agents.arena.ratings import Pairing
from agents.arena.tournament import Bout, Terms

APPLICATION, VERSION = 0x53504152, 1  # "SPAR", in the header of the file
PATIENCE = 60.0  # seconds to wait for another process that is writing

SCHEMA = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        game TEXT NOT NULL,
        seed TEXT NOT NULL,      -- of any size
        plies INTEGER NOT NULL,  -- of an opening
        seconds REAL,            -- what a move might take
        begun TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
        UNIQUE (game, seed)      -- the same seed again would be the same games again, and count twice
    )""",
    "CREATE TABLE players (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE games (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs,
        opening_number INTEGER NOT NULL,  -- games of a run with the same number share opening and luck
        opening TEXT NOT NULL,            -- its actions
        moves INTEGER NOT NULL,
        forfeit INTEGER,                  -- the seat that did
        reason TEXT,
        ended TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    )""",
    "CREATE INDEX games_of_run ON games (run)",
    """CREATE TABLE seats (
        game INTEGER NOT NULL REFERENCES games,
        seat INTEGER NOT NULL,
        player INTEGER NOT NULL REFERENCES players,
        payoff REAL,  -- NULL in a forfeited game
        PRIMARY KEY (game, seat)
    ) WITHOUT ROWID""",
)

GAME = "INSERT INTO games (run, opening_number, opening, moves, forfeit, reason) VALUES (?, ?, ?, ?, ?, ?)"
SEAT = "INSERT INTO seats (game, seat, player, payoff) VALUES (?, ?, ?, ?)"
OF_GAME = "FROM runs JOIN games ON games.run = runs.id JOIN seats ON seats.game = games.id WHERE runs.game = ?"
PAID = f"SELECT 1 {OF_GAME} AND seats.payoff NOT IN (-1, 0, 1) LIMIT 1"
RETURNS = f"""
    SELECT (SELECT name FROM players WHERE id = seats.player), COUNT(DISTINCT games.id), AVG(seats.payoff)
    {OF_GAME} AND seats.payoff IS NOT NULL GROUP BY seats.player ORDER BY seats.player
"""
SCORES = """
    SELECT one.player, other.player, games.run, games.opening_number, COUNT(*), AVG(CASE
        WHEN games.forfeit = one.seat THEN 0.0
        WHEN games.forfeit = other.seat THEN 1.0
        WHEN games.forfeit IS NOT NULL OR one.payoff = other.payoff THEN 0.5
        ELSE one.payoff > other.payoff END)
    FROM runs
    JOIN games ON games.run = runs.id
    JOIN seats AS one ON one.game = games.id
    JOIN seats AS other ON other.game = games.id AND one.player < other.player
    WHERE runs.game = ?
    GROUP BY one.player, other.player, games.run, games.opening_number
    ORDER BY one.player, other.player, games.run, games.opening_number
"""


class LeagueError(ValueError):
    """A file is no league, or damaged, or can't be read or written; the message names it."""


class League:
    """An open league file, made where there is none. Everything it is asked raises LeagueError where the file fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._naming("is no league"):
            self._db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            with self._naming("is no league"), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._prepare()
            with self._naming("is damaged"):
                self._check()
                self._db.execute("PRAGMA journal_mode = WAL")
        except LeagueError:
            self._db.close()
            raise

    @contextmanager
    def _naming(self, fault: str = "can't be read or written") -> Iterator[None]:
        """What SQLite complains of inside is a LeagueError."""
        try:
            yield
        except sqlite3.Error as error:
            raise LeagueError(f"{self.path} {fault}: {error}") from error

    def __enter__(self) -> League:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def begin(self, terms: Terms, seed: int | None) -> tuple[int, int]:
        """Enter a new run, and return its number and its seed; without one it gets the first that is free.

        Raises ValueError for a seed whose games the league has: they would be played, and counted, again.
        """
        with self._naming(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            used = {row[0] for row in self._db.execute("SELECT seed FROM runs WHERE game = ?", (terms.game,))}
            if seed is not None and str(seed) in used:
                raise ValueError(f"the league has the games of seed {seed}: leave --seed out to play others")
            if seed is None:
                seed = next(number for number in range(len(used) + 1) if str(number) not in used)
            row = (terms.game, str(seed), terms.plies, terms.seconds)
            run = self._db.execute("INSERT INTO runs (game, seed, plies, seconds) VALUES (?, ?, ?, ?)", row).lastrowid
        assert run is not None
        return run, seed

    def add(self, run: int, names: list[str], bout: Bout, played: Played) -> None:
        """Append the games of a bout, all or none."""
        openings = [" ".join(str(action) for action in row if action >= 0) for row in played.openings.tolist()]
        with self._naming(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO players (name) VALUES (?)", [(name,) for name in names])
            ids = dict(self._db.execute("SELECT name, id FROM players"))
            for row, group in enumerate(played.group.tolist()):
                forfeit = None if played.forfeit[row] < 0 else int(played.forfeit[row])
                moves, reason = int(played.moves[row]), played.reasons.get(row)
                values = (run, group, openings[group - bout.first], moves, forfeit, reason)
                game = self._db.execute(GAME, values).lastrowid
                paid = [None if forfeit is not None else float(payoff) for payoff in played.returns[row]]
                seated = [ids[names[index]] for index in played.seating[row]]
                rows = [(game, seat, *both) for seat, both in enumerate(zip(seated, paid, strict=True))]
                self._db.executemany(SEAT, rows)

    def pairings(self, game: str) -> tuple[list[str], list[Pairing]]:
        """Who has played a game, and all results: what `agents.arena.ratings` asks for."""
        with self._naming():
            found = self._db.execute(SCORES, (game,)).fetchall()
            names = dict(self._db.execute("SELECT id, name FROM players"))
        ids = sorted({player for row in found for player in row[:2]})
        pairings = []
        for (one, other), rows in groupby(found, key=lambda row: row[:2]):
            numbers = np.array([row[4:] for row in rows], np.float64)
            pairings.append(Pairing(ids.index(one), ids.index(other), numbers[:, 1], numbers[:, 0]))
        return [names[player] for player in ids], pairings

    def returns(self, game: str) -> list[tuple[str, int, float]] | None:
        """Name, games and mean return of everybody, without forfeited games; None if no game paid anything but 1,
        0 and -1, when ratings say as much.
        """
        with self._naming():
            if self._db.execute(PAID, (game,)).fetchone() is None:
                return None
            return self._db.execute(RETURNS, (game,)).fetchall()

    def _prepare(self) -> None:
        """Make the tables of an empty file; look whether another one is a league."""
        (application,), (version,) = (
            self._db.execute(f"PRAGMA {what}").fetchone() for what in ("application_id", "user_version")
        )
        if application == 0 and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in (*SCHEMA, f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {VERSION}"):
                self._db.execute(statement)
        elif (application, version) != (APPLICATION, VERSION):
            raise LeagueError(f"{self.path} is no league of this version: it is a database of somebody else's")

    def _check(self) -> None:
        """Read all of the file, so that damage is known before anything is played."""
        (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            told = " ".join(found.split())
            raise LeagueError(f"{self.path} is damaged ({told}): take a copy that is not, or begin a new one")

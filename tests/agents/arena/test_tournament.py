from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from agents.arena.league import League, LeagueError
from agents.arena.match import Played
from agents.arena.ratings import bradley_terry
from agents.arena.standings import (
    cross_table,
    draw_ratings,
    pairings,
    rating_table,
    record,
    return_table,
    standings,
    table,
)
from agents.arena.tournament import Bout, Terms, bouts, invite, results, tables
from agents.entrants import entrant
from scripts.evaluate import main

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "evaluate.py"


def terms(*agents: str, games: int = 500, seed: int = 0, game: str = "tic_tac_toe") -> Terms:
    return invite(game, agents, entrant, games, None, seed, None, False)


def shown(value: object) -> str:
    output = StringIO()
    Console(file=output, width=120).print(value)
    return output.getvalue()


# Round robins --------------------------------------------------------------------------------------------------------


def test_who_meets() -> None:
    assert tables(4, 2) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert tables(4, 3) == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]
    assert tables(2, 3) == [(0, 0, 1), (0, 1, 1)]


def test_bouts_cover_a_match_once() -> None:
    for groups in (1, 99, 250, 12_345):
        parts = bouts(Terms("tic_tac_toe", ("a", "b"), groups, 2, 0), 2)
        assert [part.first for part in parts] == list(np.cumsum([0, *(part.groups for part in parts)])[:-1])
        assert sum(part.groups for part in parts) == groups
        assert len(parts) <= 64 and min(part.groups for part in parts) >= min(groups, 50)


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_any_number_of_workers_plays_the_same_games(workers: int) -> None:
    asked = terms("random", "one_ply", "random")
    assert asked.names == ["random", "one_ply", "random (2)"]
    alone = list(results(asked, entrant))
    assert len(alone) == 9  # three matches in three bouts each
    together = list(results(asked, entrant, workers))
    assert [bout for bout, _ in together] == [bout for bout, _ in alone]
    for (_, one), (_, other) in zip(alone, together, strict=True):
        for name, field in one._asdict().items():
            assert np.array_equal(field, getattr(other, name)), name
    assert not np.array_equal(alone[0][1].moves, next(results(asked._replace(seed=1), entrant))[1].moves)


def test_a_player_of_greater_strength_is_rated_higher() -> None:
    asked = terms("random", "one_ply", "random", games=200)
    lines = standings(asked.names, [played for _, played in results(asked, entrant)], np.random.default_rng(0))
    assert lines[0].name == "one_ply"
    assert lines[0].rating.interval.low > max(line.rating.interval.high for line in lines[1:])
    assert sum(line.rating.elo for line in lines) == pytest.approx(0)
    assert sum(line.score for line in lines) == pytest.approx(1.5)
    assert all(line.games == 400 and line.forfeits == 0 and line.mean_return is None for line in lines)


@pytest.mark.slow  # half a minute
def test_strength_grows_with_the_search() -> None:
    asked = terms("random", "one_ply", "mcts:50", "mcts:500", games=400, game="connect_four")
    lines = standings(asked.names, [played for _, played in results(asked, entrant)], np.random.default_rng(0))
    assert [line.name for line in lines] == ["mcts:500", "mcts:50", "one_ply", "random"]
    for better, worse in pairwise(lines):
        assert better.rating.interval.low > worse.rating.interval.high


def test_invitations_that_are_refused() -> None:
    for change, reason in (
        ({"name": "tic_tac_two"}, "did you mean tic_tac_toe"),
        ({"agents": ["random"]}, "two agents or more"),
        ({"agents": ["random", "nobody"]}, "no such player"),
        ({"plies": -1}, "0 random plies or more"),
        ({"plies": 9}, "end the game"),
        ({"seconds": 0.0}, "above 0 seconds"),
        ({"seed": -1}, "non-negative"),
    ):
        asked = dict(name="tic_tac_toe", agents=["random"] * 2, games=1, plies=2, seed=0, seconds=None, trust=False)
        with pytest.raises(ValueError, match=reason):
            invite(enter=entrant, **(asked | change))  # type: ignore[arg-type]


# What is shown -------------------------------------------------------------------------------------------------------


def played(outcomes: Sequence[float], forfeit: Sequence[int] = ()) -> Played:
    """One game of players 0 and 1 for each outcome, which is what player 0 on seat 0 gets; two are a group."""
    n = len(outcomes)
    returns = np.array([[x, -x] for x in outcomes], float)
    returns[list(forfeit)] = np.nan
    lost = np.where(np.isin(np.arange(n), forfeit), 0, -1)
    groups = np.arange(n) // 2
    seating = np.tile([0, 1], (n, 1))
    why = dict.fromkeys(forfeit, "left the room")
    return Played(seating, groups, returns, lost, why, np.full(n, 5), np.full((n // 2, 1), 3))


def test_totals_and_tables() -> None:
    games = played([1, 1, 0, -1, 1, 0], forfeit=[4])
    best, worst = standings(["one", "two"], [games], np.random.default_rng(0))
    assert (best.wins, best.draws, best.losses, best.forfeits, best.score) == (2, 2, 2, 1, 0.5)
    assert (worst.wins, worst.draws, worst.losses, worst.forfeits, worst.score) == (2, 2, 2, 0, 0.5)
    text = shown(table([best, worst], "a title"))
    assert "2 2 2" in text and "50.0" in text and "a title" in text and "forfeits" in text and "return" not in text
    crossed = shown(cross_table(["one", "two"], ["one", "two"], pairings(2, [games])))
    assert crossed.count("50.0") == 2
    assert record([best])[0]["score"] == 0.5 and len(record([best])[0]["rating_interval"]) == 2
    dear = standings(["one", "two"], [played([-12, 1, 1, 1])], np.random.default_rng(0))  # wins often, loses much
    assert [(line.name, line.wins, line.mean_return) for line in dear] == [("two", 1, 2.25), ("one", 3, -2.25)]
    text = shown(table(dear, ""))
    assert "2.250" in text and "rating" not in text and "forfeits" not in text


def test_a_picture_of_ratings(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = bradley_terry(2, pairings(2, [played([1, 1, -1, 0])]), np.random.default_rng(0))
    draw_ratings(list(zip(["one", "two"], found, strict=True)), "title", tmp_path / "ratings.png")
    assert (tmp_path / "ratings.png").read_bytes()[:4] == b"\x89PNG"


# Leagues -------------------------------------------------------------------------------------------------------------


def league_of(path: Path, *agents: str) -> list[str]:
    options = ["--game", "tic_tac_toe", "--games", "60", "--league", str(path)]
    return [sys.executable, str(SCRIPT), *agents, *options]


def count(path: Path, what: str) -> int:
    with closing(sqlite3.connect(path)) as league:
        return int(league.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0])


def test_a_league_outlives_processes_and_takes_two_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "league.sqlite"
    both = [
        subprocess.Popen(league_of(path, *agents), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for agents in (("random", "one_ply"), ("random", "minimax"))
    ]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert count(path, "games") == 120 and count(path, "seats") == 240 and count(path, "players") == 3
    with League(path) as league:
        before, found = league.pairings("tic_tac_toe")
    assert main(league_of(path, "one_ply", "minimax")[2:]) == 0
    told = capsys.readouterr().out
    assert "league.sqlite" in told and "minimax" in told
    with League(path) as league:
        names, later = league.pairings("tic_tac_toe")
        assert league.pairings("hex") == ([], [])
    assert names[:3] == before and count(path, "games") == 180 and count(path, "runs") == 3
    for one, other in zip(found, [p for p in later if {names[p.first], names[p.second]} != {"one_ply", "minimax"}]):
        assert np.array_equal(one.scores, other.scores) and one.games.sum() == other.games.sum() == 60
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert sorted(row[0] for row in file.execute("SELECT seed FROM runs")) == ["0", "1", "2"]
        (opening,) = file.execute("SELECT opening FROM games LIMIT 1").fetchone()
        assert len(opening.split()) == 2


def test_a_league_says_what_the_games_said(tmp_path: Path) -> None:
    games = played([1, 1, 0, -1, 1, 0], forfeit=[4])
    with League(tmp_path / "league.sqlite") as league:
        asked = terms("random", "one_ply")
        run, seed = league.begin(asked, None)
        league.add(run, ["zoe", "abe'; DROP TABLE games; --"], Bout((0, 1), 0, 0, 3), games)
        names, (found,) = league.pairings("tic_tac_toe")
        assert names == ["zoe", "abe'; DROP TABLE games; --"]
        (expected,) = pairings(2, [games])
        assert np.array_equal(found.scores, expected.scores) and np.array_equal(found.games, expected.games)
        assert seed == 0
        assert league.returns("tic_tac_toe") is None
        poker = asked._replace(game="leduc_poker")
        league.add(league.begin(poker, None)[0], ["zoe", "max"], Bout((0, 1), 0, 0, 2), played([-12, 1, 1, 1], [3]))
        assert league.returns("leduc_poker") == [("zoe", 3, -10 / 3), ("max", 3, 10 / 3)]
        assert "3.333" in shown(return_table(league.returns("leduc_poker") or [], ""))
        assert league.begin(asked, None)[1] == 1
        assert league.begin(asked, 2**70)[1] == 2**70
        with pytest.raises(ValueError, match="games of seed 1"):
            league.begin(asked, 1)
        assert league.begin(asked._replace(game="hex"), 1)[1] == 1
        shown_ratings = shown(rating_table(names, [found], bradley_terry(2, [found], np.random.default_rng(0)), ""))
        assert "zoe" in shown_ratings
    with closing(sqlite3.connect(tmp_path / "league.sqlite")) as file:
        reasons = file.execute("SELECT forfeit, reason FROM games WHERE reason != ''").fetchall()
    assert reasons == [(0, "left the room")] * 2


def test_other_files_are_no_leagues(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("This is no database, but long enough to have a header of one hundred bytes or more. " * 3)
    with pytest.raises(ValueError, match="is no league"):
        League(text)
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(ValueError, match="somebody else's"):
        League(tmp_path / "other.sqlite")
    with pytest.raises(ValueError, match="is no league"):
        League(tmp_path)


def test_a_damaged_league_is_refused_by_name_wherever_the_damage_lies(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.sqlite", tmp_path / "league.sqlite"
    with League(whole) as league:
        run, _ = league.begin(terms("random", "one_ply"), None)
        for number in range(20):
            games = played([1, 1, 0, -1, 1, 0], [4])
            shifted = games._replace(group=games.group + 3 * number)
            league.add(run, ["zoe", "max"], Bout((0, 1), 0, 3 * number, 3), shifted)
    content = whole.read_bytes()
    assert len(content) > 5 * 4096
    for page in range(len(content) // 4096):
        damaged = bytearray(content)
        damaged[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
        path.write_bytes(damaged)
        with pytest.raises(LeagueError, match=re.escape(str(path))):
            League(path)
        assert path.read_bytes() == damaged
    path.write_bytes(content)
    League(path).__exit__(None, None, None)


def test_damage_that_comes_later_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "league.sqlite"
    with League(path) as league, closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE seats")
        with pytest.raises(LeagueError, match=r"league.sqlite can't be read or written: no such table"):
            league.pairings("tic_tac_toe")

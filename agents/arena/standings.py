"""What the games of a tournament amount to: scores, ratings, who beat whom, as a terminal or a picture shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from agents.arena.estimates import Interval, bootstrap_mean, grouped_score
from agents.arena.match import Played
from agents.arena.ratings import Pairing, Rating, bradley_terry
from envs.api import Array

RESULTS = {1.0: "win", 0.5: "draw", 0.0: "loss"}


class Standing(NamedTuple):
    """One player's results. A score is 1 for each opponent of a game who got less, 1/2 for one who got as much."""

    name: str
    games: int
    rating: Rating
    score: float
    score_interval: Interval
    wins: int  # games in which it got more than everybody else
    draws: int
    losses: int
    forfeits: int
    mean_return: float | None  # of the games that were not forfeited
    return_interval: Interval | None


def standings(names: Sequence[str], results: Sequence[Played], rng: np.random.Generator) -> list[Standing]:
    """A line for each player, the best first: by its mean return where games pay different amounts, else by rating."""
    found = pairings(len(names), results)
    ratings = bradley_terry(len(names), found, rng)
    lines = [_standing(index, name, results, found, ratings[index], rng) for index, name in enumerate(names)]
    return sorted(lines, key=lambda line: -(line.rating.elo if line.mean_return is None else line.mean_return))


def pairings(players: int, results: Sequence[Played]) -> list[Pairing]:
    """What each player scored against each other one, by groups of games: those with the same number of a group."""
    if for_one(results):
        return _compared(players, results)
    met: dict[tuple[int, int], list[Array]] = {}
    for played in results:
        seats, score = played.seating.shape[1], _scores(played)
        for a in range(seats):
            for b in range(seats):
                rows = np.flatnonzero(played.seating[:, a] < played.seating[:, b])  # nobody meets itself
                for one, other in np.unique(played.seating[rows][:, [a, b]], axis=0).tolist():
                    here = rows[(played.seating[rows, a] == one) & (played.seating[rows, b] == other)]
                    met.setdefault((one, other), []).append(np.stack([played.group[here], score[here, a, b]]))
    return [_pairing(*pair, np.hstack(parts)) for pair, parts in sorted(met.items())]


def for_one(results: Sequence[Played]) -> bool:
    """Whether the game has one seat: then a match is a paired evaluation."""
    return bool(results) and results[0].seating.shape[1] == 1


def _compared(players: int, results: Sequence[Played]) -> list[Pairing]:
    """Who earned more in games for one that share opening and luck. Who forfeits has earned least."""
    earned: list[dict[int, float]] = [{} for _ in range(players)]
    for played in results:
        paid = np.where(played.forfeit < 0, played.returns[:, 0], -np.inf)
        for player, group, value in zip(played.seating[:, 0].tolist(), played.group.tolist(), paid.tolist()):
            earned[player][group] = value
    found = []
    for one, other in combinations(range(players), 2):
        groups = sorted(earned[one].keys() & earned[other].keys())
        ours, theirs = (np.array([earned[player][group] for group in groups]) for player in (one, other))
        if groups:
            scores = np.where(ours > theirs, 1.0, np.where(ours < theirs, 0.0, 0.5))
            found.append(Pairing(one, other, scores, np.ones(len(groups))))
    return found


def reasons(names: Sequence[str], results: Sequence[Played]) -> list[str]:
    """Who forfeited how many games and why, in words."""
    told: Counter[tuple[str, str]] = Counter()
    for played in results:
        for row, reason in played.reasons.items():
            told[names[played.seating[row, played.forfeit[row]]], reason] += 1
    return [f"{name} forfeited {count} game{'s' * (count > 1)}: {why}" for (name, why), count in told.most_common()]


def table(lines: Sequence[Standing], title: str) -> Table:
    """The standings as a terminal shows them: 95 % intervals stand under what they are of.

    Where games pay different amounts, returns take the place of ratings, which only know who got more.
    """
    shown = Table(title=title)
    shown.add_column("player", overflow="fold", min_width=9)
    paid, forfeited = any(line.mean_return is not None for line in lines), any(line.forfeits for line in lines)
    for heading in ("return" if paid else "rating", "score %", "games", "W D L", *["forfeits"] * forfeited):
        shown.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        low, high = line.score_interval
        cells = [
            _cell(line.mean_return, line.return_interval, 3)
            if paid
            else _cell(line.rating.elo, line.rating.interval, 0),
            _cell(100 * line.score, Interval(100 * low, 100 * high), 1),
            str(line.games),
            f"{line.wins} {line.draws} {line.losses}",
            *[str(line.forfeits)] * forfeited,
        ]
        shown.add_row(Text(line.name), *cells)
    return shown


def cross_table(order: Sequence[str], names: Sequence[str], found: Sequence[Pairing]) -> Table:
    """What the player of each row scored against that of each column, in percent."""
    shown = Table(title="score % of the row against the column")
    shown.add_column("player", overflow="fold")
    for number in range(len(order)):
        shown.add_column(str(number + 1), justify="right")
    score = {}
    for pairing in found:
        one, other = names[pairing.first], names[pairing.second]
        score[one, other] = float(np.average(pairing.scores, weights=pairing.games))
        score[other, one] = 1 - score[one, other]
    for number, one in enumerate(order):
        cells = [f"{100 * score[one, other]:.1f}" if (one, other) in score else "" for other in order]
        shown.add_row(Text(f"{number + 1} {one}"), *cells)
    return shown


def rating_table(names: Sequence[str], found: Sequence[Pairing], ratings: Sequence[Rating], title: str) -> Table:
    """Ratings alone, the best first."""
    games = [0] * len(names)
    for pairing in found:
        for player in (pairing.first, pairing.second):
            games[player] += int(pairing.games.sum())
    rows = [(r.elo, name, _cell(r.elo, r.interval, 0), n) for name, r, n in zip(names, ratings, games, strict=True)]
    return _short_table("rating", rows, title)


def return_table(returns: Sequence[tuple[str, int, float]], title: str) -> Table:
    """Names, games and mean returns, the highest first."""
    return _short_table("return", [(mean, name, _cell(mean, None, 3), games) for name, games, mean in returns], title)


def record(lines: Sequence[Standing]) -> list[dict[str, Any]]:
    """The standings as JSON values: intervals are [low, high]."""
    rows = [line._asdict() | {"rating": line.rating.elo, "rating_interval": line.rating.interval} for line in lines]
    return [{key: list(value) if isinstance(value, Interval) else value for key, value in row.items()} for row in rows]


def draw_ratings(ratings: Sequence[tuple[str, Rating]], title: str, file: Path) -> None:
    """A picture of ratings with their intervals, the best on top. The suffix of `file` says what kind."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ordered = sorted(ratings, key=lambda named: named[1].elo)
    elo = np.array([rating.elo for _, rating in ordered])
    low, high = np.array([rating.interval for _, rating in ordered]).T
    figure, axes = pyplot.subplots(figsize=(7, 1 + 0.4 * len(ordered)), layout="constrained")
    reach = np.maximum([elo - low, high - elo], 0)
    axes.errorbar(elo, range(len(ordered)), xerr=reach, fmt="o", capsize=3)
    axes.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    axes.set(xlabel="rating, with 95 % interval", title=title)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _standing(
    index: int, name: str, results: Sequence[Played], found: Sequence[Pairing], rating: Rating, rng: np.random.Generator
) -> Standing:
    own = [(p.scores, p.games) for p in found if p.first == index]
    own += [(1 - p.scores, p.games) for p in found if p.second == index]
    score = grouped_score(np.concatenate([s for s, _ in own]), np.concatenate([g for _, g in own]))
    outcome, paid = Counter[str](), list[float]()
    if for_one(results):
        outcome.update(RESULTS[each] for scores, _ in own for each in scores.tolist())
    games = forfeits = 0
    for played in results:
        held = played.seating == index
        here = np.flatnonzero(held.any(1))
        games += len(here)
        forfeits += int((held[here] & (np.arange(held.shape[1]) == played.forfeit[here, None])).any(1).sum())
        if held.shape[1] > 1:
            outcome.update(_outcomes(_scores(played)[here], held[here]))
        finished = here[played.forfeit[here] < 0]
        means = np.where(held, played.returns, 0)[finished].sum(1) / held[finished].sum(1)
        _, place, count = np.unique(played.group[finished], return_inverse=True, return_counts=True)
        paid += (np.bincount(place, means) / count).tolist()
    # where a game only says who won, the score has said it already
    telling = any(not np.isin(played.returns[played.forfeit < 0], (-1, 0, 1)).all() for played in results)
    return Standing(
        name=name,
        games=games,
        rating=rating,
        score=score.mean,
        score_interval=score.interval,
        wins=outcome["win"],
        draws=outcome["draw"],
        losses=outcome["loss"],
        forfeits=forfeits,
        mean_return=float(np.mean(paid)) if telling and paid else None,
        return_interval=bootstrap_mean(paid, rng) if telling and len(paid) > 1 else None,
    )


def _scores(played: Played) -> Array:
    """[n, P, P]: 1 where the first seat got more than the second, 1/2 where as much, 0 where less."""
    ahead = played.returns[:, :, None] - played.returns[:, None, :]
    score = np.where(np.isnan(ahead), 0.5, 0.5 + 0.5 * np.sign(ahead))
    lost = np.flatnonzero(played.forfeit >= 0)
    score[lost, :, played.forfeit[lost]] = 1
    score[lost, played.forfeit[lost], :] = 0
    return score


def _outcomes(score: Array, held: Array) -> list[str]:
    """Of each game for whoever holds these seats: a win with the best of them over all others, a draw, or a loss."""
    worst = np.where(held[:, None, :], 2.0, score).min(2)  # of each seat against the seats of others
    best = np.where(held, worst, -1.0).max(1)
    return [RESULTS.get(value, "loss") for value in best.tolist()]


def _pairing(first: int, second: int, groups_and_scores: Array) -> Pairing:
    groups, scores = groups_and_scores
    _, place, games = np.unique(groups, return_inverse=True, return_counts=True)
    return Pairing(first, second, np.bincount(place, scores) / games, games.astype(np.float64))


def _short_table(what: str, rows: Sequence[tuple[float, str, str, int]], title: str) -> Table:
    """Rows of a value to sort by, a player, how the value looks, and the number of games."""
    shown = Table(title=title)
    shown.add_column("player", overflow="fold")
    for heading in (what, "games"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for _, name, cell, games in sorted(rows, key=lambda row: -row[0]):
        shown.add_row(Text(name), cell, str(games))
    return shown


def _cell(number: float | None, interval: Interval | None, digits: int) -> str:
    if number is None:
        return "-"
    if interval is None:
        return f"{number:.{digits}f}"
    return f"{number:.{digits}f}\n[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"

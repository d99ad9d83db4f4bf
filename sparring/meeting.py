"""Measuring what was learned: in an environment on the same episodes, in a game against each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.arena.paired import Results
    from agents.arena.standings import Standing
    from envs.api import VectorEnv

EPISODES, ROWS, LONGEST, GAMES = 100, 8, 27_000, 400  # unless others are asked for


def evaluate(
    *contenders: str | Path | os.PathLike[str],
    env: str | None = None,
    options: Mapping[str, Any] | None = None,
    episodes: int = EPISODES,
    seed: int = 0,
    rows: int = ROWS,
    max_episode_steps: int = LONGEST,
    trust: bool = False,
) -> list[Results]:
    """A line for each contender, all measured on the same episodes without exploration; differences are to the first.

    contenders: runs, or names as `scripts/evaluate.py` takes them, such as "random". env: a Gymnasium id (default: what
    the first was trained on), options: its keyword arguments. rows: environments stepped at once. max_episode_steps:
    where nothing else ends an episode. trust: load SB3 archives, which runs code that is in them.

    Raises ValueError where somebody doesn't fit, EnvError where the world fails.
    """
    from agents.arena.paired import compare
    from agents.arena.paired import evaluate as measure
    from agents.contenders import contender
    from experiment.seeding import Seeds

    names = _names(contenders, least=1)
    seeds = Seeds(seed)
    with closing(stage(names[0], env, options, min(rows, episodes), max_episode_steps)) as world:
        policies = {name: contender(name, world.spec, trust) for name in names}
        results = {
            name: measure(policy, world, episodes, seed, seeds.generator("act", name))
            for name, policy in policies.items()
        }
    return compare(results, seeds.generator("bootstrap"))


def match(
    *players: str | Path | os.PathLike[str],
    game: str | None = None,
    games: int = GAMES,
    openings: int | None = None,
    seed: int = 0,
    time_limit: float | None = None,
    workers: int = 1,
    trust: bool = False,
) -> list[Standing]:
    """Everybody plays everybody, from every seat, after the same random openings: a line for each, the best first.

    players: runs, or names as `agents.entrants` lists them. game: (default: what the first run was trained for).
    games: of each match, rounded up to whole openings. openings: random plies before a game. time_limit: seconds for a
    move. workers: processes, which change nothing but the time.

    Raises ValueError for what can't be played.
    """
    from agents.arena.standings import standings
    from agents.arena.tournament import invite, results
    from agents.entrants import entrant, game_of, settled
    from experiment.seeding import Seeds

    names = _names(players, least=2)
    about = game or next(filter(None, map(game_of, names)), None)
    if about is None:
        raise ValueError(f"game is missing, and none of {', '.join(names)} says what it was trained for")
    agents = [settled(name) for name in names]
    terms = invite(about, agents, entrant, games, openings, seed, time_limit, trust)
    with closing(results(terms, entrant, workers)) as bouts:
        played = [games for _, games in bouts]
    return standings(terms.names, played, Seeds(terms.seed).generator("ratings"))


def stage(
    first: str, env: str | None, options: Mapping[str, Any] | None, count: int, at_most: int, render: bool = False
) -> VectorEnv:
    """The environment asked for: as the first contender's run has it, or the bare id where that is another one.

    Raises ValueError where there is none.
    """
    from agents.config import Environment
    from agents.contenders import directory, home
    from agents.experience.rollout import make_env
    from experiment.config import check

    known = home(first)
    if env is not None:
        other = check(Environment, {"id": env, "atari": {} if env.startswith("ALE/") else None})
        known = known if known is not None and known.id == other.id else other
    if known is None:
        if first not in ("random", "scripted") and not first.startswith("sb3:"):
            directory(first)
        raise ValueError(f"--env or --game is needed: {first} does not say where it was trained")
    if options is not None:
        known = check(Environment, known.model_dump(mode="json") | {"options": options})
    return make_env(known, count, render, at_most)


def _names(given: Sequence[str | Path | os.PathLike[str]], least: int) -> list[str]:
    names = [os.fspath(one) for one in given]
    if len(names) < least:
        raise ValueError(f"found {len(names)} to be measured, expected at least {least}")
    return names

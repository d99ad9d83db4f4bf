"""Measure agents without exploration: alone on the same episodes of one environment, or against each other in a game.

    python scripts/evaluate.py runs/cartpole random --episodes 100
    python scripts/evaluate.py random one_ply mcts:50 --game connect_four --games 400

AGENT is a run directory, a checkpoint directory, random, scripted (where a rule is known), or sb3:FILE.zip; in an
environment, differences are to the first. In a game it may also be one_ply, minimax[:DEPTH], mcts:SIMULATIONS,
DIRECTORY@SIMULATIONS (with search), human, openspiel:mcts:SIMULATIONS, or openspiel:uci:PROGRAM: everybody plays
everybody, from every seat, after the same random openings. With --graded each one moves once in positions whose moves
have known values, instead.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment import extensions
from experiment.extras import require
from experiment.run import command
from sparring.meeting import EPISODES, GAMES, LONGEST, ROWS, stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from envs.api import VectorEnv

DEFAULTS = {"episodes": EPISODES, "rows": ROWS, "max_episode_steps": LONGEST, "games": GAMES, "workers": 1}
MOST = {"episodes": 10**7, "rows": 2**16, "max_episode_steps": 10**9, "games": 10**7, "workers": 1024}
ALONE = ("env", "env_options", "episodes", "rows", "max_episode_steps", "gif")  # what goes with an environment only
MATCHES = ("games", "openings", "time_limit", "workers", "sprt", "league", "plot")  # with matches only
TOGETHER = ("game", *MATCHES, "graded")  # and with a game


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="+", metavar="AGENT")
    parser.add_argument("--seed", metavar="S", type=int, help="decides episodes, openings and luck (0)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file too")
    parser.add_argument("--trust", action="store_true", help="load SB3 archives, which runs code that is in them")
    extensions.offer(parser)
    alone = parser.add_argument_group("in an environment")
    alone.add_argument("--env", metavar="ID", help="Gymnasium id (default: what the first agent was trained on)")
    alone.add_argument("--env-options", metavar="JSON", type=json.loads, help="its keyword arguments, as an object")
    alone.add_argument("--episodes", metavar="N", type=int, help="episodes of each agent (100)")
    alone.add_argument("--rows", metavar="B", type=int, help="environments stepped at once (8)")
    alone.add_argument(
        "--max-episode-steps", metavar="T", type=int, help="steps of an episode where nothing else ends it (27000)"
    )
    alone.add_argument("--gif", metavar="FILE", type=Path, help="film the first agent's first episode")
    game = parser.add_argument_group("in a game")
    game.add_argument("--game", metavar="NAME", help="OpenSpiel's name (default: what the agents were trained for)")
    game.add_argument("--games", metavar="N", type=int, help="of each match, rounded up to whole openings (400)")
    game.add_argument("--openings", metavar="K", type=int, help="random plies before a game (2; 0 in games of chance)")
    game.add_argument("--time-limit", metavar="S", type=float, help="seconds for a move; who takes longer forfeits")
    game.add_argument("--workers", metavar="W", type=int, help="processes; they change nothing but the time (1)")
    game.add_argument(
        "--sprt", metavar=("ELO0", "ELO1"), nargs=2, type=float, help="stop when it is clear which lead is the true one"
    )
    game.add_argument(
        "--league", metavar="FILE", type=Path, help="add the games to this SQLite file, and rate all in it"
    )
    game.add_argument(
        "--graded", metavar="SET", nargs="+", help="how often each agent errs in these sets, as connect_four_early"
    )
    game.add_argument("--plot", metavar="FILE", type=Path, help="draw the ratings")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # films need no screen
    from envs.api import EnvError

    try:
        extensions.load(asked.imports)
        game = the_game(asked)
        complete(asked, game)
        perform = alone(asked) if game is None else graded(asked, game) if asked.graded else together(asked, game)
    except (ValueError, MemoryError, OSError, EnvError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from agents.arena.league import LeagueError

    try:
        perform()
    except KeyboardInterrupt:
        return 130
    except (LeagueError, EnvError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def the_game(asked: argparse.Namespace) -> str | None:
    """The game asked for, or the one that the agents' runs are about; None in an environment."""
    from agents.entrants import game_of

    if asked.game is not None or asked.env is not None:
        return str(asked.game) if asked.game is not None else None
    games = {name: game for name in asked.agents if (game := game_of(name)) is not None}
    if len(set(games.values())) > 1:
        raise ValueError(f"--game is needed: {', '.join(f'{name} plays {game}' for name, game in games.items())}")
    return next(iter(games.values()), None)


def complete(asked: argparse.Namespace, game: str | None) -> None:
    """Fill in what was left out. Raises ValueError for options that mean nothing here, or can't be."""
    if strange := [name for name in (TOGETHER if game is None else ALONE) if getattr(asked, name) is not None]:
        option = "--" + strange[0].replace("_", "-")
        place = "games, and --game is missing" if game is None else "environments, and this is a game"
        raise ValueError(f"{option} is for {place}")
    if asked.graded and (strange := [name for name in MATCHES if getattr(asked, name) is not None]):
        raise ValueError(f"--{strange[0].replace('_', '-')} is for matches, and --graded plays none")
    for name, value in DEFAULTS.items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
        if not 1 <= getattr(asked, name) <= MOST[name]:
            raise ValueError(
                f"--{name.replace('_', '-')} is {getattr(asked, name)}, expected at least 1 and at most {MOST[name]}"
            )
    for option, module in (("gif", "imageio"), ("plot", "matplotlib")):
        if getattr(asked, option) is not None:
            require(module, "plot", f"--{option}")
    for file in filter(None, (asked.json, asked.gif, asked.league, asked.plot)):
        if not file.parent.is_dir():
            raise ValueError(f"{file} cannot be written: {file.parent} is no directory")


def alone(asked: argparse.Namespace) -> Callable[[], None]:
    """Ready to measure every agent on the same episodes. Raises ValueError where that can't be done."""
    from rich.console import Console

    from agents.arena.paired import compare, evaluate, film, record, table
    from agents.contenders import contender
    from experiment.seeding import Seeds

    if len(set(asked.agents)) < len(asked.agents):
        raise ValueError("an agent is named twice")
    seed = asked.seed or 0
    seeds, env = Seeds(seed), world(asked, min(asked.rows, asked.episodes))
    policies = {name: contender(name, env.spec, asked.trust) for name in asked.agents}
    filmed = world(asked, 1, render=True) if asked.gif else None
    if filmed is not None:
        filmed.reset(seed)
        try:
            filmed.render()
        except Exception as error:  # the world's own, such as of a package that draws and isn't there
            raise ValueError(f"--gif: {env.spec.name} can't be drawn: {error}") from error

    def perform() -> None:
        console, results = Console(markup=False), {}
        for name, policy in policies.items():
            with console.status(f"{name}: {asked.episodes} episodes of {env.spec.name}"):
                results[name] = evaluate(policy, env, asked.episodes, seed, seeds.generator("act", name))
        standings = compare(results, seeds.generator("bootstrap"))
        console.print(table(standings, f"{env.spec.name}, {asked.episodes} episodes, seed {seed}"))
        if asked.json:
            played = {"env": env.spec.name, "episodes": asked.episodes, "seed": seed, "rows": env.count}
            write(asked.json, played | {"contenders": record(standings)})
        if filmed is not None:
            import imageio.v3

            name, policy = next(iter(policies.items()))
            pictures = film(policy, filmed, seed, seeds.generator("act", name))
            imageio.v3.imwrite(asked.gif, pictures, extension=".gif", duration=1000 / 30, loop=0)
            print(f"{asked.gif} shows {len(pictures)} steps of {name}")

    return perform


def world(asked: argparse.Namespace, count: int, render: bool = False) -> VectorEnv:
    """`count` rows of the environment asked for. Raises ValueError."""
    return stage(asked.agents[0], asked.env, asked.env_options, count, asked.max_episode_steps, render)


def together(asked: argparse.Namespace, game: str) -> Callable[[], None]:
    """Ready to let all agents play each other. Raises ValueError where they can't."""
    from rich.console import Console

    from agents.arena import standings
    from agents.arena.league import League
    from agents.arena.ratings import bradley_terry
    from agents.arena.sprt import sprt
    from agents.arena.tournament import invite, results
    from agents.entrants import entrant, settled
    from experiment.seeding import Seeds

    people = "human" in asked.agents
    if people and asked.workers > 1:
        raise ValueError("a person plays at this terminal, in one process: leave --workers out")
    agents = [settled(name) for name in asked.agents]
    terms = invite(game, agents, entrant, asked.games, asked.openings, asked.seed or 0, asked.time_limit, asked.trust)
    test = sprt(asked.sprt[0], asked.sprt[1], len(terms.agents), terms.seats) if asked.sprt else None
    if asked.league is not None and terms.seats == 1:
        raise ValueError(f"--league keeps games of several players, and {game} is for one")
    league, run = League(asked.league) if asked.league else None, 0
    if league is not None:
        run, seed = league.begin(terms, asked.seed)
        terms = terms._replace(seed=seed)

    def perform() -> None:
        console, played = Console(markup=False), []
        rng = Seeds(terms.seed).generator("ratings")
        with (
            nullcontext() if people else console.status(terms.title),
            closing(results(terms, entrant, asked.workers)) as bouts,
        ):
            for bout, games in bouts:
                played.append(games)
                if league is not None:
                    league.add(run, terms.names, bout, games)
                met = standings.pairings(2, played) if test is not None else []
                if test is not None and met and test.verdict(met[0].scores):
                    break
        lines = standings.standings(terms.names, played, rng)
        found = standings.pairings(len(terms.names), played)
        console.print(standings.table(lines, terms.title))
        if len(lines) > 2:
            console.print(standings.cross_table([line.name for line in lines], terms.names, found))
        for reason in standings.reasons(terms.names, played):
            console.print(reason)
        if test is not None:
            console.print(test.report(found[0].scores))
        if asked.json:
            write(asked.json, terms.record() | {"players": standings.record(lines)})
        named = [(line.name, line.rating) for line in lines]
        if league is not None:
            names, found = league.pairings(terms.game)
            named = list(zip(names, bradley_terry(len(names), found, rng), strict=True))
            returns, title = league.returns(terms.game), f"{asked.league.name}: all games of {terms.game}"
            if returns is None:
                console.print(standings.rating_table(names, found, [rating for _, rating in named], title))
            else:
                console.print(standings.return_table(returns, title))
        if asked.plot:
            standings.draw_ratings(named, terms.game, asked.plot)
            print(f"{asked.plot} shows the ratings")

    return perform


def graded(asked: argparse.Namespace, name: str) -> Callable[[], None]:
    """Ready to let every agent move in graded positions. Raises ValueError where that can't be done."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agents.entrants import entrant, settled
    from agents.solvers.grading import error_rate, load
    from envs.games.make import make_game
    from experiment.seeding import Seeds

    game, seeds = make_game(name), Seeds(asked.seed or 0)
    sets = {each: load(each, game) for each in asked.graded}
    players = {agent: entrant(agent, game, asked.trust) for agent in map(settled, asked.agents)}

    def perform() -> None:
        console, found = Console(markup=False), []
        shown = Table(title=f"{name}: results given away")
        shown.add_column("player", overflow="fold")
        for heading in ("set", "errors %", "95 %", "positions"):
            shown.add_column(heading, no_wrap=True)
        with console.status(f"{name}: graded positions"):
            for agent, player in players.items():
                for each, positions in sets.items():
                    rate = error_rate(player, positions, seeds.generator("graded", agent, each))
                    interval = "{:.1f} to {:.1f}".format(*(100 * bound for bound in rate.interval))
                    shown.add_row(Text(agent), each, f"{100 * rate.rate:.1f}", interval, str(rate.positions))
                    found.append({"name": agent, "set": each} | rate._asdict())
        console.print(shown)
        if asked.json:
            write(asked.json, {"game": name, "seed": asked.seed or 0, "graded": found})

    return perform


def write(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    print(f"{file} has the results")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command(main)

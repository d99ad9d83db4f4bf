"""Who may play a match, by name: `entrant("mcts:200", make_game("connect_four"))`.

random                              every legal action with the same probability
one_ply                             wins at once, prevents being beaten at once, else random
minimax, minimax:DEPTH              alpha-beta: 100,000 positions for each move, or so deep
solver                              connect four: never gives a result away
mcts:SIMULATIONS                    tree search with random rollouts
human                               a person at the terminal
openspiel:mcts:SIMULATIONS          OpenSpiel's search
openspiel:uci:PROGRAM[:MILLISECONDS]  a chess engine
sb3:FILE.zip, sb3:ALGORITHM:FILE.zip  a model of Stable-Baselines3 that was trained in the TurnEnv of the game
NAME, NAME:ARGUMENT                 what a module that was imported has put into PLAYERS under NAME
DIRECTORY                           a run or a checkpoint of ours, without search
DIRECTORY@SIMULATIONS               the same with search, where its algorithm has one
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from agents.arena.players import Human, OnePly, PolicyPlayer, Random
from agents.config import OfEnvironment, World
from agents.contenders import contender, is_directory, run_of
from agents.registry import algorithm, parse
from agents.restore import acting, load_checkpoint
from agents.search.config import SIMULATIONS
from envs.games.make import make_game
from envs.turn_env import TurnEnv
from experiment import extensions
from experiment.checkpoint import CheckpointError, newest
from experiment.config import ConfigError, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.api import Player
    from envs.api import Game

NAMES = ("random", "one_ply", "minimax", "solver", "mcts", "human", "openspiel", "sb3")
PLAYERS: dict[
    str, Callable[[str, Game], Player]
] = {}  # (the whole name, game); for players that are no part of Sparring


def entrant(name: str, game: Game, trust: bool = False) -> Player:
    """The player that `name` stands for; the list is above. trust: load archives although that runs code in them.

    Raises ValueError where there is no such player, it is not trusted, or it can't play this game.
    """
    kind, colon, argument = name.partition(":")
    if kind in PLAYERS:
        return PLAYERS[kind](name, game)
    if name == "random":
        return Random(game)
    if name == "one_ply":
        return OnePly(game)
    if name == "human":
        return Human(make_game(game.spec.name, native=False))
    if kind == "openspiel" and colon:
        from agents.arena.open_spiel_bots import open_spiel_bot

        return open_spiel_bot(name, make_game(game.spec.name, native=False))
    if kind == "sb3" and colon:
        return PolicyPlayer(contender(name, TurnEnv(game, 1).spec, trust), game, name)
    if kind == "mcts":
        from agents.search.players import mcts

        return mcts(game, _number(name, argument, "simulations, as in mcts:200", SIMULATIONS))
    if name == "solver":
        from agents.solvers.perfect import Perfect

        return Perfect(game)
    if kind == "minimax":
        from agents.solvers.minimax import Minimax

        longest = max(game.spec.max_length, 1)
        return Minimax(game, _number(name, argument, "plies, as in minimax:4", longest) if colon else None, name)
    return _checkpoint(name, game)


def settled(name: str) -> str:
    """The name that still means the same when a run has gone on: that of its newest checkpoint; else `name` itself."""
    path, at, simulations = _split(name)
    if not is_directory(path) or (path / "manifest.json").is_file():
        return name
    try:
        checkpoint, _, _ = newest(path if path.name == "checkpoints" else path / "checkpoints")
    except CheckpointError as error:
        raise ValueError(f"player {name!r}: {error}") from error
    return f"{checkpoint}{at}{simulations}"


def world_of(name: str) -> World | None:
    """What a run or checkpoint directory is about; None if `name` is another player."""
    path = _split(name)[0]
    run = run_of(path)
    if run is None:
        return None
    extensions.require(path)
    return parse(read(run / "config.yaml")).world


def game_of(name: str) -> str | None:
    """The game that a run or checkpoint directory was trained for; None if `name` is another player."""
    world = world_of(name)
    return world.name if world is not None and world.kind == "game" else None


def _checkpoint(name: str, game: Game) -> Player:
    path, at, simulations = _split(name)
    if not is_directory(path):
        near = difflib.get_close_matches(name.partition(":")[0], [*NAMES, *PLAYERS], 1, 0.6)
        hint = (
            f"did you mean {near[0]}?" if near else f"known are {', '.join([*NAMES, *PLAYERS])} and directories of runs"
        )
        raise ValueError(f"player {name!r}: no such player, and no such directory; {hint}")
    try:
        config, state, _ = load_checkpoint(path)
    except (CheckpointError, ConfigError) as error:
        raise ValueError(f"player {name!r}: {error}") from error
    kind, trained = config.world
    asked = algorithm(config.algorithm).load()
    if kind != "game" or (asked.player is None and asked.policy is None):
        place = "is no agent" if config.environment is None else "was trained in an environment"
        raise ValueError(f"player {name!r}: {config.algorithm} {place} and plays no games")
    if make_game(trained).spec.name != game.spec.name:
        raise ValueError(f"player {name!r} was trained for {trained} and can't play {game.spec.name}")
    if at and asked.searcher is None:
        raise ValueError(f"player {name!r}: {config.algorithm} plays without search, so nothing can follow the @")
    if at and asked.searcher is not None:
        return asked.searcher(
            config, game, state, name, _number(name, simulations, "simulations, as in RUN@200", SIMULATIONS)
        )
    if asked.player is not None:
        return asked.player(config, game, state, name)
    assert isinstance(config, OfEnvironment)
    return acting(config, game, state, name)


def _split(name: str) -> tuple[Path, str, str]:
    """Directory, "@" and simulations; a directory whose own name has an @ in it stays whole."""
    path, at, simulations = name.rpartition("@")
    return (Path(path), at, simulations) if at and not is_directory(Path(name)) else (Path(name), "", "")


def _number(name: str, text: str, what: str, most: int) -> int:
    if not text.isdecimal() or not text.strip("0"):
        raise ValueError(f"player {name!r}: {text!r} is no number of {what}")
    if len(text) > len(str(most)) or int(text) > most:
        raise ValueError(f"player {name!r}: {text!r} is too many, expected at most {most} {what}")
    return int(text)

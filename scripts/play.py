"""Play a game against an agent, or watch two of them, on a page of your browser or at the terminal.

    python scripts/play.py --game connect_four --opponent mcts:200
    python scripts/play.py --opponent runs/connect_four@200
    python scripts/play.py --game 'hex(board_size=5)' --opponent mcts:500 --against one_ply

AGENT is a run or checkpoint directory, DIRECTORY@SIMULATIONS, random, one_ply, minimax[:DEPTH], mcts:SIMULATIONS,
openspiel:mcts:SIMULATIONS, openspiel:uci:PROGRAM or sb3:FILE.zip. The page is served to this machine only.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from experiment import extensions
from experiment.run import command

if TYPE_CHECKING:
    from agents.play.session import GameTable


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", metavar="NAME", help="OpenSpiel's name (default: what the opponent was trained for)")
    parser.add_argument("--opponent", metavar="AGENT", required=True, help="whom to play")
    parser.add_argument("--against", metavar="AGENT", help="let this one play the opponent, and watch")
    parser.add_argument("--port", metavar="P", type=int, default=8000, help="of the page; 0 takes a free one (8000)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address of the page")
    parser.add_argument("--terminal", action="store_true", help="play here, without a page")
    parser.add_argument("--seed", metavar="S", type=int, help="decides luck and draws (default: other ones each time)")
    parser.add_argument("--trust", action="store_true", help="load SB3 archives, which runs code that is in them")
    extensions.offer(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    import secrets

    from agents.play.server import serve
    from agents.play.session import Session
    from agents.play.terminal import sit
    from experiment.seeding import Seeds

    try:
        extensions.load(asked.imports)
        seeds, table = Seeds(secrets.randbits(32) if asked.seed is None else asked.seed), the_table(asked)
        if asked.terminal:
            sit(Session(table, seeds.generator("session", 1)), input, print)
        else:
            serve(table, seeds, asked.port, lambda address: announce(address, not asked.no_browser))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def the_table(asked: argparse.Namespace) -> GameTable:
    """The game and who plays it. Raises ValueError."""
    from agents.entrants import entrant, game_of
    from agents.play.session import GameTable
    from envs.games.make import make_game

    names = [name for name in (asked.against, asked.opponent) if name is not None]
    if "human" in names:
        raise ValueError("the person is you already: name another opponent")
    name = asked.game or next(filter(None, map(game_of, names)), None)
    if name is None:
        raise ValueError(f"--game is needed: {asked.opponent} does not say which one it was trained for")
    game = make_game(name)
    return GameTable(game, [entrant(name, game, asked.trust) for name in names])


def announce(address: str, browser: bool) -> None:
    """Say where the page is, and open it where there is a screen."""
    print(f"{address}  (Ctrl-C ends it)", flush=True)
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if browser and screen:
        import webbrowser

        webbrowser.open(address)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command(main)

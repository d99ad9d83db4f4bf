"""Games by name: `make_game("connect_four(rows=4,columns=4)")`. Names are OpenSpiel's strings."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from envs.api import Game
from envs.games.native import GAMES, NativeGame
from envs.names import parameters, split

OTHERS: dict[str, Callable[[str], Game]] = {}  # by what stands before the brackets; games that are no part of Sparring


def make_game(name: str, native: bool = True) -> Game:
    """The game of this name: native where one of that size exists, else OpenSpiel's; native=False asks for OpenSpiel's.
    What a module that was imported has put into OTHERS goes first.

    Raises ValueError for an unknown name (with the nearest ones), unknown or impossible parameters, a game that can't
    be played in turns, and where OpenSpiel is needed but not installed.
    """
    name = name.strip()
    short, given = split(name, "a game, such as 'tic_tac_toe' or 'hex(board_size=5)'")
    if short in OTHERS:
        if not native:
            raise ValueError(
                f"{name} is a game of an imported module: there is no other version of it, to show to people"
            )
        return OTHERS[short](name)
    if native and short in GAMES:
        rules = GAMES[short].rules(name, parameters(name, given))
        if rules is not None:
            return NativeGame(rules)
    from envs.games import open_spiel

    known = open_spiel.names()
    if short not in known:
        near = difflib.get_close_matches(short, sorted({*known, *GAMES}), 3, 0.6)
        advice = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"no game {short!r}: {advice}")
    return open_spiel.load(name)

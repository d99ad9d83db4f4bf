"""What a session shows to whoever sits before it, in plain JSON values: for the page, and for the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.arena.match import Boards
from agents.play.session import SHOWN, Session
from agents.play.thoughts import Thought
from envs.api import TERMINAL

View = dict[str, Any]


def view(session: Session) -> View:
    """Everything there is to see. Seats are numbers from 0.

    `person` is null where agents only play, `seat` where the game is over. `moves` are the person's. The position is
    `text`, and `board` where there is a drawing. `thought` is behind the last move that an agent made, `values` are
    what agents expected for themselves, each [ply, seat, value]; both are absent while they must stay `hidden`.
    """
    table, seat = session.table, session.seat
    # what an agent thinks of a game with something hidden says what it has in its hand
    hidden = not session.open and seat != TERMINAL
    plies = range(0) if hidden else range(1, len(session.moments))
    thoughts = [(ply, thought) for ply in plies if (thought := session.moments[ply].thought) is not None]
    return {
        "game": table.spec.name,
        "turn": session.turn,
        "ply": len(session.moments) - 1,
        "seats": [{"name": seat_name(session, each), "player": player_name(session, each)} for each in _seats(session)],
        "person": session.person,
        "seat": None if seat == TERMINAL else seat,
        "told": told(session),
        "drawing": _drawing(session),
        "board": _cells(session, session.now.boards),
        "text": _text(session),
        "moves": _moves(session, session.now.boards, session.legal) if seat == session.person else [],
        "last": _last(session),
        "history": _history(session),
        "strengths": _strengths(session),
        "hidden": hidden,
        "thought": _thought(session, *thoughts[-1]) if thoughts else None,
        "values": [
            [ply, mover, float(thought.value[mover])]
            for ply, thought in thoughts
            if thought.value is not None and (mover := session.moments[ply].mover) >= 0
        ],
        "range": list(table.spec.utility) if np.isfinite(table.spec.utility).all() else None,
    }


def seat_name(session: Session, seat: int) -> str:
    drawing = session.table.drawing
    return drawing.grid.players[seat] if drawing else f"seat {seat}"


def player_name(session: Session, seat: int) -> str:
    index = session.player(seat)
    return "you" if index is None else session.table.players[index].name


def told(session: Session) -> str:
    """How the game stands, in one line."""
    if session.forfeit:
        seat, why = session.forfeit
        return f"The game is over: {why} ({seat_name(session, seat)})."
    if session.seat != TERMINAL:
        who, what = player_name(session, session.seat), seat_name(session, session.seat)
        return f"Your turn ({what})." if session.seat == session.person else f"{who} ({what}) is to move."
    returns = session.now.boards.returns()[0]
    if session.table.spec.seats != 2 or returns[0] != -returns[1]:
        scores = ", ".join(
            f"{player_name(session, seat)} ({seat_name(session, seat)}) {returns[seat]:g}" for seat in _seats(session)
        )
        return f"The game is over: {scores}."
    if returns[0] == 0:
        return "The game is over: a draw."
    winner = int(returns.argmax())
    points = "" if abs(returns[0]) == 1 else f", {returns[winner]:g} points"
    who, what = player_name(session, winner), seat_name(session, winner)
    return f"You have won ({what}{points})." if winner == session.person else f"{who} ({what}) has won{points}."


def label(session: Session, boards: Boards, action: int) -> str:
    """What an action is called in a position."""
    if session.table.drawing:
        return session.table.drawing.label(action)
    state = boards.positions[SHOWN][0]
    return str(state.action_to_string(state.current_player(), action))


def _seats(session: Session) -> range:
    return range(session.table.spec.seats)


def _drawing(session: Session) -> View | None:
    drawing = session.table.drawing
    if drawing is None:
        return None
    size = {"rows": drawing.rows, "columns": drawing.columns}
    return {"style": drawing.grid.style, "files": drawing.files, "ranks": drawing.ranks} | size


def _cells(session: Session, boards: Boards) -> list[int] | None:
    drawing = session.table.drawing
    return drawing.cells(boards.positions[SHOWN]) if drawing else None


def _text(session: Session) -> str:
    """What may be seen, in words."""
    game, positions = session.table.games[SHOWN], session.now.boards.positions[SHOWN]
    if session.person is not None:
        return game.text(positions, np.array([session.person]))[0]
    return str(positions[0]) if session.table.drawing is None else game.text(positions)[0]


def _moves(session: Session, boards: Boards, actions: list[int]) -> list[View]:
    drawing = session.table.drawing
    return [
        {
            "action": action,
            "label": label(session, boards, action),
            "clicks": drawing.clicks(action) if drawing else [],
        }
        for action in actions
    ]


def _places(session: Session, before: Boards, after: Boards, action: int) -> list[int]:
    """The cells that a move is about, the one that it arrives at last."""
    drawing = session.table.drawing
    if drawing is None:
        return []
    stages = drawing.clicks(action)
    if all(len(cells) == 1 for cells in stages):
        return [cell for (cell,) in stages]
    was, now = drawing.cells(before.positions[SHOWN]), drawing.cells(after.positions[SHOWN])
    return [cell for cell in stages[0] if was[cell] != now[cell]]  # where it dropped to


def _last(session: Session) -> View | None:
    if len(session.moments) == 1 or not session.open:
        return None
    before, (after, mover, action, _) = session.moments[-2].boards, session.now
    places = _places(session, before, after, action)
    return {"seat": mover, "label": label(session, before, action), "places": places}


def _history(session: Session) -> list[View]:
    """All moves; where something is hidden, the person's own."""
    return [
        {"seat": after.mover, "label": label(session, before.boards, after.action)}
        for before, after in zip(session.moments[:-1], session.moments[1:], strict=True)
        if session.open or after.mover == session.person
    ]


def _strengths(session: Session) -> list[View]:
    """The players that can be told how hard to try."""
    return [
        {"player": index, "name": player.name, "simulations": session.simulations[index], "choices": known.choices}
        for index, (player, known) in enumerate(zip(session.table.players, session.table.strengths, strict=True))
        if known is not None
    ]


def _thought(session: Session, ply: int, thought: Thought) -> View:
    before, mover = session.moments[ply - 1].boards, session.moments[ply].mover
    seats = _seats(session)
    legal = [] if thought.policy is None else np.flatnonzero(before.legal()[0]).tolist()
    moves = [move | _numbers(thought, move["action"]) for move in _moves(session, before, legal)]
    line, after = _line(session, before, thought.line)
    return {
        "ply": ply,
        "seat": mover,
        "player": player_name(session, mover),
        "label": label(session, before, thought.action),
        "simulations": thought.simulations,
        "proven": thought.proven,
        "value": None if thought.value is None else [float(thought.value[seat]) for seat in seats],
        "moves": sorted(moves, key=lambda move: (move["action"] != thought.action, -move["share"])),
        "before": _cells(session, before),
        "line": line,
        "after": _cells(session, after),
    }


def _numbers(thought: Thought, action: int) -> View:
    """Of one action; null is what there is no number of."""
    seen = thought.visits is not None and thought.visits[action] > 0
    return {
        "share": 0.0 if thought.policy is None else float(thought.policy[action]),
        "visits": None if thought.visits is None else int(thought.visits[action]),
        "value": float(thought.q[action]) if seen and thought.q is not None else None,
        "prior": None if thought.prior is None else float(thought.prior[action]),
    }


def _line(session: Session, boards: Boards, actions: tuple[int, ...]) -> tuple[list[View], Boards]:
    """The moves that were expected, and the position that they lead to."""
    line = []
    for action in actions:
        seat, name = int(boards.seat()[0]), label(session, boards, action)
        following = boards.step(np.array([action]))
        line.append({"seat": seat, "label": name, "places": _places(session, boards, following, action)})
        boards = following
    return line, boards

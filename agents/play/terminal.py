"""A session at the terminal: the board as text, moves by their names or numbers."""

from __future__ import annotations

from collections.abc import Callable

from agents.play.session import Refusal, Session
from agents.play.view import View, view

HELP = "a move by its name or number; undo, swap, new, strength N [PLAYER], moves, help, quit"
LISTED = 30  # moves that are listed without being asked for
LOOKED_AT = 3  # moves of an agent that its numbers are told of


def sit(session: Session, read: Callable[[str], str], write: Callable[[str], None]) -> None:
    """Play until the person quits, or has nothing more to say (EOFError of `read`)."""
    write(f"{session.table.spec.name}. You can say: {HELP}.")
    drawing = session.table.drawing
    if drawing and drawing.grid.players != ("x", "o"):
        write("x is {}, o is {}.".format(*drawing.grid.players))
    if session.person is None:
        write("An empty line lets the agent whose turn it is move.")
    while True:
        shown = view(session)
        write(f"\n{shown['text']}\n{shown['told']}")
        if session.person is not None and shown["seat"] not in (None, session.person):
            session.reply()
            write(remark(view(session)))
            continue
        if len(shown["moves"]) <= LISTED:
            write(listed(shown))
        try:
            while not obey(session, shown, said := read("> ").strip(), write):
                pass
        except EOFError:
            return
        if said == "quit":
            return


def obey(session: Session, shown: View, said: str, write: Callable[[str], None]) -> bool:
    """Do what was said. False where there is nothing new to show: it was a question, or can't be done."""
    word, *more = said.split() or [""]
    try:
        if word in ("undo", "swap", "new") and not more:
            {"undo": session.undo, "swap": session.swap, "new": session.restart}[word]()
        elif word == "strength" and all(part.isdigit() for part in more) and len(more) in (1, 2):
            session.strengthen(int(more[1]) if len(more) == 2 else 0, int(more[0]))
        elif word == "moves":
            write(listed(shown))
            return False
        elif said == "" and session.person is None:
            session.reply()
            write(remark(view(session)))
        elif said != "quit":
            session.play(chosen(shown, said))
    except Refusal as refusal:
        write(f"{refusal}. You can say: {HELP}.")
        return False
    return True


def chosen(shown: View, said: str) -> int:
    """The action of this name or number. Raises Refusal."""
    for move in shown["moves"]:
        if said == move["label"] or said == str(move["action"]):
            return int(move["action"])
    raise Refusal(f"{said!r} is no legal move")


def listed(shown: View) -> str:
    return "  ".join(f"{move['label']} ({move['action']})" for move in shown["moves"])


def remark(shown: View) -> str:
    """What an agent thought of the move that it has just made."""
    if shown["thought"] is None or shown["thought"]["ply"] != shown["ply"]:
        return ""
    thought = shown["thought"]
    parts = [f"{thought['player']} plays {thought['label']}"]
    if thought["simulations"] is not None:
        parts.append(f"{thought['simulations']} simulations")
    if thought["value"] is not None:
        proven = " (proven)" if thought["proven"] else ""
        parts.append(f"value {thought['value'][thought['seat']]:+.2f}{proven}")
    if thought["moves"]:
        parts.append("looked at " + ", ".join(f"{m['label']} {m['share']:.0%}" for m in thought["moves"][:LOOKED_AT]))
    if thought["line"]:
        parts.append("expects " + " ".join(move["label"] for move in thought["line"]))
    return "; ".join(parts)

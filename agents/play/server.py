"""The page's server: loopback only, JSON only, and nothing in a request names a file or a player.

Who may ask is decided in `guard`. A session is known by an unguessable key. One request at a time changes it; whatever
else is asked meanwhile is told that the agent is thinking. A request says what it believes to be the session's turn,
so that two tabs with one game can't play on past each other.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from agents.play.guard import Guard, Problem
from agents.play.session import GameTable, Refusal, Session
from agents.play.view import View, view
from experiment.seeding import Seeds

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

LOOPBACK = "127.0.0.1"
MOST_SESSIONS = 32  # those not used for the longest time go
PAGE = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/board.js": ("board.js", "text/javascript"),
    "/panel.js": ("panel.js", "text/javascript"),
}


class Deed(BaseModel):
    """Something is done to a session that is, as far as the page knows, at this turn."""

    model_config = ConfigDict(extra="forbid", strict=True)
    turn: int


class Move(Deed):
    action: int


class Strengthening(Deed):
    player: int
    simulations: int


class Sessions:
    """By their keys. One request at a time changes a session, and only if it knows what has happened so far."""

    def __init__(self, table: GameTable, seeds: Seeds) -> None:
        self.table, self.seeds, self.begun = table, seeds, 0
        self._kept: OrderedDict[str, tuple[Session, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> View:
        with self._lock:
            self.begun += 1
            key, session = secrets.token_urlsafe(16), Session(self.table, self.seeds.generator("session", self.begun))
            self._kept[key] = session, threading.Lock()
            if len(self._kept) > MOST_SESSIONS:
                self._kept.popitem(last=False)
        return view(session) | {"session": key, "busy": False}

    def look(self, key: str) -> View:
        session, busy = self._find(key)
        return view(session) | {"busy": busy.locked()}

    def act(self, key: str, turn: int, deed: Callable[[Session], None]) -> View:
        """Raises Problem: no such session, somebody is thinking, something happened meanwhile, or it can't be done."""
        session, busy = self._find(key)
        if not busy.acquire(blocking=False):
            raise Problem(409, "The agent is still thinking about its move.")
        try:
            if turn != session.turn:
                raise Problem(409, "This game has gone on elsewhere: here is how it stands.", {"view": view(session)})
            deed(session)
            return view(session) | {"busy": False}
        except Refusal as refusal:
            raise Problem(400, f"{refusal}.".capitalize()) from refusal
        finally:
            busy.release()

    def _find(self, key: str) -> tuple[Session, threading.Lock]:
        with self._lock:
            if key not in self._kept:
                raise Problem(404, "This game is not there any more.")
            self._kept.move_to_end(key)
            return self._kept[key]


def application(table: GameTable, seeds: Seeds, hosts: frozenset[str]) -> Guard:
    """The ASGI application. hosts: the names under which it answers, with the port."""
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _routes(app, Sessions(table, seeds))

    async def refuse(_: Any, problem: Any) -> JSONResponse:
        return JSONResponse(problem.content, problem.status)

    async def invalid(_: Any, error: Any) -> JSONResponse:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return JSONResponse({"error": f"That was no request of this page: {wrong}"}, 422)

    async def failed(_: Any, error: Any) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    app.add_exception_handler(Problem, refuse)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, failed)
    return Guard(app, hosts)


def _routes(app: FastAPI, sessions: Sessions) -> None:
    from fastapi.responses import Response

    def asset(name: str, kind: str) -> Callable[[], Response]:
        content = files("agents.play").joinpath("page", name).read_bytes()
        return lambda: Response(content, media_type=kind)

    for path, (name, kind) in PAGE.items():
        app.get(path)(asset(name, kind))

    @app.post("/sessions")
    async def begin() -> View:
        return await aside(sessions.begin)

    @app.get("/sessions/{key}")
    async def look(key: str) -> View:
        return await aside(lambda: sessions.look(key))

    @app.post("/sessions/{key}/play")
    async def play(key: str, asked: Move) -> View:
        return await aside(lambda: sessions.act(key, asked.turn, lambda session: session.play(asked.action)))

    @app.post("/sessions/{key}/strength")
    async def strengthen(key: str, asked: Strengthening) -> View:
        told = asked.player, asked.simulations
        return await aside(lambda: sessions.act(key, asked.turn, lambda session: session.strengthen(*told)))

    def plain(deed: Callable[[Session], None]) -> Callable[[str, Deed], Awaitable[View]]:
        async def act(key: str, asked: Deed) -> View:
            return await aside(lambda: sessions.act(key, asked.turn, deed))

        return act

    for name, deed in (
        ("reply", Session.reply),
        ("undo", Session.undo),
        ("swap", Session.swap),
        ("restart", Session.restart),
    ):
        app.post(f"/sessions/{{key}}/{name}")(plain(deed))


async def aside(work: Callable[[], View]) -> View:
    """Work in a thread, so that one who thinks holds up nobody else, and not the end of the program either: threads of
    the server's own pool would be waited for."""
    done: Future[View] = Future()
    done.set_running_or_notify_cancel()

    def perform() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=perform, daemon=True).start()
    return await asyncio.wrap_future(done)


def serve(table: GameTable, seeds: Seeds, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. port: 0 for a free one; `ready` is told the address.

    Raises ValueError if the port is taken or the server is not installed, KeyboardInterrupt after SIGINT.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise ValueError(
            "the page needs FastAPI and uvicorn: pip install 'sparring[play]', or use --terminal"
        ) from error
    if not 0 <= port < 1 << 16:
        raise ValueError(f"there is no port {port}: expected 0 to 65535")
    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise ValueError(f"can't listen on port {port}: {error}") from error
    with listening:
        port = listening.getsockname()[1]
        hosts = frozenset(f"{name}:{port}" for name in (LOOPBACK, "localhost"))
        config = uvicorn.Config(
            application(table, seeds, hosts),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        ready(f"http://{LOOPBACK}:{port}/")
        asked: list[int] = []

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                asked.append(sig)
                super().handle_exit(sig, frame)

        Server(config).run(sockets=[listening])
        if signal.SIGINT in asked:  # which asyncio loses if the server has nothing left to wait for
            raise KeyboardInterrupt

"""Who may ask the page's server, in front of everything else.

A page of another site that finds the port must not be able to play along. So requests are answered only under the
server's own name (Host, against DNS rebinding) and from its own page (Origin); what is posted must say that it is JSON,
which other sites can't send without asking first, and they are never told that they may (no CORS). Scripts run from the
server's own files only.
"""

from __future__ import annotations

import asyncio
from typing import Any

LONGEST_BODY = 4096  # bytes
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


class Problem(Exception):
    """An HTTP status and a message for the person at the page, with whatever else the page should know."""

    def __init__(self, status: int, message: str, more: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.content = status, {"error": message} | (more or {})


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: Any, hosts: frozenset[str]) -> None:
        self.app, self.hosts, self.origins = app, hosts, {f"http://{host}" for host in hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            self._judge(scope)
            unread = [{"type": "http.request", "body": await _body(receive), "more_body": False}]

            async def replay() -> Any:
                return unread.pop() if unread else await receive()

            await self.app(scope, replay, answer)
        except Problem as problem:
            await _refuse(problem, scope, receive, answer)
        except asyncio.CancelledError:  # Ctrl-C while an agent is thinking
            await _refuse(Problem(503, "The server is being stopped."), scope, receive, answer)

    def _judge(self, scope: Any) -> None:
        """Raises Problem."""
        found: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.lower(), []).append(value.decode("latin-1"))
        host, origin, kind = (found.get(name, []) for name in (b"host", b"origin", b"content-type"))
        if len(host) != 1 or host[0] not in self.hosts:
            raise Problem(403, "This server answers to its own address only.")
        if len(origin) > 1 or not set(origin) <= self.origins:
            raise Problem(403, "This server answers to its own page only.")
        if scope["method"] == "POST" and [one.partition(";")[0].strip() for one in kind] != ["application/json"]:
            raise Problem(415, "This server reads application/json only.")


async def _body(receive: Any) -> bytes:
    """The whole of it. Raises Problem if it is too long, or if the client leaves before its end."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(400, "The request has no end.")
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > LONGEST_BODY:
            raise Problem(413, f"A request has at most {LONGEST_BODY} bytes.")
    return body


async def _refuse(problem: Problem, scope: Any, receive: Any, send: Any) -> None:
    from fastapi.responses import JSONResponse

    await JSONResponse(problem.content, problem.status)(scope, receive, send)

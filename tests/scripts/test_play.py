"""scripts/play.py: the page's server, the page in a real browser, the terminal."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.api import Player
from agents.arena.players import OnePly, Random
from agents.play.guard import LONGEST_BODY
from agents.play.server import MOST_SESSIONS, application
from agents.play.session import GameTable
from agents.records import Carry, forgets
from agents.search.players import mcts
from envs.api import Array, Game, Positions
from envs.games.make import make_game
from experiment.seeding import Seeds
from scripts.play import main

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")
from fastapi.testclient import TestClient

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "play.py"
HOST = "127.0.0.1:8000"
GAME = make_game("tic_tac_toe")


class Waiting:
    """Plays the first legal action as soon as it may go on."""

    name = "waiting"

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        self.asked.set()
        assert self.go.wait(10)
        return carry, GAME.legal(positions).argmax(1)


@pytest.fixture
def opponent() -> Waiting:
    waiting = Waiting()
    waiting.go.set()
    return waiting


@pytest.fixture
def client(opponent: Waiting) -> TestClient:
    app = application(GameTable(GAME, [opponent]), Seeds(0), frozenset({HOST}))
    return TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False)


class Tab:
    """A page that is open."""

    def __init__(self, client: TestClient) -> None:
        self.client, self.view = client, client.post("/sessions", json={}).json()
        self.path = f"/sessions/{self.view['session']}"

    def ask(self, deed: str, **more: Any) -> tuple[int, Any]:
        answer = self.client.post(f"{self.path}/{deed}", json={"turn": self.view["turn"], **more})
        if answer.status_code == 200:
            self.view = answer.json()
        return answer.status_code, answer.json()


# The server -----------------------------------------------------------------------------------------------------------


def test_a_game_over_http(client: TestClient) -> None:
    tab = Tab(client)
    assert tab.view["told"] == "Your turn (x)."
    for action in (4, 2, 6):
        status, view = tab.ask("play", action=action)
        assert status == 200
        if view["seat"] is not None:
            assert tab.ask("reply")[0] == 200
    assert tab.view["told"] == "You have won (x)."
    assert tab.ask("play", action=0)[1] == {"error": "The game is over."}
    for deed in ("undo", "swap", "restart"):
        assert tab.ask(deed)[0] == 200
    assert (tab.view["ply"], tab.view["person"]) == (0, 1)
    assert client.get(tab.path).json() == tab.view


def test_illegal_moves_are_refused_kindly(client: TestClient) -> None:
    tab = Tab(client)
    tab.ask("play", action=4)
    tab.ask("reply")
    before = tab.view
    assert tab.ask("play", action=4) == (400, {"error": "That is not a legal move here."})
    assert tab.ask("play", action=10**30)[0] == 400
    assert client.get(tab.path).json() == before


def test_several_tabs_have_games_of_their_own(client: TestClient) -> None:
    one, other = Tab(client), Tab(client)
    one.ask("play", action=4)
    other.ask("play", action=0)
    assert client.get(one.path).json()["board"] == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert client.get(other.path).json()["board"] == [1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_a_tab_that_missed_something_is_told_how_things_stand(client: TestClient) -> None:
    tab = Tab(client)
    late = tab.view["turn"]
    tab.ask("play", action=4)
    answer = client.post(f"{tab.path}/play", json={"turn": late, "action": 0})
    assert answer.status_code == 409
    assert "gone on elsewhere" in answer.json()["error"]
    assert answer.json()["view"]["board"] == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_while_an_agent_thinks_others_are_answered(client: TestClient, opponent: Waiting) -> None:
    tab, other = Tab(client), Tab(client)
    tab.ask("play", action=4)
    opponent.go.clear()
    replies: list[int] = []
    thinking = threading.Thread(target=lambda: replies.append(tab.ask("reply")[0]))
    thinking.start()
    try:
        assert opponent.asked.wait(10)
        seen = client.get(tab.path).json()
        assert (seen["busy"], seen["ply"]) == (True, 1)
        for deed in ("undo", "reply", "restart"):
            answer = client.post(f"{tab.path}/{deed}", json={"turn": seen["turn"]})
            assert (answer.status_code, answer.json()) == (
                409,
                {"error": "The agent is still thinking about its move."},
            )
        assert other.ask("play", action=0)[0] == 200
    finally:
        opponent.go.set()
        thinking.join()
    assert replies == [200]
    seen = client.get(tab.path).json()
    assert (seen["busy"], seen["ply"]) == (False, 2)


def test_only_its_own_page_is_answered(client: TestClient) -> None:
    tab = Tab(client)
    move = {"turn": 0, "action": 4}

    def post(**headers: str) -> int:
        return client.post(f"{tab.path}/play", json=move, headers=headers).status_code

    assert post(Host="evil.example:8000") == 403
    assert post(Host="127.0.0.1") == 403
    assert post(Origin="http://evil.example") == 403
    assert post(Origin="http://127.0.0.1:8001") == 403
    assert post(Origin="null") == 403
    assert post(**{"Content-Type": "text/plain"}) == 415
    assert client.get(tab.path, headers={"Host": "evil.example:8000"}).status_code == 403
    assert client.options(tab.path, headers={"Origin": f"http://{HOST}"}).status_code == 405
    assert client.get(tab.path).json()["ply"] == 0
    assert post(Origin=f"http://{HOST}") == 200
    answer = client.get(tab.path, headers={"Origin": f"http://{HOST}"})
    assert "access-control-allow-origin" not in answer.headers
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 4000,
        b'{"turn": 0}',
        b'{"turn": 0, "action": "4"}',
        b'{"turn": 0, "action": 4.0}',
        b'{"turn": true, "action": 4}',
        b'{"turn": 0, "action": 4, "opponent": "runs/other"}',
    ],
)
def test_what_the_page_would_not_send_is_refused_in_json(client: TestClient, content: bytes) -> None:
    tab = Tab(client)
    answer = client.post(f"{tab.path}/play", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error"}
    assert client.get(tab.path).json()["ply"] == 0


def test_long_bodies_are_not_read(client: TestClient) -> None:
    tab = Tab(client)
    for content in (b" " * (LONGEST_BODY + 1), iter([b" " * 1000] * 5)):
        answer = client.post(f"{tab.path}/play", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/etc/passwd", "/page/page.js", "/%2e%2e/server.py", "/docs", "/sessions/x"])
def test_there_is_nothing_else_to_get(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


def test_the_page_comes_in_five_parts(client: TestClient) -> None:
    scripts = [(f"/{name}.js", "javascript") for name in ("page", "board", "panel")]
    for path, kind in [("/", "html"), ("/style.css", "css"), *scripts]:
        answer = client.get(path)
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
    assert "<script>" not in client.get("/").text


def test_old_sessions_make_room_for_new_ones(client: TestClient) -> None:
    first, second = Tab(client), Tab(client)
    for _ in range(MOST_SESSIONS - 2):
        Tab(client)
    first.ask("play", action=0)
    Tab(client)
    assert client.get(first.path).status_code == 200
    assert client.get(second.path).status_code == 404


# The script -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (["--opponent", "random"], "--game is needed"),
        (["--game", "tic_tac_to", "--opponent", "random"], "did you mean tic_tac_toe"),
        (["--game", "tic_tac_toe", "--opponent", "randm"], "did you mean random"),
        (["--game", "tic_tac_toe", "--opponent", "human"], "the person is you"),
        (["--game", "tic_tac_toe", "--opponent", "mcts"], "simulations"),
        (["--game", "tic_tac_toe", "--opponent", "random", "--port", "70000"], "port 70000"),
        (["--game", "tic_tac_toe", "--opponent", "random", "--seed", "-1"], "non-negative"),
    ],
)
def test_a_wrong_request_ends_with_2_and_says_why(
    request_: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(request_) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert reason in told.err
    assert told.out == ""


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--game", "tic_tac_toe", "--opponent", "random", "--port", port]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    code = "import runpy, sys; sys.argv = ['play.py', '--help']\n"
    code += f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    code += "except SystemExit as end: print('exit', end.code, {'torch', 'numpy', 'fastapi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "AGENT" in done.stdout
    assert done.stdout.splitlines()[-1] == "exit 0 set()"


def at_the_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str, say: list[str]) -> None:
    said = iter(say)

    def read(prompt: str) -> str:
        try:
            return next(said)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    assert main(["--terminal", "--seed", "3", *arguments]) == 0
    assert not list(said), "everything was read"


def test_a_game_at_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    say = ["d", "nonsense", "moves", "strength 8", "strength 9", "3", "undo", "swap", "c", "new", "quit"]
    at_the_terminal(monkeypatch, "--game", "connect_four", "--opponent", "mcts:16", say=say)
    out = capsys.readouterr().out
    assert "x is red, o is yellow." in out
    assert "1 . . . x . . .\n  a b c d e f g\nmcts:16 (yellow) is to move." in out
    assert "'nonsense' is no legal move. You can say: " in out
    assert "there is no such strength to choose" in out
    assert "16 simulations; value " in out
    assert "8 simulations; value " in out
    assert "mcts:16 (red) is to move." in out


def test_watching_at_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyspiel")
    at_the_terminal(
        monkeypatch, "--game", "kuhn_poker", "--opponent", "random", "--against", "random", say=["", "a", ""]
    )
    out = capsys.readouterr().out
    assert "random plays " in out
    assert "'a' is no legal move" in out


# The page -------------------------------------------------------------------------------------------------------------


@contextmanager
def served(*players: Player, game: Game) -> Iterator[str]:
    """The page in a thread of its own. Yields its address."""
    uvicorn = pytest.importorskip("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        app = application(GameTable(game, players), Seeds(1), frozenset({host}))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        try:
            yield f"http://{host}/"
        finally:
            server.should_exit = True
            thread.join()


class Page:
    """What is seen of a page, and done with it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        browser.get(address)
        self.idle()

    def texts(self, selector: str) -> list[str]:
        """Of all elements, at one moment."""
        script = "return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent)"
        found: list[str] = self.browser.execute_script(script, selector)
        return found

    def text(self, selector: str) -> str:
        (found,) = self.texts(selector)
        return found

    def idle(self) -> str:
        """Wait until nothing is under way. Returns how the game stands."""
        end = time.monotonic() + 30
        while self.texts("#play[aria-busy='false'] #told") in ([], [""]):
            assert time.monotonic() < end, self.text("body")
            time.sleep(0.01)
        return self.text("#told")

    def click(self, selector: str | int) -> str:
        """Click a cell, or what is selected, and wait for what comes of it."""
        found = f"[data-cell='{selector}']" if isinstance(selector, int) else selector
        self.browser.find_element("css selector", found).click()
        return self.idle()

    def history(self) -> list[str]:
        return self.texts("#history li")

    def stones(self) -> tuple[int, int]:
        return len(self.texts("#board .mark1")), len(self.texts("#board .mark2"))

    def problems(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]


def test_a_whole_game_in_a_browser(browser: Any) -> None:
    request = ["--game", "tic_tac_toe", "--opponent", "mcts:64", "--port", "0", "--no-browser", "--seed", "1"]
    command, pipe = [sys.executable, str(SCRIPT), *request], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().partition(" ")[0]
            assert address.startswith("http://127.0.0.1:")
            page = Page(browser, address)
            _play_to_the_end(page)
            _turn_back_and_around(page)
            server.send_signal(signal.SIGINT)
            assert (server.communicate(timeout=20)[1], server.returncode) == ("", 130)
        finally:
            server.kill()
    assert page.problems() == []


def _play_to_the_end(page: Page) -> None:
    assert page.text("#told") == "Your turn (x)."
    assert page.click(4) == "Your turn (x)."
    assert page.stones() == (1, 1)

    page.click(4)  # taken already
    assert page.text("#message") == "That is not a legal move here. Please try another cell."
    assert page.stones() == (1, 1)

    visits = [int(number) for number in page.texts("#panel .visits")]
    assert len(visits) == 8
    assert sum(visits) == 64
    assert -1 <= float(page.text("#value").rpartition(" ")[2]) <= 1
    assert page.text("#panel h2").endswith("64 simulations")
    assert page.text("#line").split()[0] == page.history()[1]
    assert page.texts("#panel svg.marks .heat")

    while page.text("#told").startswith("Your turn"):
        page.click("#board .hit.open")
        assert page.text("#message") == ""
    assert page.text("#told").startswith(("You have won", "mcts:64 (o) has won", "The game is over"))
    page.click("#board .hit")
    assert page.text("#message") == "The game is over. Undo, or begin a new one."


def _turn_back_and_around(page: Page) -> None:
    assert page.click("#undo") == "Your turn (x)."
    page.click("#restart")
    assert page.stones() == (0, 0)
    assert page.click("#swap") == "Your turn (o)."
    assert page.stones() == (1, 0)
    page.browser.find_element("id", "strength0").send_keys("\ue012")  # the arrow to the left
    page.idle()
    assert page.text("output") == "32 simulations"
    page.click("#board .hit.open")
    assert page.text("#panel h2").endswith("32 simulations")
    held = page.history()
    page.browser.refresh()
    page.idle()
    assert page.history() == held, "a page that is loaded again goes on with its game"


def test_moves_of_two_clicks_in_a_browser(browser: Any) -> None:
    game = make_game("breakthrough(rows=4,columns=3)")
    with served(OnePly(game), game=game) as address:
        page = Page(browser, address)
        page.click(0)
        assert len(page.texts("#board .picked")) == 1
        page.click(8)
        assert "nothing of yours can go there" in page.text("#message")
        page.click(0)
        page.click(1)  # another one of one's own
        page.click(4)
        assert page.history()[0] == "b4b3"
        assert len(page.history()) == 2
        assert "tells nothing but its move" in page.text("#panel")
    assert page.problems() == []


def test_two_agents_in_a_browser(browser: Any) -> None:
    game = make_game("othello(board_size=4)")
    with served(mcts(game, 8), Random(game), game=game) as address:
        page = Page(browser, address)
        assert page.text("#told") == "mcts:8 (black) is to move."
        page.click(0)
        assert page.text("#message") == "You are watching: press Step."
        assert page.click("#step") == "random (white) is to move."
        assert sum(map(int, page.texts("#panel .visits"))) == 8
        while page.texts("#step:enabled"):
            page.click("#step")
        assert page.text("#told").startswith(("mcts:8 (black) has won", "random (white) has won", "The game is over"))
    assert page.problems() == []


def test_hidden_cards_in_a_browser(browser: Any) -> None:
    pytest.importorskip("pyspiel")
    game = make_game("kuhn_poker")
    with served(Random(game), game=game) as address:
        page = Page(browser, address)
        assert page.browser.find_element("id", "text").is_displayed()
        assert "when the game is over" in page.text("#panel")
        assert page.click("#moves [data-action='1']").startswith(("You have won", "random (seat 1) has won"))
    assert page.problems() == []

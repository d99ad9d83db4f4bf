from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agents.fleet import pulse
from agents.fleet.pulse import Pulse

LISTEN = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    print(flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux does")
def test_the_death_of_who_listens_is_noticed_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "raylet")
    request = [sys.executable, "-c", LISTEN, path]
    with subprocess.Popen(request, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        watched = Pulse(path, lambda: None)
        assert watched.lost() is None
        process.kill()
        process.wait()
        assert watched.lost() == "its raylet has died"
        watched.close()


def test_a_server_that_no_longer_answers_is_noticed_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str | None] = [None, "refused"]
    watched = Pulse("/nowhere", lambda: answers.pop(0))
    assert watched.lost() is None and len(answers) == 2, "it is asked once a second"
    monkeypatch.setattr(pulse, "SECONDS", 0.0)
    assert watched.lost() is None
    assert watched.lost() == "its GCS no longer answers (refused)"

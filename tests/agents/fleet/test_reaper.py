from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agents.fleet.reaper import members, watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def pretender(name: str, file: Path) -> subprocess.Popen[bytes]:
    """A process that goes by a name and has a file open."""
    file.parent.mkdir(exist_ok=True)
    with file.open("w") as output:
        return subprocess.Popen(["bash", "-c", f"exec -a {name} sleep 60"], stdout=output)


def test_the_members_of_a_session_are_ended_with_who_watches_and_nobody_else(tmp_path: Path) -> None:
    ours, other = tmp_path / "session_1", tmp_path / "session_12"
    agent = pretender("ray::Agent", ours / "agent.log")
    bystanders = [pretender("tail", ours / "seen.log"), pretender("ray::Agent", other / "agent.log")]
    everybody = [agent, *bystanders]
    try:
        reaper = watch(str(ours))
        assert reaper is not None
        while members(str(ours)) != [agent.pid]:  # until bash has become what it pretends to be
            assert agent.poll() is None
        assert reaper.poll() is None, "it waits"
        reaper.communicate(timeout=30)
        assert agent.wait(30) == -9
        assert [process.poll() for process in bystanders] == [None, None]
    finally:
        for process in everybody:
            process.kill()
            process.wait()

"""Ends what a Ray of ours would leave behind if the process that started it were killed.

    reaper = watch("/tmp/ray/session_2026-01-01_12-00-00_000000_1234")
    reaper.kill()           # when Ray was shut down in order, or
    reaper.communicate()    # when it wasn't

Ray's agents notice that their parents have died, but then wait for minutes for a server that has died too. Linux only:
elsewhere nobody watches.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE = 1.0  # seconds for everybody to leave alone
SWEEPS = 5  # a process may start another one while it is looked for


def watch(session: str) -> subprocess.Popen[bytes] | None:
    """A process that waits for the end of its input, such as that of this one, and then ends a session's members."""
    if not Path("/proc/self/fd").is_dir():
        return None
    request = [sys.executable, "-I", "-S", __file__, session]
    return subprocess.Popen(
        request, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def members(session: str) -> list[int]:
    """Ray's workers and agents that have a file below the session's directory open."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _belongs(path, session + "/")]


def _belongs(process: Path, prefix: str) -> bool:
    try:
        named = (process / "cmdline").read_bytes().startswith(b"ray::")
        return named and any(os.readlink(file).startswith(prefix) for file in list((process / "fd").iterdir()))
    except OSError:  # it has ended, or is somebody else's
        return False


def reap(session: str) -> None:
    """End them all."""
    for _ in range(SWEEPS):
        time.sleep(GRACE / SWEEPS)
        for pid in members(session):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.read()
    reap(sys.argv[1])

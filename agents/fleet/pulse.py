"""Whether the processes of Ray itself still live: where they don't, Ray's next call may end ours without a word.

pulse = Pulse(socket_of_the_raylet, lambda: silence(address_of_the_gcs))
pulse.lost()    # None, or what has died
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

SECONDS = 1.0  # between two questions to the server of the cluster


class Pulse:
    """Of the raylet, through which this process speaks to Ray, and of the cluster's server, the GCS.

    silence: why the GCS doesn't answer, None where it does. The raylet is looked at on Linux only.
    """

    def __init__(self, raylet: str, silence: Callable[[], str | None]) -> None:
        self.silence, self.asked = silence, time.monotonic()
        self.raylet = _process_behind(raylet) if sys.platform == "linux" else None

    def lost(self) -> str | None:
        """What has died; None where all is well. Asks the GCS once a second, and takes microseconds otherwise."""
        if self.raylet is not None and select.select([self.raylet], [], [], 0)[0]:
            return "its raylet has died"
        if time.monotonic() < self.asked + SECONDS:
            return None
        reason, self.asked = self.silence(), time.monotonic()
        return None if reason is None else f"its GCS no longer answers ({reason})"

    def close(self) -> None:
        if self.raylet is not None:
            os.close(self.raylet)
            self.raylet = None


def _process_behind(path: str) -> int | None:
    """A descriptor, ready when it has ended, of the process that listens at a Unix socket; None where that is on
    another machine's, or has ended."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return os.pidfd_open(pid)
        except OSError:
            return None

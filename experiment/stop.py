"""Was this run told to stop? One place to ask, for whatever takes long.

    with asking(lambda: run.stop_signal is not None):
        for game in games:
            unless_stopped()    # raises Stopped
            play(game)

A run answers while it is entered (`experiment.run.Run`). What is given up when it says yes must be of no account: an
evaluation, a wait. A step of a course is not, and is finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_asked: list[Callable[[], bool]] = []
_GLANCE = 0.1  # seconds of a pause between two questions


class Stopped(Exception):
    """What went on was given up, since the run was told to stop."""


def told() -> bool:
    """Whether a run that is going on was told to stop. Costs less than a microsecond."""
    return any(answer() for answer in _asked)


def unless_stopped() -> None:
    """Raise Stopped if a run that is going on was told to stop."""
    if told():
        raise Stopped


def pause(seconds: float) -> None:
    """Sleep, but not on after a run was told to stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not told():
        time.sleep(min(left, _GLANCE))


@contextmanager
def asking(answer: Callable[[], bool]) -> Iterator[None]:
    """Inside, `answer` says whether to stop."""
    _asked.append(answer)
    try:
        yield
    finally:
        _asked.remove(answer)

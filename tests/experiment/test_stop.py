from __future__ import annotations

import time

import pytest

from experiment.stop import Stopped, asking, pause, told, unless_stopped


def test_who_asks_hears_what_the_run_that_goes_on_was_told() -> None:
    signals: list[int] = []
    unless_stopped()
    with asking(lambda: bool(signals)):
        unless_stopped()
        signals.append(15)
        assert told()
        with pytest.raises(Stopped):
            unless_stopped()
    assert not told(), "the run is over, and the next one has been told nothing"


def test_a_pause_ends_when_its_time_is_over_or_the_run_is_told_to_stop() -> None:
    begin = time.monotonic()
    pause(0.15)
    assert time.monotonic() - begin >= 0.15
    with asking(lambda: time.monotonic() - begin > 0.3):
        pause(60)
    assert time.monotonic() - begin < 30

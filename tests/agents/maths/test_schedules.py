"""Schedules go from start to end, in this direction, and stay there."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agents.maths.schedules import Schedule, value
from experiment.config import Config, ConfigError, check

KINDS = ("linear", "exponential", "cosine")


class Experiment(Config):
    rate: float | Schedule = 0.5
    """a number or a schedule"""


def parsed(rate: object) -> float | Schedule:
    return check(Experiment, {"rate": rate}).rate


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("start", "end"), [(1.0, 0.05), (0.05, 1.0), (-1.0, -3.0)])
@pytest.mark.parametrize("until", [1.0, 0.25])
def test_from_start_to_end_and_never_back(kind: str, start: float, end: float, until: float) -> None:
    schedule = parsed({"kind": kind, "start": start, "end": end, "until": until})
    values = [value(schedule, i / 400) for i in range(401)]
    assert values[0] == start
    assert values[-1] == end
    moving = values[: int(400 * until) + 1]
    sign = 1 if end > start else -1
    assert all(sign * (after - before) > 0 for before, after in pairwise(moving))  # never constant
    assert set(values[int(400 * until) :]) == {end}


def test_values_halfway() -> None:
    def at(kind: str, progress: float) -> float:
        return value(parsed({"kind": kind, "start": 1.0, "end": 0.01, "until": 0.5}), progress)

    assert at("linear", 0.25) == pytest.approx(0.505)
    assert at("exponential", 0.25) == pytest.approx(0.1)
    assert at("cosine", 0.25) == pytest.approx(0.505)
    assert at("cosine", 0.125) == pytest.approx(0.01 + 0.99 * (1 + 0.5**0.5) / 2)
    assert at("linear", 0.125) == pytest.approx(0.7525)


def test_the_sign_trap() -> None:
    """DQN's epsilon, 1 to 0.05 in a tenth of the run. max(end, start + slope * t) with a wrong sign never moves."""
    schedule = Schedule(kind="linear", start=1.0, end=0.05, until=0.1)
    assert [value(schedule, p) for p in (0.0, 0.05, 0.1, 0.5)] == pytest.approx([1.0, 0.525, 0.05, 0.05])
    trapped = [max(0.05, 1.0 + 0.95 * p / 0.1) for p in (0.0, 0.05, 0.1)]
    assert min(trapped) == 1.0


def test_a_number_is_a_schedule() -> None:
    assert [value(3e-4, p) for p in (0.0, 0.5, 1.0)] == [3e-4] * 3
    assert parsed(0.25) == 0.25
    assert value(1, 0.5) == 1.0


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_is_a_fraction_of_the_run(progress: float) -> None:
    with pytest.raises(ValueError, match="0 at the start of a run to 1 at its end"):
        value(0.5, progress)


def test_wrong_schedules_are_refused_when_parsed() -> None:
    with pytest.raises(ConfigError, match=r"until: found 1\.5"):
        parsed({"start": 1.0, "end": 0.0, "until": 1.5})
    with pytest.raises(ConfigError, match=r"no constant factor leads from 1\.0 to 0\.0"):
        parsed({"kind": "exponential", "start": 1.0, "end": 0.0})
    with pytest.raises(ConfigError, match="end"):
        parsed({"start": 1.0})
    with pytest.raises(ConfigError):
        parsed("often")

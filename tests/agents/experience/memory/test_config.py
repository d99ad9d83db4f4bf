"""Settings of a memory that can't work together."""

from __future__ import annotations

from typing import Any

import pytest

from agents.registry import parse
from experiment.config import ConfigError
from tests.runs import raw


@pytest.mark.parametrize(
    ("run", "change", "reason"),
    [
        ("dqn", {"steps": 50}, r"memory.start \(50\) is not below steps \(50\)"),
        ("dqn", {"memory": {"start": 251}}, r"memory.start \(251\) is above memory.capacity \(250\)"),
        ("dqn", {"learner": {"batch_size": 51}}, r"learner.batch_size \(51\) is above memory.start \(50\)"),
        (
            "dqn",
            {"learner": {"batch_size": 251}, "memory": {"start": 0}},
            r"learner.batch_size \(251\) is above memory.capacity \(250\)",
        ),
        ("dqn", {"rollout": {"steps": 200}}, r"below what is collected at once: rollout.steps \(200\) x env.count"),
        ("dqn", {"learner": {"n_step": 33}}, r"n_step \(33\) is complete at the first update: set memory.start to 66"),
        ("td3", {"random_steps": 500}, r"random_steps \(500\) is not below steps \(500\)"),
        ("alphazero", {"memory": {"start": 201}}, r"memory.start \(201\) is above memory.capacity \(200\)"),
        ("alphazero", {"learner": {"batch_size": 21}}, r"learner.batch_size \(21\) is above memory.start \(20\)"),
        ("alphazero", {"selfplay": {"fast_simulations": 7}}, r"fast_simulations \(7\) is above search.simulations"),
        ("deep_cfr", {"memory": {"capacity": 1}}, r"is above memory.capacity \(1\)"),
        ("dqn", {"runtime": {"dashboard": True}}, "runtime.dashboard is for a cluster of our own"),
    ],
)
def test_settings_that_cannot_work_are_refused(run: str, change: dict[str, Any], reason: str) -> None:
    parse(raw(run))
    with pytest.raises(ConfigError, match=reason):
        parse(raw(run, **change))


def test_a_start_of_0_learns_from_the_first_rows_on() -> None:
    parse(raw("dqn", learner={"batch_size": 250}, memory={"start": 0}))

"""Any id of Gymnasium's: PPO learns and is evaluated in the newest version of each that needs no package we haven't.

Worlds of ALE and of our own have tests of their own.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest

from agents.registry import parse
from agents.wiring import build
from envs.spaces import UnsupportedEnv

QUICK = ("Blackjack-v1", "CliffWalking-v1")  # a Tuple, no time limit


def newest() -> list[str]:
    found: dict[tuple[str | None, str], Any] = {}
    theirs = [spec for spec in gymnasium.registry.values() if str(spec.entry_point).startswith("gymnasium.")]
    for spec in theirs:
        known = found.setdefault((spec.namespace, spec.name), spec)
        if (spec.version or 0) > (known.version or 0):
            found[spec.namespace, spec.name] = spec
    return sorted(spec.id for spec in found.values())


def asked(id: str, **changes: Any) -> dict[str, Any]:
    return {
        "algorithm": "ppo",
        "env": {"id": id, "count": 2},
        "steps": 64,
        "rollout": {"steps": 16},
        "network": {"hidden": [8]},
        "learner": {"batch_size": 16, "epochs": 1},
        "evaluation": {"episodes": 2, "max_episode_steps": 30},
    } | changes


@pytest.mark.filterwarnings("ignore")  # of those worlds, and of ours that say what was cut off
@pytest.mark.parametrize("id", [pytest.param(id, marks=[] if id in QUICK else pytest.mark.slow) for id in newest()])
def test_every_id_is_learned_in(id: str) -> None:
    try:
        course = build(parse(asked(id, env={"id": id, "count": 2, "max_episode_steps": 40})))
    except UnsupportedEnv as error:
        if "needs a package that is not installed" not in str(error):
            raise
        pytest.skip(str(error))
    with closing(course):
        course.begin()
        while course.steps < 64:
            course.advance(64)
        assert np.isfinite(list(course.metrics().values())).all()
        length = course.evaluate()["eval/mean_ep_length"]
        assert isinstance(length, float) and length <= 40


def test_a_world_without_a_time_limit_gets_one_for_its_evaluation() -> None:
    config = parse(asked("CliffWalking-v1"))
    with closing(build(config)) as course:
        course.begin()
        with pytest.warns(
            UserWarning, match="CliffWalking-v1: [12] of 2 episodes were cut off after evaluation.max_ep"
        ):
            assert course.evaluate()["eval/mean_ep_length"] == 30

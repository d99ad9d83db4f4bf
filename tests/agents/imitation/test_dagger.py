"""DAgger: what errors cost without and with corrections, how the expert withdraws, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.experience.rollout import env_spec
from agents.imitation.dagger import ALGORITHM
from agents.maths.bellman import finite_horizon
from agents.records import Round
from agents.registry import parse
from envs.tabular.mdp import MDP
from experiment.seeding import Seeds
from tests.runs import lines, raw, train

ERROR = 0.01


def cliff(way_back: bool) -> MDP:
    """A track: who strays pays 1 for each step off it. From there nothing leads back, or following does."""
    off = [(1.0, "on", 0.0)] if way_back else [(1.0, "off", -1.0)]
    return MDP.of(
        "cliff",
        {
            ("on", "follow"): [(1.0, "on", 0.0)],
            ("on", "stray"): [(1.0, "off", -1.0)],
            ("off", "follow"): off,
            ("off", "stray"): [(1.0, "off", -1.0)],
        },
    )


def costs(way_back: bool, horizons: tuple[int, ...]) -> list[float]:
    """Expected, of a policy that errs with the same probability wherever it was trained."""
    policy = np.full((2, 2), [1 - ERROR, ERROR])
    values = finite_horizon(cliff(way_back), max(horizons), policy=policy)
    return [-float(values[horizon, 0]) for horizon in horizons]


HORIZONS = (10, 50, 100, 200)


def test_errors_of_a_clone_cost_the_square_of_the_horizon() -> None:
    cloned, corrected = costs(False, HORIZONS), costs(True, HORIZONS)
    np.testing.assert_allclose(cloned, [0.533825, 10.895601, 37.237202, 114.263988], atol=5e-7)
    exact = [t - (1 - ERROR) * (1 - (1 - ERROR) ** t) / ERROR for t in HORIZONS]
    np.testing.assert_allclose(cloned, exact, rtol=1e-12)
    np.testing.assert_allclose(corrected, [ERROR * t for t in HORIZONS], rtol=1e-12)
    np.testing.assert_allclose(np.divide(cloned, corrected), [5.3, 21.8, 37.2, 57.1], atol=0.05)


def test_the_slopes_of_the_costs_are_two_and_one() -> None:
    horizons = tuple(range(2, 51))
    slopes = [np.polyfit(np.log(horizons), np.log(costs(back, horizons)), 1)[0] for back in (False, True)]
    assert slopes == [pytest.approx(1.9, abs=0.05), pytest.approx(1.0, abs=1e-9)]


def test_the_expert_withdraws_by_powers() -> None:
    config: Any = parse(raw("dagger", learner={"decay": 0.5, "updates": 1}))
    assert ALGORITHM.make is not None
    learner: Any = ALGORITHM.make(config, env_spec(config.env), Seeds(0), torch.device("cpu")).learner
    shares = [learner.weights()[-1]]
    for number in range(3):
        learner.begin_round(Round(number, 0))
        shares.append(learner.weights()[-1])
    assert shares == [1.0, 0.5, 0.25, 0.125]


def test_it_learns_from_all_corrections_so_far(tmp_path: Path) -> None:
    config = raw("dagger", steps=3_000, rollout={"steps": 250}, memory={"capacity": 9_999}, evaluation={"every": 0})
    config |= {"learner": {"updates": 200, "batch_size": 64, "decay": 0.5}, "logging": {"every": 1_000}}
    assert train(config, tmp_path / "run") == 0
    found = lines(tmp_path / "run")
    assert [line["train/rows"] for line in found if "train/rows" in line] == [1_000, 2_000, 3_000]
    assert found[-1]["eval/mean_reward"] >= 475


def test_an_expert_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(raw("dagger", expert="nowhere"), tmp_path / "run") == 2
    assert "contender 'nowhere': no such directory" in capsys.readouterr().err


def test_a_checkpoint_is_an_expert(tmp_path: Path) -> None:
    """The student of a student: it agrees with its teacher, whatever that is worth."""
    assert train(raw("dagger", evaluation={"every": 0}), tmp_path / "teacher") == 0
    config = raw("dagger", expert=str(tmp_path / "teacher"), steps=128, evaluation={"every": 0})
    assert train(config, tmp_path / "student") == 0
    assert lines(tmp_path / "student")[-2]["train/loss"] < 0.7

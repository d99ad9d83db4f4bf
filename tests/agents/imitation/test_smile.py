"""SMILe: the weights of its mixture are those of the paper, and who has learned takes over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.experience.rollout import env_spec
from agents.imitation.smile import ALGORITHM, Mixture, mixture_weights
from agents.registry import parse
from envs.api import Step
from experiment.config import ConfigError
from experiment.seeding import Seeds
from tests.runs import lines, raw, train


@pytest.mark.parametrize(
    ("alpha", "n", "expert"), [(0.1, 10, 0.348678440), (0.1, 20, 0.121576655), (0.2, 10, 0.107374182)]
)
def test_the_expert_keeps_what_is_left(alpha: float, n: int, expert: float) -> None:
    theirs, learned = mixture_weights(alpha, n)
    assert theirs == pytest.approx(expert, abs=1e-9)
    assert theirs + learned.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(learned, [alpha * (1 - alpha) ** (j - 1) for j in range(1, n + 1)], rtol=1e-12)


def test_three_policies() -> None:
    expert, learned = mixture_weights(0.1, 3)
    np.testing.assert_allclose([expert, *learned], [0.729, 0.1, 0.09, 0.081], rtol=1e-12)


def test_a_mixture_is_made_step_by_step() -> None:
    """pi_n = (1 - a) pi_(n-1) + a (policy_n - ... ): what the expert had is divided, what the others have stays."""
    for n in range(1, 6):
        (before, others), (now, learned) = mixture_weights(0.3, n - 1), mixture_weights(0.3, n)
        assert np.array_equal(others, learned[:-1])
        assert [now, learned[-1]] == pytest.approx([0.7 * before, 0.3 * before])


def members(config: Any) -> tuple[Mixture, Any]:
    spec = env_spec(config.env)
    assert ALGORITHM.make is not None
    return Mixture(config, spec, torch.device("cpu")), ALGORITHM.make(config, spec, Seeds(0), torch.device("cpu"))


def test_each_step_is_drawn_by_the_weights_without_the_expert() -> None:
    config: Any = parse(raw("smile", learner={"alpha": 0.5}, normalize={"observations": False}))
    mixture, parts = members(config)
    learner: Any = parts.learner
    for j in range(3):  # their last two weights are the biases of the actions
        learner.members[j] = 0
        learner.members[j, -2:] = [1.0, 0.0] if j == 1 else [0.0, 1.0]
    learner.learned = 3
    mixture.load(learner.weights()[:-1])
    np.testing.assert_allclose(mixture.chances, np.array([0.5, 0.25, 0.125]) / 0.875)
    n, none = 4_000, np.zeros(4_000)
    step = Step(np.ones((n, 4), np.float32), None, none.astype(int), none, none, none, np.ones((n, 4), np.float32))
    drawn = (mixture.act({}, step, np.random.default_rng(0), False).action == 0).mean()
    assert abs(drawn - 0.25 / 0.875) < 4.5 * np.sqrt(0.2857 * 0.7143 / n), "false alarms: 7e-6"


def test_each_policy_learns_from_the_new_states_alone(tmp_path: Path) -> None:
    config = raw("smile", steps=4_000, rollout={"steps": 250}, policies=4, evaluation={"every": 0, "episodes": 3})
    config |= {"learner": {"updates": 120, "alpha": 0.3, "learning_rate": 3e-3}, "logging": {"every": 1_000}}
    assert train(config, tmp_path / "run") == 0
    found = lines(tmp_path / "run")
    logged = [line for line in found if "train/rows" in line]
    assert {line["train/rows"] for line in logged} == {1_000}
    assert [line["train/share"] for line in logged] == pytest.approx([0.7**n for n in range(1, 5)])
    assert found[-1]["eval/mean_reward"] >= 475


def test_more_collections_than_policies_are_refused() -> None:
    with pytest.raises(ConfigError, match="steps is 641, but 10 policies of 16 x 4 steps are learned in 640"):
        parse(raw("smile", steps=641))

"""NFQ against value iteration, and where least squares diverge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents.config import Runtime
from agents.courses.training import Training
from agents.experience.logged import Logged, write
from agents.records import Sample, Transition
from agents.registry import algorithm, parse
from agents.value.configs.nfq import NFQ
from agents.value.nfq import Everything, Learner
from agents.wiring import parts
from envs.api import Array, Discrete, Spec
from experiment.config import ConfigError
from experiment.seeding import Seeds
from supervised.trained import tensors
from tests.agents.experience.test_logged import Unmeasured, played
from tests.agents.test_probes import column

CPU = torch.device("cpu")
TABLE = Spec("two states", (2,), "float32", Discrete(2))
GAMMA = 0.9


def learner_of(spec: Spec, **learner: Any) -> Learner:
    """Linear in the observation."""
    raw = {"algorithm": "nfq", "env": {"id": "toy", "count": 1}, "network": {"hidden": []}, "learner": learner}
    config = parse(raw)
    assert isinstance(config, NFQ)
    return Learner(config, spec, Seeds(0), CPU, compiled=False)


def every_transition() -> Transition:
    """States 0 and 1, one-hot: staying pays 1 and 2, going nothing."""
    one_hot = np.eye(2, dtype=np.float32)
    reward = np.array([1, 0, 2, 0], np.float32)
    discount = np.full(4, GAMMA, np.float32)
    return Transition(one_hot[[0, 0, 1, 1]], np.array([0, 1, 0, 1]), reward, discount, one_hot[[0, 1, 1, 0]], None)


def swept(q: Array) -> Array:
    """One sweep of value iteration over action values [2, 2]."""
    best = q.max(1)
    return np.array([[1 + GAMMA * best[0], GAMMA * best[1]], [2 + GAMMA * best[1], GAMMA * best[0]]])


def values(learner: Learner) -> Array:
    with torch.no_grad():
        return learner.network(torch.eye(2)).double().numpy()


@pytest.mark.parametrize("restart", [False, True])
def test_a_refit_of_a_table_is_a_sweep_of_value_iteration(restart: bool) -> None:
    """Up to what 400 steps of Adam leave."""
    learner = learner_of(TABLE, refits=1, updates=400, learning_rate=0.05, discount=GAMMA, restart=restart)
    expected = values(learner)
    for _ in range(4):
        learner.update(Sample(every_transition()))
        expected = swept(expected)
        np.testing.assert_allclose(values(learner), expected, atol=2e-3)


def test_targets_stay_within_the_bounds_and_see_the_mask() -> None:
    learner, rows = learner_of(TABLE, lowest=0.5, highest=1.5), every_transition()
    free = learner_of(TABLE)
    goal = free.targets(Everything(*tensors(rows[:6], CPU)))
    bounded = learner.targets(Everything(*tensors(rows[:6], CPU)))
    torch.testing.assert_close(bounded, goal.clamp(0.5, 1.5))
    assert not torch.equal(bounded, goal)
    mask = np.tile([True, False], (4, 1))
    masked = free.targets(Everything(*tensors(rows._replace(next_mask=mask)[:6], CPU)))
    expected = rows.reward + GAMMA * (rows.next_obs @ values(free)[:, 0])
    np.testing.assert_allclose(masked.numpy(), expected, rtol=1e-5)


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"learner.lowest \(2.0\) is not below learner.highest \(1.0\)"):
        learner_of(TABLE, lowest=2.0, highest=1.0)


class Line(nn.Module):
    """One action, whose value is w times what is shown."""

    def __init__(self, *unused: Any) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))
        self.normalize = nn.Identity()
        self.register_buffer("epsilon", torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        return obs * self.w


@pytest.mark.parametrize(("gamma", "grows"), [(0.99, True), (0.8, False)])
def test_least_squares_diverge_beyond_five_sixths(gamma: float, grows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """States shown as 1 and 2, both followed by the second, no rewards: w' = 6/5 gamma w."""
    monkeypatch.setattr("agents.value.nfq.QNetwork", Line)
    learner = learner_of(Spec("line", (1,), "float32", Discrete(1)), refits=1, updates=300, learning_rate=0.01)
    obs, none = np.array([[1], [2]], np.float32), np.zeros(2, np.float32)
    rows = Transition(obs, none.astype(np.int64), none, none + np.float32(gamma), obs[[1, 1]], None)
    before = 1.0
    for _ in range(3):
        learner.update(Sample(rows))
        after = learner.trained.state.parameters.item()
        assert after / before == pytest.approx(1.2 * gamma, rel=2e-3)
        assert (after > before) == grows
        before = after


def test_it_learns_from_a_log(tmp_path: Path) -> None:
    """Random play alone: the reward is +1 for action 1 at +1 and action 0 at -1, else -1."""
    raw = {"algorithm": "nfq", "env": {"id": "sparring/ObservationActionReward-v0", "count": 4}, "steps": 400}
    options = {"refits": 2, "updates": 30, "learning_rate": 0.01, "batch_size": 64}
    config = parse(raw | {"network": {"hidden": [16]}, "learner": options})
    assert isinstance(config, NFQ) and config.runtime == Runtime()
    path = write(tmp_path / "log", played(config.env.id, 4, (10,) * 10))
    course = Training(parts(config, algorithm("nfq").load(), Seeds(0)), Logged(path), Unmeasured(), 10)
    course.begin()
    while course.steps < config.steps:
        course.advance(config.steps)
    learner: Any = course.learner
    with torch.no_grad():
        q = learner.network(torch.from_numpy(column(-1, 1))).numpy()
    np.testing.assert_allclose(q, [[1, -1], [-1, 1]], atol=0.1)

"""IMPALA's learner: V-trace where the weights that acted were old, A2C where they weren't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.actor_critic import a2c, impala
from agents.maths.returns import n_step
from agents.parts.on_policy import valued
from agents.records import Sample
from agents.registry import parse
from experiment.seeding import Seeds
from tests.runs import lines, raw, train

CPU = torch.device("cpu")


def collected(name: str = "impala", **learner: Any) -> tuple[Any, Any]:
    module: Any = {"impala": impala, "a2c": a2c}[name]
    config = parse(
        {
            "algorithm": name,
            "env": {"id": "sparring/LQR-v0", "count": 3},
            "rollout": {"steps": 30},
            "network": {"hidden": [8]},
            "learner": learner,
        }
    )
    hand = module.actor(config, 0, 0)
    made = module.make(config, hand.rollout.env.spec, Seeds(0), CPU).learner
    hand.load(made.weights(), 0)
    unroll = hand.collect().rows
    hand.close()
    return made, unroll


def test_with_fresh_weights_it_is_a2c() -> None:
    """And targets are n-step returns."""
    learner, unroll = collected()
    rows, other = learner.rows(unroll), collected("a2c")[0].rows(unroll)
    assert learner.rho == pytest.approx(1, abs=1e-6)
    for column, expected in zip(rows, other, strict=True):
        if column is not None:
            torch.testing.assert_close(column, expected, rtol=1e-4, atol=1e-4)
    ended = unroll.terminated | unroll.truncated
    _, following = valued(unroll, learner.network, CPU)
    target = n_step(unroll.reward, np.full((30, 3), 0.99), ended, following, 30)
    np.testing.assert_allclose(rows.target.view(30, 3), target, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("clip", [1.0, 100.0])
def test_old_weights_are_corrected_for(clip: float) -> None:
    """The ratio is that of the learner's policy now to the one that acted, no more than it may be."""
    learner, unroll = collected(clip_rho=clip, clip_c=clip)
    fresh = learner.rows(unroll)
    noise = torch.randn(learner.trained.flat.parameters.shape, generator=torch.Generator().manual_seed(0))
    learner.trained.flat.parameters += 0.1 * noise
    with torch.no_grad():
        obs, action = torch.from_numpy(unroll.obs[:-1]).flatten(0, 1), torch.from_numpy(unroll.action).flatten(0, 1)
        now = learner.family.log_prob(learner.network.policy(obs), action, None)
    rho = (now - torch.from_numpy(unroll.extras["log_prob"]).flatten()).exp().clamp(max=clip)
    rows = learner.rows(unroll)
    assert learner.rho == pytest.approx(rho.mean().item(), rel=1e-4) and rho.std() > 0.05
    last = torch.from_numpy(unroll.truncated).flatten()  # there, what follows is the value alone
    value, following = valued(unroll, learner.network, CPU)
    error = torch.from_numpy(unroll.reward + 0.99 * following - value).flatten()
    torch.testing.assert_close(rows.advantage[last], (rho * error)[last])
    torch.testing.assert_close(rows.target[last], (torch.from_numpy(value).flatten() + rho * error)[last])
    assert not torch.allclose(rows.advantage, fresh.advantage, atol=0.05)


def test_an_update_learns_from_what_was_corrected() -> None:
    learner, unroll = collected()
    seen: list[Any] = []
    learner.trained.step = lambda state, rate, *columns: seen.append(columns)
    expected = learner.rows(unroll)
    learner.update(Sample(unroll))
    torch.testing.assert_close(seen[0][4], expected.advantage)
    torch.testing.assert_close(seen[0][5], expected.target)


@pytest.mark.ray
@pytest.mark.slow
def test_actors_that_don_t_wait_are_stale_and_are_learned_from(ray_here: None, tmp_path: Any) -> None:
    """Two actors: while one's experience is learned from, the other acts with older weights."""
    asked = raw("impala", runtime={"kind": "ray", "actors": 2, "mode": "asynchronous"})
    assert train(asked, tmp_path / "run") == 0
    told = lines(tmp_path / "run")
    staleness = [line["fleet/staleness"] for line in told if "fleet/staleness" in line]
    assert max(staleness) > 0
    assert any(abs(line["train/rho"] - 1) > 1e-4 for line in told if "train/rho" in line)

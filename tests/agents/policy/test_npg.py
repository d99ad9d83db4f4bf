"""The natural policy gradient on a small network against an exact solution."""

from __future__ import annotations

import pytest
import torch

from agents.experience.own_steps import actor
from agents.parts.on_policy import Rows
from agents.policy.configs.npg import NPG
from agents.policy.npg import Learner, make
from agents.records import Sample
from agents.registry import parse
from experiment.seeding import Seeds

CPU = torch.device("cpu")


def collected(world: str, **options: object) -> tuple[Learner, Rows]:
    """A new learner, and rows of what an actor with its weights brings home."""
    raw = {
        "algorithm": "npg",
        "env": {"id": f"sparring/{world}-v0", "count": 4},
        "rollout": {"steps": 16},
        "network": {"hidden": [4]},
        "learner": options,
    }
    config = parse(raw)
    assert isinstance(config, NPG)
    hand = actor(config, 0, 0)
    learner = make(config, hand.rollout.env.spec, Seeds(0), CPU).learner  # type: ignore[attr-defined]
    hand.load(learner.weights(), 0)
    unroll = hand.collect().rows
    hand.close()
    assert isinstance(learner, Learner)
    return learner, learner.rows(unroll, 0.9, 0.9)


@pytest.mark.parametrize("world", ["ObservationActionReward", "LQR"])
def test_the_step_is_that_of_an_exact_solution(world: str) -> None:
    """F of all rows as a matrix, solved directly; as long as the divergence of second order is the radius."""
    learner, rows = collected(world, iterations=60, damping=0.01, radius=1e-3, normalize_advantage=False)
    before = learner.flat.parameters.clone()
    old = learner.flat.call(before, rows.obs)
    fisher = torch.func.hessian(lambda p: learner.divergence(p, old, rows))(before).double()
    fisher += 0.01 * torch.eye(len(before))
    gradient = -learner.gradient(before, rows)[0].double()
    direction = torch.linalg.solve(fisher, gradient)
    expected = direction * (2 * 1e-3 / (gradient @ direction)).sqrt()
    learner.improve(rows)
    step = (learner.flat.parameters - before).double()
    assert gradient.norm() > 0.01
    assert ((step - expected).norm() / expected.norm()).item() < 2e-3
    assert (gradient @ step / (gradient.norm() * step.norm())).item() < 0.999  # and not the plain gradient's


def test_nothing_moves_where_nothing_is_better() -> None:
    learner, rows = collected("ObservationActionReward")
    before = learner.flat.parameters.clone()
    learner.improve(rows._replace(advantage=torch.zeros_like(rows.advantage)))
    assert torch.equal(learner.flat.parameters, before)


def test_the_baseline_is_fitted_after_the_policy_has_learned() -> None:
    learner, _ = collected("ObservationActionReward")
    hand = actor(learner.config, 0, 0)
    hand.load(learner.weights(), 0)
    unroll = hand.collect().rows
    hand.close()
    used: list[torch.Tensor] = []
    learner.improve = lambda rows: used.append(rows.advantage)  # type: ignore[method-assign]
    fresh = learner.rows(unroll, 0.99, 0.95).advantage
    learner.update(Sample(unroll))
    torch.testing.assert_close(used[0], (fresh - fresh.mean()) / fresh.std(correction=0))
    assert not torch.allclose(learner.rows(unroll, 0.99, 0.95).advantage, fresh)

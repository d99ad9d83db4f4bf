"""TRPO stays within its radius, improves its surrogate, or leaves everything as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agents.maths.natural import natural_step
from agents.parts.on_policy import Rows
from agents.policy import npg, trpo
from agents.records import Sample
from agents.registry import parse
from experiment.seeding import Seeds

CPU = torch.device("cpu")


def collected(name: str = "trpo", world: str = "LQR", seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """A new learner, and what an actor with its weights brings home."""
    module: Any = {"trpo": trpo, "npg": npg}[name]
    raw = {
        "algorithm": name,
        "env": {"id": f"sparring/{world}-v0", "count": 4},
        "rollout": {"steps": 32},
        "network": {"hidden": [16]},
        "learner": options,
        "seed": seed,
    }
    config = parse(raw)
    hand = module.actor(config, 0, 0)
    learner = module.make(config, hand.rollout.env.spec, Seeds(seed), CPU).learner
    hand.load(learner.weights(), 0)
    unroll = hand.collect().rows
    hand.close()
    return learner, unroll


def around(learner: Any, unroll: Any) -> tuple[float, float]:
    """The surrogate's gain in an update, and the divergence that it made, measured from outside."""
    rows: Rows = learner.rows(unroll, 0.99, 0.95)
    rows = rows._replace(advantage=trpo_advantage(rows))
    before = learner.flat.parameters.clone()
    old, loss = learner.flat.call(before, rows.obs), learner.loss(before, rows)[0]
    learner.update(Sample(unroll))
    after = learner.flat.parameters
    return (loss - learner.loss(after, rows)[0]).item(), learner.divergence(after, old, rows).item()


def trpo_advantage(rows: Rows) -> Tensor:
    return (rows.advantage - rows.advantage.mean()) / (rows.advantage.std(correction=0) + 1e-8)


@pytest.mark.parametrize("world", ["LQR", "ObservationActionReward", "MaskedAction"])
@pytest.mark.parametrize("radius", [0.01, 0.05])
def test_an_update_improves_within_its_radius(world: str, radius: float) -> None:
    learner, unroll = collected("trpo", world, radius=radius, damping=0.0)
    gained, kl = around(learner, unroll)
    assert gained > 0
    assert 0.2 * radius < kl <= 1.05 * radius
    found = learner.metrics()
    assert found["train/kl"] == pytest.approx(kl, rel=1e-3)
    assert found["train/surrogate"] == pytest.approx(gained, rel=1e-3)


def test_without_a_search_a_long_step_leaves_the_radius() -> None:
    """The broken variant: what the search is for."""
    assert around(*collected("npg", radius=0.3, damping=0.0))[1] > 1.05 * 0.3


@pytest.mark.parametrize("wrong", [-1.0, 100.0])
def test_after_a_failed_search_the_policy_is_what_it_was(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each attempt is worse, or too far; bit for bit. The values learn all the same."""
    monkeypatch.setattr("agents.parts.natural.natural_step", lambda *asked: wrong * natural_step(*asked))
    learner, unroll = collected(attempts=5)
    before, values = learner.flat.parameters.clone(), learner.baseline.trained.flat.parameters.clone()
    gained, kl = around(learner, unroll)
    assert gained == 0 and kl == pytest.approx(0, abs=1e-7)
    assert torch.equal(learner.flat.parameters, before)
    assert learner.metrics()["train/step_share"] == 0
    assert not torch.equal(learner.baseline.trained.flat.parameters, values)


def test_a_step_that_is_too_long_is_shortened() -> None:
    learner, unroll = collected(radius=0.3, damping=0.0, shrink=0.5)
    around(learner, unroll)
    assert learner.metrics()["train/step_share"] in [0.5**tried for tried in range(1, 10)]

"""The compiled update does what the plain one does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.api import Parts
from agents.records import Round
from agents.registry import algorithm, parse
from envs.api import Array
from experiment.seeding import Seeds

CPU = torch.device("cpu")
CONFIGS: dict[str, dict[str, Any]] = {
    "ppo": {"learner": {"batch_size": 16, "epochs": 2, "learning_rate": 0.01}},
    "ppo with a KL limit": {"learner": {"batch_size": 16, "epochs": 2, "learning_rate": 0.01, "target_kl": 1e-3}},
    "a2c": {"learner": {"learning_rate": 0.01}},
    "q_actor_critic": {"learner": {"learning_rate": 0.01, "policy_learning_rate": 0.01}},
    "trpo": {"baseline": {"batch_size": 16, "epochs": 2, "learning_rate": 0.01}},
    "dqn": {"learner": {"target_interval": 0, "tau": 0.1, "double": True}, "memory": {"prioritized": {}}},
    "ddpg": {"learner": {"critics": 2, "policy_delay": 2, "smoothing": 0.2, "batch_size": 16}},
    "sac": {"learner": {"batch_size": 16}},
    "sac of discrete actions": {"learner": {"batch_size": 16}},
}


def learned(name: str, compile: str) -> Array:
    """The weights after a few collections and updates."""
    kind = name.split()[0]
    world = "LQR" if name in ("ddpg", "sac") else "ObservationActionReward"
    env, rollout = {"id": f"sparring/{world}-v0", "count": 4}, {"steps": 8}
    config = parse({"algorithm": kind, "env": env, "rollout": rollout, "compile": compile} | CONFIGS[name])
    asked = algorithm(kind).load()
    assert asked.make is not None and asked.actor is not None
    actor: Any = asked.actor(config, 0, 0)
    learner, memory, *_ = parts = asked.make(config, actor.rollout.env.spec, Seeds(0), CPU)
    assert isinstance(parts, Parts)
    for collection in range(3):
        actor.load(learner.weights(), collection)
        memory.add(actor.collect())
        learner.begin_round(Round(collection, 32 * (collection + 1)))
        for _ in range(4 if kind in ("dqn", "ddpg") else 1):
            sample = memory.sample()
            memory.update(sample, learner.update(sample))
    actor.close()
    return np.asarray(learner.weights())


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_compiled_is_plain(name: str) -> None:
    np.testing.assert_allclose(learned(name, "on"), learned(name, "off"), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_comparison_can_fail() -> None:
    """A run is a function of its config: bit for bit the same again, and different from another's."""
    again, other = learned("ppo", "off"), learned("ppo with a KL limit", "off")
    np.testing.assert_array_equal(learned("ppo", "off"), again)
    assert abs(again - other).max() > 1e-5

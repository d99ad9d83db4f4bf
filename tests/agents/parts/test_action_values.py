"""The network of action values and the policy that is greedy in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.config import NetworkOptions, NormalizeOptions
from agents.parts.action_values import EpsilonGreedy, QNetwork
from envs.api import Array, Continuous, Discrete, Spec, Step
from supervised.flat import Flat

SPEC = Spec("toy", (3,), "float32", Discrete(4))
OPTIONS = NetworkOptions(hidden=(8, 6))


def network(dueling: bool) -> QNetwork:
    return QNetwork(SPEC, OPTIONS, NormalizeOptions(), dueling, torch.Generator().manual_seed(0))


def shown(obs: Array, mask: Array | None = None) -> Step:
    none = np.zeros(len(obs), bool)
    return Step(obs, mask, none.astype(np.int64), np.zeros((len(obs), 1)), none, none, obs)


def test_the_last_hidden_layer_belongs_to_the_streams_of_a_dueling_head() -> None:
    shapes = {
        dueling: [tuple(p.shape) for p in network(dueling).parameters() if p.ndim == 2] for dueling in (False, True)
    }
    assert shapes[False] == [(8, 3), (6, 8), (4, 6)]
    assert shapes[True] == [(8, 3), (6, 8), (1, 6), (6, 8), (4, 6)]


@pytest.mark.parametrize("dueling", [False, True])
def test_the_policy_acts_by_what_was_learned(dueling: bool) -> None:
    learned = network(dueling)
    learned.epsilon.fill_(0.25)
    policy = EpsilonGreedy(SPEC, OPTIONS, NormalizeOptions(), dueling, torch.device("cpu"))
    policy.load(Flat(learned).weights())
    assert policy.epsilon == 0.25
    rng = np.random.default_rng(0)
    obs, mask = rng.standard_normal((2_000, 3), np.float32), rng.random((2_000, 4)) < 0.6
    mask[:, 2] = True
    with torch.no_grad():
        q = np.where(mask, learned(torch.from_numpy(obs)).numpy(), -np.inf)
    _, greedy, said = policy.act(policy.initial(2_000), shown(obs, mask), rng, explore=False)
    assert said == {}
    np.testing.assert_array_equal(greedy, q.argmax(1))
    chosen = policy.act({}, shown(obs, mask), rng, explore=True).action
    assert mask[np.arange(2_000), chosen].all()
    assert 0.1 < (chosen != greedy).mean() < 0.25


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(ValueError, match="one discrete action"):
        QNetwork(
            Spec("toy", (3,), "float32", Continuous((-1.0,), (1.0,))),
            OPTIONS,
            NormalizeOptions(),
            False,
            torch.Generator(),
        )

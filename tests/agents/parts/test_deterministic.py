"""The deterministic network and its policy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.config import NetworkOptions, NormalizeOptions
from agents.parts.deterministic import DeterministicNetwork, DeterministicPolicy, middle
from envs.api import Array, Continuous, Discrete, Spec, Step
from supervised.flat import Flat

SPEC = Spec("toy", (3,), "float32", Continuous((-2.0, 0.0), (2.0, 1.0)))
OPTIONS = NetworkOptions(hidden=(8,))


def shown(obs: Array) -> Step:
    none = np.zeros(len(obs), bool)
    return Step(obs, None, none.astype(np.int64), np.zeros((len(obs), 1)), none, none, obs)


def louder(level: Array, rng: np.random.Generator) -> Array:
    return level + np.float32(0.25)


def test_actions_are_scaled_to_their_bounds() -> None:
    center, half = middle(SPEC)
    np.testing.assert_array_equal(center, np.array([0, 0.5], np.float32))
    np.testing.assert_array_equal(half, np.array([2, 0.5], np.float32))


def test_the_policy_remembers_its_noise_and_stays_within_the_bounds() -> None:
    network = DeterministicNetwork(SPEC, OPTIONS, NormalizeOptions(), torch.Generator().manual_seed(0))
    network.random.fill_(0.0)
    policy = DeterministicPolicy(SPEC, OPTIONS, NormalizeOptions(), louder, torch.device("cpu"))
    policy.load(Flat(network).weights())
    rng = np.random.default_rng(0)
    obs, carry = rng.standard_normal((5, 3), np.float32), policy.initial(5)
    with torch.no_grad():
        action = network(torch.from_numpy(obs)).numpy()
    for step in range(1, 7):
        carry, chosen, _ = policy.act(carry, shown(obs), rng, explore=True)
        expected = [0, 0.5] + (action + 0.25 * step).clip(-1, 1) * [2, 0.5]
        np.testing.assert_allclose(chosen, expected, atol=1e-6)
    np.testing.assert_allclose(chosen, np.tile([2.0, 1.0], (5, 1)), atol=1e-6)
    kept, chosen, _ = policy.act(carry, shown(obs), rng, explore=False)
    assert kept is carry
    np.testing.assert_allclose(chosen, [0, 0.5] + action * [2, 0.5], atol=1e-6)


def test_it_acts_at_random_while_the_weights_say_so() -> None:
    policy = DeterministicPolicy(SPEC, OPTIONS, NormalizeOptions(), louder, torch.device("cpu"))
    network = DeterministicNetwork(SPEC, OPTIONS, NormalizeOptions(), torch.Generator().manual_seed(0))
    policy.load(Flat(network).weights())
    carry = policy.initial(1_000)
    kept, chosen, _ = policy.act(carry, shown(np.zeros((1_000, 3), np.float32)), np.random.default_rng(0), explore=True)
    assert kept is carry
    np.testing.assert_allclose([chosen.min(0), chosen.max(0)], [[-2, 0], [2, 1]], atol=0.02)


@pytest.mark.parametrize("actions", [Discrete(2), Continuous((-np.inf,), (np.inf,))])
def test_actions_without_bounds_are_refused(actions: Discrete | Continuous) -> None:
    with pytest.raises(ValueError, match="continuous actions between finite bounds"):
        DeterministicNetwork(Spec("toy", (3,), "float32", actions), OPTIONS, NormalizeOptions(), torch.Generator())

"""Running normalization at the learner."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from agents.api import State
from agents.parts.normalizer import Normalizer
from envs.api import Array
from envs.normalize import Moments
from supervised.networks.torso import Normalize


def news(seed: int) -> tuple[State, Array, Array]:
    """What an actor sends, with the observations and returns that it is of."""
    rng = np.random.default_rng(seed)
    obs, returns = rng.normal(3, 2, (500, 2)), rng.normal(0, 5, 500)
    both = Moments((2,)), Moments(())
    both[0].update(obs)
    both[1].update(returns)
    return {"observations": both[0].take(), "returns": both[1].take()}, obs, returns


def test_observations_of_all_actors_get_mean_0_and_deviation_1() -> None:
    layer = Normalize((2,), 100.0)
    normalizer = Normalizer(layer, rewards=True)
    (first, *one), (second, *other) = news(0), news(1)
    normalizer.merge([first, second])
    obs = torch.from_numpy(np.concatenate([one[0], other[0]])).float()
    torch.testing.assert_close(layer(obs), obs, rtol=0, atol=0)  # not before it is told
    normalizer.write()
    torch.testing.assert_close(layer(obs).mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(layer(obs).std(0, correction=0), torch.ones(2), rtol=0, atol=1e-5)
    deviation = np.concatenate([one[1], other[1]]).std()
    reward = np.array([1.0, -2.0, 1e6, -1e6], np.float32)
    np.testing.assert_allclose(normalizer.scale(reward), [1 / deviation, -2 / deviation, 10, -10], rtol=1e-6)
    assert normalizer.scale(reward).dtype == np.float32


@pytest.mark.parametrize("layer", [nn.Identity(), Normalize((2,), 10.0)])
def test_what_is_not_normalized_stays_as_it_is(layer: nn.Module) -> None:
    normalizer = Normalizer(layer)
    normalizer.write()  # nothing was seen
    reward, obs = np.array([1e6], np.float32), torch.ones(1, 2)
    assert normalizer.scale(reward) is reward
    torch.testing.assert_close(layer(obs), obs, rtol=0, atol=0)


def test_a_copy_goes_on_alike() -> None:
    one, other = (Normalizer(Normalize((2,), 10.0), rewards=True) for _ in range(2))
    one.merge([news(0)[0]])
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each.merge([news(1)[0]])
        each.write()
    assert isinstance(one.layer, Normalize) and isinstance(other.layer, Normalize)
    assert torch.equal(one.layer.mean, other.layer.mean) and torch.equal(one.layer.scale, other.layer.scale)
    assert one.scale(np.ones(1)) == other.scale(np.ones(1)) != 1
    assert Normalizer(nn.Identity()).state_dict() == {}

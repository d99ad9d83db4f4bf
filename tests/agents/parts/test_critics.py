"""Critics of actions."""

from __future__ import annotations

import pytest
import torch

from agents.config import NetworkOptions
from agents.parts.critics import Critic, Critics
from envs.api import Continuous, Spec

SPEC = Spec("toy", (3,), "float32", Continuous((-2.0, 0.0), (2.0, 1.0)))
OBS, ACTION = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
OPTIONS = NetworkOptions(hidden=(8,))


def test_each_critic_has_weights_of_its_own_and_sees_the_action() -> None:
    critics = Critics(SPEC, OPTIONS, 2, torch.Generator().manual_seed(0))
    q = critics(OBS, ACTION[:, :2])
    assert q.shape == (2, 5)
    assert not torch.isclose(q[0], q[1]).any()
    torch.testing.assert_close(q[1], critics.critics[1](OBS, ACTION[:, :2]), rtol=0, atol=0)
    assert not torch.isclose(q, critics(OBS, ACTION[:, :2] + 1)).any()


def test_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"critics want observations that are vectors, but maze shows \(4, 4\)"):
        Critic(Spec("maze", (4, 4), "float32", SPEC.actions), OPTIONS, torch.Generator())

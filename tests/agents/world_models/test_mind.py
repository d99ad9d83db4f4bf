from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.registry import parse
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.mind import Manner, MindPolicy, autoencoder, mind_of
from envs.api import Array, Continuous, Discrete, MultiDiscrete, Spec, Step
from experiment.config import read
from experiment.seeding import Seeds
from tests.runs import ROOT, raw

SPEC = Spec("", (1, 8, 8), "uint8", Continuous((-1.0, 0.0), (1.0, 4.0)))


def configured(**changes: object) -> WorldModels:
    config = parse(raw("world_models", **changes))
    assert isinstance(config, WorldModels)
    return config


def shown(obs: Array) -> Step:
    none = np.zeros(len(obs), bool)
    return Step(obs, None, none.astype(np.int64), np.zeros((len(obs), 1)), none, none, obs)


def test_carracing_has_the_parameters_of_the_paper() -> None:
    """V 4,348,547 and one learned variance; M 422,368 where an LSTM has one bias, torch's has 4 x 256 more; C 867."""
    config = parse(read(ROOT / "configs/world_models/carracing.yaml"))
    assert isinstance(config, WorldModels)
    spec = Spec("", (3, 64, 64), "uint8", Continuous((-1.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    vae, mind = autoencoder(config, spec, Seeds(0)), mind_of(config, spec)
    assert sum(p.numel() for p in vae.parameters()) == 4_348_547 + 1
    assert sum(p.numel() for p in mind.memory.parameters()) == 422_368 + 4 * 256
    assert mind.controller.numel() == 867


def test_the_controller_of_doom_has_its_parameters() -> None:
    """1,088: codes, what is remembered and cells, without a constant."""
    memory = {"kind": "lstm", "width": 512, "mixtures": 1}
    config = configured(codes={"latent": 64}, memory=memory, controller={"sees": "z_h_c", "bias": False})
    assert mind_of(config, Spec("", (1, 8, 8), "uint8", Continuous((-1.0,), (1.0,)))).controller.numel() == 1_088


def test_actions_are_told_and_done_alike() -> None:
    manner = Manner(SPEC.actions)
    action = np.array([[-1.0, 0.0], [0.5, 3.0]], np.float32)
    assert manner.told(action).tolist() == [[-1, -1], [0.5, 0.5]]
    np.testing.assert_allclose(manner.done(manner.told(action)), action)
    one_of = Manner(Discrete(3))
    assert one_of.told(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    chosen = one_of.chosen(torch.tensor([[0.1, 0.7, 0.2]]))
    assert one_of.done(chosen.numpy()).tolist() == [1]
    for actions in (MultiDiscrete((2, 2)), Continuous((-np.inf,), (1.0,))):
        with pytest.raises(ValueError, match="one of some actions, or numbers between bounds"):
            configured().require_world(Spec("", (4,), "float32", actions))


def test_each_row_has_the_controller_that_is_meant_for_it() -> None:
    """As linear layers of each of them say: several rows of each, one behind the other."""
    mind, random = mind_of(configured(), SPEC), torch.Generator().manual_seed(0)
    controllers = torch.randn(3, mind.controller.numel(), generator=random)
    z, h = torch.randn(6, 2, generator=random), torch.randn(6, 1, 8, generator=random)
    told = mind.choose(controllers, z, {"hidden": h})
    for row in range(6):
        own = controllers[row // 2]
        weight, bias = own[:20].view(10, 2), own[20:]
        expected = torch.tanh(torch.cat([z[row], h[row, 0]]) @ weight + bias)
        torch.testing.assert_close(told[row], expected)


def test_a_policy_remembers_what_was_shown_before_what_is_shown() -> None:
    """It acts by h of the steps before: two pasts with one present lead to two actions, but not in the first step."""
    policy = MindPolicy(mind_of(configured(), SPEC), torch.device("cpu"))
    policy.mind.controller.normal_(generator=torch.Generator().manual_seed(1))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (2, 1, 8, 8), np.uint8)
    same = np.stack([pictures[0], pictures[0]])
    first = policy.act(policy.initial(2), shown(same), rng, False)
    np.testing.assert_allclose(first.action[0], first.action[1], rtol=1e-5)
    past = policy.act(policy.initial(2), shown(pictures), rng, False)
    now = policy.act(past.carry, shown(same), rng, False)
    assert np.abs(now.action[0] - now.action[1]).max() > 1e-4


def test_weights_of_a_phase_before_are_refused() -> None:
    policy = MindPolicy(mind_of(configured(), SPEC), torch.device("cpu"))
    with pytest.raises(ValueError, match="still in a phase before"):
        policy.load(np.zeros(7, np.float32))


def test_what_is_turned_varies_alike_and_the_same_actions_are_there() -> None:
    mind, random = mind_of(configured(controller={"whiten": True}), SPEC), torch.Generator().manual_seed(0)
    mixed = torch.randn(10, 10, generator=random)
    z, h = (torch.randn(2_000, 10, generator=random) @ mixed + 3).split([2, 8], -1)
    before = mind.seen(z, {"hidden": h[:, None]})
    mind.turn_by(before.numpy())
    after = mind.seen(z, {"hidden": h[:, None]}).numpy()
    np.testing.assert_allclose(after.mean(0), 0, atol=1e-4)
    covariance = np.cov(after, rowvar=False)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3
    assert np.diag(covariance).max() == pytest.approx(1, abs=1e-3) and np.linalg.matrix_rank(after) == 10

"""SAC's learner against what its equations say, and worlds whose soft values are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.actor_critic.configs.sac import SAC
from agents.actor_critic.sac import Batch, Learner
from agents.records import Round, Sample, Transition
from agents.registry import parse
from envs.api import Array, Continuous, Discrete, Spec
from experiment.seeding import Seeds
from supervised.trained import tensors

CPU = torch.device("cpu")
BOX = Spec("toy", (3,), "float32", Continuous((-2.0, 0.0), (2.0, 1.0)))
LIST = Spec("toy", (3,), "float32", Discrete(4))
SPECS = {"box": BOX, "list": LIST}
N = 6


def config(**learner: Any) -> SAC:
    raw = {"algorithm": "sac", "env": {"id": "toy", "count": 1}, "steps": 10_000, "network": {"hidden": [8]}}
    parsed = parse(raw | {"learner": learner, "random_steps": 100})
    assert isinstance(parsed, SAC)
    return parsed


def learner_of(options: SAC, spec: Spec, targets_differ: bool = True) -> Learner:
    learner = Learner(options, spec, Seeds(0), CPU, compiled=False)
    if targets_differ:
        target = learner.trained.state.target
        target.copy_(torch.randn(target.shape, generator=torch.Generator().manual_seed(1)))
    return learner


def transitions(spec: Spec, seed: int = 0) -> Transition:
    rng = np.random.default_rng(seed)
    discrete = isinstance(spec.actions, Discrete)
    mask = rng.random((2, N, 4)) < 0.5
    mask[:, :, 1] = True
    return Transition(
        obs=rng.standard_normal((N, 3)).astype(np.float32),
        action=rng.integers(0, 4, N) if discrete else rng.uniform([-2, 0], [2, 1], (N, 2)).astype(np.float32),
        reward=rng.standard_normal(N).astype(np.float32),
        discount=np.where(np.arange(N) % 3 == 0, 0, 0.99).astype(np.float32),
        next_obs=rng.standard_normal((N, 3)).astype(np.float32),
        next_mask=mask[0] if discrete else None,
        mask=mask[1] if discrete else None,
    )


def batch_of(learner: Learner, rows: Transition, seed: int = 0) -> Batch:
    noise = torch.randn(2, N, learner.soft.noise, generator=torch.Generator().manual_seed(seed))
    return Batch(*tensors((*rows._replace(action=learner.soft.learned(rows.action)), noise), CPU))


def parts(learner: Learner, vector: Tensor) -> tuple[Tensor, ...]:
    """Of the policy, of the critics, of the temperature."""
    return vector.split(learner.network.sizes)


def terms(learner: Learner, batch: Batch) -> Any:
    state = learner.trained.state
    return learner.loss(state.parameters, state.target, batch)


@pytest.mark.parametrize("name", SPECS)
def test_critics_go_towards_the_smaller_target_and_the_entropy(name: str) -> None:
    """y = r + discount * (min Q'(s', a') + temperature * entropy at s'), and nothing behind an end."""
    learner = learner_of(config(temperature=0.3), SPECS[name])
    rows = transitions(SPECS[name])
    batch, call, state = batch_of(learner, rows), learner.trained.flat.call, learner.trained.state
    losses, measures = terms(learner, batch)
    outputs = call(state.parameters, "policy", batch.next_obs)
    if name == "list":
        masked = torch.where(batch.next_mask, outputs, -torch.inf)  # type: ignore[arg-type]
        drawn = torch.distributions.Categorical(logits=masked)
        worth, entropy = call(state.target, "critics", batch.next_obs), drawn.entropy()
        next_q = (drawn.probs * worth.min(0).values).sum(-1)
        q = call(state.parameters, "critics", batch.obs)[:, torch.arange(N), batch.action]
    else:
        mean, log_std = outputs.chunk(2, -1)
        u = mean + log_std.exp() * batch.noise[1]
        normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(u).sum(-1)
        entropy = -(normal - (1 - torch.tanh(u).square()).log().sum(-1))
        worth = call(state.target, "critics", batch.next_obs, torch.tanh(u))
        next_q = worth.min(0).values
        scaled = torch.from_numpy((rows.action - np.array([0, 0.5])) / np.array([2, 0.5])).float()
        q = call(state.parameters, "critics", batch.obs, scaled)
    assert (worth[0] < worth[1]).any() and (worth[1] < worth[0]).any(), "each twin is the smaller one somewhere"
    goal = batch.reward + batch.discount * (next_q + 0.3 * entropy)
    torch.testing.assert_close(measures["td_error"], (goal - q).abs(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses["critic_loss"], ((goal - q).square() / 2).mean(1).sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_each_term_moves_its_own_part_alone(name: str) -> None:
    learner = learner_of(config(), SPECS[name])
    batch, parameters = batch_of(learner, transitions(SPECS[name])), learner.trained.state.parameters
    for own, term in enumerate(["actor_loss", "critic_loss", "temperature_loss"]):
        leaf = parameters.detach().requires_grad_()
        losses, _ = learner.loss(leaf, learner.trained.state.target, batch)
        (gradient,) = torch.autograd.grad(losses[term].mean(), leaf)
        moved = [bool(part.any()) for part in parts(learner, gradient)]
        assert moved == [index == own for index in range(3)], term


@pytest.mark.parametrize("name", SPECS)
def test_the_policy_climbs_its_soft_value(name: str) -> None:
    """The gradient of min Q + temperature * entropy by finite differences; the noise is the same."""
    learner = learner_of(config(temperature=0.3), SPECS[name])
    batch, state = batch_of(learner, transitions(SPECS[name])), learner.trained.state
    leaf = state.parameters.detach().requires_grad_()
    losses, _ = learner.loss(leaf, state.target, batch)
    (gradient,) = torch.autograd.grad(losses["actor_loss"].mean(), leaf)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0))
    direction[learner.network.acting :] = 0
    step = 2e-3 * direction
    up, down = (
        learner.loss(state.parameters + way, state.target, batch)[0]["actor_loss"].mean() for way in (step, -step)
    )
    assert ((up - down) / 4e-3).item() == pytest.approx((gradient @ direction).item(), rel=0.05)


@pytest.mark.parametrize("target", [0.01, 1.38])
def test_the_temperature_falls_where_there_is_entropy_enough(target: float) -> None:
    learner = learner_of(config(target_entropy=target, temperature_learning_rate=0.01), LIST)
    before = parts(learner, learner.trained.state.parameters)[2].item()
    learner.update(Sample(transitions(LIST)))
    after = parts(learner, learner.trained.state.parameters)[2].item()
    assert after - before == pytest.approx(-0.01 if target < 1 else 0.01, rel=1e-3)


def test_where_its_rate_is_0_the_temperature_stays() -> None:
    learner = learner_of(config(temperature=0.25, temperature_learning_rate=0.0), BOX)
    for seed in range(3):
        learner.update(Sample(transitions(BOX, seed)))
    assert parts(learner, learner.trained.state.parameters)[2].item() == pytest.approx(math.log(0.25))
    assert learner.metrics()["train/temperature"] == pytest.approx(0.25)


def test_each_part_has_its_own_step_size_and_the_targets_follow() -> None:
    """Adam's first step is the step size in every coordinate that has a gradient."""
    rates = {"policy_learning_rate": 0.01, "learning_rate": 0.02, "temperature_learning_rate": 0.03}
    learner = learner_of(config(tau=0.25, **rates), BOX)
    state = learner.trained.state
    before, target = state.parameters.clone(), state.target.clone()
    learner.update(Sample(transitions(BOX)))
    for moved, rate in zip(parts(learner, (state.parameters - before).abs()), (0.01, 0.02, 0.03), strict=True):
        assert moved.max().item() == pytest.approx(rate, rel=1e-3)
    torch.testing.assert_close(state.target, 0.75 * target + 0.25 * state.parameters)


@pytest.mark.parametrize(("spec", "target"), [(BOX, 2 * math.log(2)), (LIST, 1.4)])
def test_an_entropy_that_no_policy_has_is_refused(spec: Spec, target: float) -> None:
    """Uniform over [-1, 1]^2 has 2 log 2 nats, over 4 actions log 4."""
    with pytest.raises(ValueError, match="no policy has more than 1.386 nats"):
        Learner(config(target_entropy=target), spec, Seeds(0), CPU, compiled=False)
    Learner(config(target_entropy=target - 0.1), spec, Seeds(0), CPU, compiled=False)


def test_it_acts_at_random_as_long_as_it_is_told_to() -> None:
    learner = learner_of(config(), LIST)
    assert learner.weights()[-1] == 1  # the only buffer
    learner.begin_round(Round(0, 100))
    assert learner.weights()[-1] == 0


# Known answers -------------------------------------------------------------------------------------------------------


def taught(spec: Spec, options: dict[str, Any], rows: Transition, updates: int) -> Learner:
    """Learned from these rows, all of them at each update; step sizes fall to 0."""
    falling = [{"kind": "linear", "start": start, "end": 0.0} for start in (0.3, 0.05)]
    raw = {"algorithm": "sac", "env": {"id": "toy", "count": 1}, "steps": updates, "memory": {"start": 1}}
    rates: dict[str, Any] = {
        "learning_rate": falling[0],
        "policy_learning_rate": falling[1],
        "temperature_learning_rate": 0.0,
    }
    parsed = parse(raw | {"network": {"hidden": []}, "learner": rates | {"batch_size": 1} | options})
    assert isinstance(parsed, SAC)
    learner = Learner(parsed, spec, Seeds(0), CPU, compiled=False)
    for update in range(updates):
        learner.begin_round(Round(update, update))
        learner.update(Sample(rows))
    return learner


def learned(learner: Learner, obs: Array) -> tuple[Array, Array]:
    """Probabilities and the smaller critic's values of discrete actions."""
    with torch.no_grad():
        shown = torch.from_numpy(obs)
        return learner.network("policy", shown).softmax(-1).numpy(), learner.network("critics", shown).amin(0).numpy()


def table(
    states: list[int], actions: list[int], rewards: list[float], following: list[int], gamma: float
) -> Transition:
    """A world of states 0 and 1, shown one-hot."""
    one_hot = np.eye(2, dtype=np.float32)
    discount = np.full(len(states), gamma, np.float32)
    reward = np.array(rewards, np.float32)
    return Transition(one_hot[states], np.array(actions), reward, discount, one_hot[following], None)


def test_soft_bandit() -> None:
    """Rewards 0 and 1, temperature 1: V = log(1 + e), and the better action has e / (1 + e)."""
    spec = Spec("bandit", (2,), "float32", Discrete(2))
    rows = table([0, 0], [0, 1], [0.0, 1.0], [0, 0], 0.0)
    learner = taught(spec, {"temperature": 1.0}, rows, 200)
    policy, q = learned(learner, rows.obs[:1])
    np.testing.assert_allclose(q, [[0, 1]], atol=1e-3)
    np.testing.assert_allclose(policy[0, 1], math.e / (1 + math.e), atol=1e-3)
    value = (policy * (q - np.log(policy))).sum()
    assert value == pytest.approx(math.log(1 + math.e), abs=1e-3)


@pytest.mark.slow
def test_soft_values_of_two_states() -> None:
    """Staying pays 1 in state 0 and 2 in state 1, going pays nothing; gamma 0.9, temperature 0.5."""
    spec = Spec("two states", (2,), "float32", Discrete(2))
    rows = table([0, 0, 1, 1], [0, 1, 0, 1], [1.0, 0.0, 2.0, 0.0], [0, 1, 1, 0], 0.9)
    learner = taught(spec, {"temperature": 0.5, "tau": 0.5}, rows, 700)
    policy, q = learned(learner, np.eye(2, dtype=np.float32))
    np.testing.assert_allclose(q, [[17.301421111, 18.002742542], [20.002742542, 16.301421111]], atol=0.02)
    np.testing.assert_allclose(policy, [[0.197397064, 0.802602936], [0.999390732, 0.000609268]], atol=2e-3)
    value = (policy * (q - 0.5 * np.log(policy))).sum(-1)
    np.testing.assert_allclose(value, [18.112690123, 20.003047268], atol=0.02)


@pytest.mark.slow
def test_the_temperature_that_a_target_entropy_leads_to() -> None:
    """One step, r = -a^2 for a in [-1, 1], target entropy -1: temperature .0158477161 by theory, within a tenth by
    samples: what is left moves with the noise of a temperature that is learned to the end."""
    spec = Spec("line", (1,), "float32", Continuous((-1.0,), (1.0,)))
    raw = {"algorithm": "sac", "env": {"id": "toy", "count": 1}, "steps": 6_000, "network": {"hidden": [32, 32]}}
    falling = {"kind": "linear", "start": 5e-3, "end": 0.0}
    rates: dict[str, Any] = dict.fromkeys(
        ["learning_rate", "policy_learning_rate", "temperature_learning_rate"], falling
    )
    parsed = parse(raw | {"learner": rates | {"batch_size": 1}, "memory": {"start": 1}})
    assert isinstance(parsed, SAC)
    learner, rng = Learner(parsed, spec, Seeds(0), CPU, compiled=False), np.random.default_rng(0)
    obs = np.zeros((256, 1), np.float32)
    for update in range(6_000):
        action = rng.uniform(-1, 1, (256, 1)).astype(np.float32)
        action[:128] *= 0.3  # where it counts
        rows = Transition(obs, action, -np.square(action[:, 0]), np.zeros(256, np.float32), obs, None)
        learner.begin_round(Round(update, update))
        learner.update(Sample(rows))
    temperature = parts(learner, learner.trained.state.parameters)[2].exp().item()
    assert temperature == pytest.approx(0.0158477161, rel=0.1)

"""A2C's gradient against what it should be equal to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.actor_critic.a2c import Learner, actor, make
from agents.actor_critic.configs.a2c import A2C
from agents.experience.memory.latest import Latest
from agents.parts.on_policy import ages
from agents.records import Sample, Unroll, drop, head, side_by_side
from agents.registry import parse
from experiment.seeding import Seeds

CPU = torch.device("cpu")


def config(world: str = "sparring/LQR-v0", count: int = 4, steps: int = 20, **learner: Any) -> A2C:
    raw = {
        "algorithm": "a2c",
        "env": {"id": world, "count": count},
        "rollout": {"steps": steps},
        "network": {"hidden": [8]},
        "learner": learner,
    }
    parsed = parse(raw)
    assert isinstance(parsed, A2C)
    return parsed


def collected(options: A2C, collections: int = 1) -> tuple[Learner, list[Unroll]]:
    hand = actor(options, 0, 0)
    learner = make(options, hand.rollout.env.spec, Seeds(0), CPU).learner  # type: ignore[attr-defined]
    hand.load(learner.weights(), 0)
    unrolls = [hand.collect().rows for _ in range(collections)]
    hand.close()
    assert isinstance(learner, Learner)
    return learner, unrolls


def gradient_of(learner: Learner, unroll: Unroll) -> Tensor:
    return learner.trained.gradient(learner.trained.state.parameters, *learner.rows(unroll))[0]


def test_of_whole_episodes_it_is_reinforce_with_a_baseline() -> None:
    """n as long as the episode, lambda 1, values don't learn: mean of (G - V) grad log pi, written out here."""
    learner, (unroll,) = collected(config(value_coefficient=0.0))
    assert (unroll.truncated == (np.arange(20) == 19)[:, None]).all()
    parameters = learner.trained.flat.parameters.clone().requires_grad_()
    obs, action = (torch.from_numpy(array) for array in (unroll.obs, unroll.action))
    with torch.no_grad():
        value, last = learner.network.value(obs[:-1].flatten(0, 1)), torch.from_numpy(unroll.final_obs)
        to_go = learner.network.value(last)
    total = torch.zeros(())
    outputs, _ = learner.trained.flat.call(parameters, obs[:-1].flatten(0, 1))
    log_prob = learner.family.log_prob(outputs, action.flatten(0, 1), None).view(20, 4)
    for t in reversed(range(20)):
        to_go = torch.from_numpy(unroll.reward[t]) + 0.99 * to_go
        total = total + ((to_go - value.view(20, 4)[t]) * log_prob[t]).sum()
    expected = -torch.autograd.grad(total / 80, parameters, allow_unused=True)[0]
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(gradient_of(learner, unroll), expected, rtol=1e-4, atol=1e-6)


def test_several_workers_are_one_with_a_larger_batch() -> None:
    learner, (unroll,) = collected(config(steps=5))
    halves = [narrow(unroll, slice(0, 2)), narrow(unroll, slice(2, 4))]
    memory = Latest()
    memory.unrolls = halves
    together = gradient_of(learner, memory.sample().rows)
    torch.testing.assert_close(together, gradient_of(learner, unroll), rtol=0, atol=0)
    mean = (gradient_of(learner, halves[0]) + gradient_of(learner, halves[1])) / 2
    torch.testing.assert_close(together, mean, rtol=1e-5, atol=1e-6)


def narrow(unroll: Unroll, rows: slice) -> Unroll:
    """Some rows, of an unroll in which nothing ended."""
    assert not len(unroll.final_at)
    columns = {name: getattr(unroll, name)[:, rows] for name in ("obs", "first", "action", "reward")}
    ends = {name: getattr(unroll, name)[:, rows] for name in ("terminated", "truncated")}
    said = {"log_prob": unroll.extras["log_prob"][:, rows]}
    return unroll._replace(**columns, **ends, extras=said)


def test_lambda_0_is_the_one_step_error() -> None:
    learner, (unroll,) = collected(config(steps=5, gae_lambda=0.0))
    with torch.no_grad():
        value = learner.network.value(torch.from_numpy(unroll.obs).flatten(0, 1)).view(6, 4).numpy()
    error = unroll.reward + 0.99 * value[1:] - value[:-1]
    np.testing.assert_allclose(learner.rows(unroll).advantage.view(5, 4), error, atol=1e-5)


@pytest.mark.parametrize(("world", "length"), [("sparring/LQR-v0", 20), ("game:tic_tac_toe", None)])
def test_states_are_discounted_across_collections(world: str, length: int | None) -> None:
    """gamma^t counts from the start of the episode, wherever a collection begins, and with each seat's move."""
    plain, _ = collected(config(world, steps=7))
    learner, unrolls = collected(config(world, steps=7, discount_states=True), collections=4)
    for number, unroll in enumerate(unrolls):
        if length is not None:
            expected = np.repeat((7 * number + np.arange(7)) % length, 4).reshape(7, 4)
        else:  # as many stones lie on the board
            expected = 9 - unroll.mask[:-1].sum(-1)  # type: ignore[index]
        np.testing.assert_array_equal(ages(unroll), expected)
        rows, without = learner.rows(unroll), plain.rows(unroll._replace(carry={}))
        factor = torch.from_numpy(0.99 ** expected.reshape(-1)).float()
        torch.testing.assert_close(rows.advantage, factor * without.advantage)
        torch.testing.assert_close(rows.target, without.target)


def test_an_update_makes_what_did_well_likelier_and_values_truer() -> None:
    learner, (unroll,) = collected(config("sparring/ActionReward-v0", steps=5, learning_rate=1e-2))
    obs = torch.zeros(1, 1)
    before = learner.network(obs)
    for _ in range(3):
        learner.update(Sample(unroll))
    logits, value = learner.network(obs)
    assert (logits[0, 1] - logits[0, 0]) > (before[0][0, 1] - before[0][0, 0])
    mean = float(unroll.reward.mean())
    assert abs(value.item() - mean) < abs(before[1].item() - mean)
    assert learner.metrics()["train/n_updates"] == 3


def test_the_halves_of_an_unroll_are_two_collections() -> None:
    """Time alone is cut: what a window doesn't see it takes from the values."""
    learner, (unroll,) = collected(config(steps=10, gae_lambda=0.0))
    both = [learner.rows(part).advantage for part in (head(unroll, 5), drop(unroll, 5))]
    torch.testing.assert_close(torch.cat(both), learner.rows(unroll).advantage)
    assert side_by_side([unroll]) is unroll

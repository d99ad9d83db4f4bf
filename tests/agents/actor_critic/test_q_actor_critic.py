"""The Q actor-critic: targets of its critic, and its policy's gradient on a world of which everything is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.actor_critic.configs.q_actor_critic import QActorCritic
from agents.actor_critic.q_actor_critic import Batch, Learner, actor, make
from agents.records import Sample, Unroll
from agents.registry import parse
from envs.api import Continuous, Discrete, Spec
from experiment.seeding import Seeds
from tests.agents import two_state as world

CPU = torch.device("cpu")


def config(world: str = "toy", **learner: Any) -> QActorCritic:
    raw = {
        "algorithm": "q_actor_critic",
        "env": {"id": world, "count": 2},
        "rollout": {"steps": 12},
        "network": {"hidden": []},
        "learner": learner,
    }
    parsed = parse(raw)
    assert isinstance(parsed, QActorCritic)
    return parsed


def of_two_states() -> tuple[Learner, Tensor]:
    """A learner whose policy and critic are those that are known, and each pair of state and action by its weight."""
    learner = Learner(config(discount=world.GAMMA), Spec("two", (2,), "float32", Discrete(2)), Seeds(0), CPU, False)
    for trained, table in ((learner.policy, world.LOGITS), (learner.critic, torch.tensor(world.Q))):
        views = trained.flat.views(trained.state.parameters)
        for view in views.values():
            view.copy_(table.T if view.ndim == 2 else torch.zeros(2))
    weight = world.visits(world.LOGITS)[:, None] * world.LOGITS.softmax(-1) / (1 - world.GAMMA)
    return learner, weight.reshape(4).float()


def pairs() -> Batch:
    obs, action = torch.eye(2).repeat_interleave(2, 0), torch.tensor([0, 1, 0, 1])
    reward, discount = world.REWARD.reshape(4).float(), torch.full((4,), world.GAMMA)
    return Batch(obs, None, action, reward, discount, torch.eye(2)[world.NEXT.reshape(4)], None)


def test_the_true_values_are_a_fixed_point_of_the_critic() -> None:
    learner, _ = of_two_states()
    losses, measured = learner.critic_loss(learner.critic.state.parameters, learner.policy.state.parameters, pairs())
    np.testing.assert_allclose(losses["critic_loss"], 0, atol=1e-10)
    np.testing.assert_allclose(measured["q_mean"], np.reshape(world.Q, 4), rtol=1e-6)
    wrong = pairs()._replace(discount=torch.zeros(4))
    assert learner.critic_loss(learner.critic.state.parameters, learner.policy.state.parameters, wrong)[1][
        "td_error"
    ].numpy() == pytest.approx(np.reshape(world.Q, 4) - world.REWARD.reshape(4).numpy(), rel=1e-5)


def test_with_the_true_values_the_policy_follows_the_exact_gradient() -> None:
    learner, weight = of_two_states()
    parameters = learner.policy.state.parameters.clone().requires_grad_()
    losses, _ = learner.policy_loss(parameters, learner.critic.state.parameters, pairs())
    found = -torch.autograd.grad(weight @ losses["policy_gradient_loss"], parameters)[0]
    by_state = learner.policy.flat.views(found)["head.linear.weight"].T
    np.testing.assert_allclose(by_state, world.GRADIENT, rtol=1e-5)


def test_neither_network_moves_the_other() -> None:
    learner, _ = of_two_states()
    for trained, other in ((learner.policy, learner.critic), (learner.critic, learner.policy)):
        before = other.state.parameters.clone()
        trained.descend(trained.state, torch.tensor(0.1), other.state.parameters, pairs())
        assert torch.equal(other.state.parameters, before)


def collected(name: str) -> tuple[Learner, Unroll]:
    asked = config(f"sparring/{name}-v0")
    hand = actor(asked, 0, 0)
    learner = make(asked, hand.rollout.env.spec, Seeds(0), CPU).learner  # type: ignore[attr-defined]
    hand.load(learner.weights(), 0)
    unroll = hand.collect().rows
    hand.close()
    assert isinstance(learner, Learner)
    return learner, unroll


def test_a_time_limit_is_not_death_and_what_follows_is_true() -> None:
    learner, unroll = collected("MaskedAction")
    batch = learner.batch(unroll)
    ended = torch.from_numpy(unroll.terminated).reshape(-1)
    assert ((batch.discount == 0) == ended).all() and ended.any()
    assert batch.mask is not None and batch.next_mask is not None and unroll.final_mask is not None
    np.testing.assert_array_equal(batch.next_mask[unroll.final_at], unroll.final_mask)
    cut = unroll._replace(terminated=unroll.truncated, truncated=unroll.terminated)
    assert (learner.batch(cut).discount == 0.99).all()


def test_the_critic_goes_first() -> None:
    learner, unroll = collected("ActionReward")
    called: list[str] = []
    critic, policy = learner.critic.descend, learner.policy.descend
    learner.critic.descend = lambda *asked: called.append("critic") or critic(*asked)  # type: ignore[method-assign,func-returns-value]
    learner.policy.descend = lambda *asked: called.append("policy") or policy(*asked)  # type: ignore[method-assign,func-returns-value]
    learner.update(Sample(unroll))
    assert called == ["critic", "policy"]
    assert learner.metrics()["train/n_updates"] == 1


def test_actions_that_are_no_choice_are_refused() -> None:
    with pytest.raises(ValueError, match="wants one discrete action"):
        Learner(config(), Spec("toy", (2,), "float32", Continuous((-1.0,), (1.0,))), Seeds(0), CPU, False)

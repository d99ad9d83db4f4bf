"""Policies that remember: what was acted is what is learned from, whatever ended, began or was cut off in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.parts.on_policy import ActorCritic, StochasticPolicy, rows_of
from agents.parts.recalling import Recalled, values_along
from agents.records import Sample, Unroll
from agents.registry import algorithm, parse
from agents.wiring import build
from envs.api import Array
from experiment.config import read
from experiment.seeding import Seeds
from supervised.networks.sequence import Recall
from tests.runs import ROOT, lines, train

CPU = torch.device("cpu")
TORSOS: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm", "width": 8},
    "transformer": {"kind": "transformer", "width": 8, "heads": 2, "window": 4},
    "linear": {"kind": "transformer", "width": 8, "heads": 2, "attention": "linear"},
}
every = pytest.mark.parametrize("kind", TORSOS)


def config(kind: str, **changes: Any) -> Any:
    """Episodes are cut off after at most seven steps; unrolls are of twelve."""
    return parse(
        {
            "algorithm": "ppo",
            "env": {"id": "CartPole-v1", "count": 3, "max_episode_steps": 7},
            "rollout": {"steps": 12},
            "network": {"torso": TORSOS[kind], "hidden": [8], "shared": True},
            "normalize": {"observations": True},
            "learner": {"batch_size": 12},
            "device": "cpu",
        }
        | changes
    )


def lived(kind: str, **changes: Any) -> tuple[Any, Unroll]:
    """A learner, and the second unroll of an actor with its weights: it begins in the midst of episodes."""
    chosen = config(kind, **changes)
    asked: Any = algorithm(chosen.algorithm).load()
    actor = asked.actor(chosen, 0, 0)
    learner = asked.make(chosen, actor.rollout.env.spec, Seeds(0), CPU).learner
    learner.network.policy.normalize.scale.fill_(3.0)
    actor.load(learner.weights(), 0)
    actor.collect()
    unroll = actor.collect().rows
    actor.close()
    assert not unroll.first[0].all() and unroll.first[1:].any() and unroll.truncated.any()
    return learner, unroll


def log_probs(learner: Any, unroll: Unroll) -> Array:
    rows = learner.rows(unroll)
    outputs, _ = learner.network(rows.obs)
    found: Array = learner.family.log_prob(outputs, rows.action, rows.mask).detach().numpy()
    return found


@every
def test_what_was_acted_is_what_is_learned_from(kind: str) -> None:
    """Before anything was learned, every step has the probability that it was acted with; where what was remembered at
    the beginning is lost, or the beginnings of episodes are, it has not."""
    learner, unroll = lived(kind)
    acted = unroll.extras["log_prob"].reshape(-1)
    np.testing.assert_allclose(log_probs(learner, unroll), acted, rtol=0, atol=2e-6)
    fresh = {name: np.zeros_like(part) for name, part in unroll.carry.items()}
    for broken in (unroll._replace(carry=fresh), unroll._replace(first=np.zeros_like(unroll.first))):
        assert np.abs(log_probs(learner, broken) - acted).max() > 1e-5


def alone(network: ActorCritic, carry: Any, obs: Array) -> tuple[Any, float]:
    """One step of one row."""
    shown, going_on = torch.from_numpy(obs)[None, None], torch.zeros(1, 1, dtype=torch.bool)
    with torch.no_grad():
        carry, value = network.recall(Recalled(shown, going_on, carry))
    return carry, value.item()


@every
def test_values_along_an_unroll_are_those_of_its_steps(kind: str) -> None:
    """Also of what was shown where an episode was cut off, which is seen with all that was remembered."""
    learner, unroll = lived(kind)
    network: ActorCritic = learner.network
    value, cut = values_along(network.recall, unroll, CPU)
    at, shown = unroll.cut()
    assert len(at) > 3 and isinstance(network.policy.torso, Recall)
    strangers = 0.0
    for row in range(3):
        fresh = network.policy.torso.initial(1)
        carry: Any = {name: torch.from_numpy(part[row : row + 1]) for name, part in unroll.carry.items()}
        for step, obs in enumerate(unroll.obs[:, row]):
            carry, expected = alone(network, fresh if unroll.first[step, row] else carry, obs)
            assert value[step, row] == pytest.approx(expected, abs=1e-5)
            for index in np.flatnonzero(at == step * 3 + row):
                assert cut[index] == pytest.approx(alone(network, carry, shown[index])[1], abs=1e-5)
                strangers = max(strangers, abs(cut[index] - alone(network, fresh, shown[index])[1]))
    assert strangers > 1e-4, "without a memory they would be worth something else"


def test_rows_are_picked_as_wholes() -> None:
    learner, unroll = lived("lstm")
    rows = rows_of(unroll, learner.network, learner.normalizer, 0.9, 0.9, CPU)
    assert rows.units == 3 and len(rows.log_prob) == 36
    some = rows.pick(torch.tensor([2, 0]))
    expected, _ = learner.network(rows.obs)
    found, _ = learner.network(some.obs)
    torch.testing.assert_close(found.view(12, 2, -1), expected.view(12, 3, -1)[:, [2, 0]])
    for picked, whole in zip(some[2:], rows[2:], strict=True):
        torch.testing.assert_close(picked.view(12, 2), whole.view(12, 3)[:, [2, 0]])


@pytest.mark.parametrize(
    ("name", "options"), [("a2c", {"discount_states": True}), ("impala", {}), ("ppo", {"batch_size": 12})]
)
def test_whoever_learns_from_rows_learns_from_them(name: str, options: dict[str, Any]) -> None:
    """Also where the policy counts steps beside."""
    learner, unroll = lived("lstm", algorithm=name, learner=options)
    np.testing.assert_allclose(log_probs(learner, unroll), unroll.extras["log_prob"].reshape(-1), rtol=0, atol=2e-6)
    before = learner.weights()
    learner.update(Sample(unroll))
    assert (learner.weights() != before).mean() > 0.9


@every
def test_an_update_learns_from_all_of_them(kind: str) -> None:
    learner, unroll = lived(kind)
    before = learner.trained.state.parameters.clone()
    learner.update(Sample(unroll))
    moved = learner.trained.flat.views((learner.trained.state.parameters - before).abs())
    idle = {name for name, change in moved.items() if not change.any()}
    assert not {name for name in idle if not name.endswith("pairs.bias")}, "softmax knows no bias of keys"
    assert learner.metrics()["train/approx_kl"] < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"torso": "gru"}}, "let values have the same torso by network.shared=true"),
        ({"env": {"id": "game:tic_tac_toe", "count": 3}}, "played by both seats in turn"),
        ({"algorithm": "dqn", "rollout": {"steps": 1}, "network": {"torso": "gru"}, "learner": {}}, "use ppo, or"),
    ],
)
def test_where_nothing_can_be_remembered_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(config("lstm", **changes))


def test_minibatches_are_of_whole_unrolls() -> None:
    with pytest.raises(ValueError, match=r"batch_size \(18\) is not a multiple of rollout.steps \(12\)"):
        config("lstm", learner={"batch_size": 18})


# Learning -------------------------------------------------------------------------------------------------------------

MEMORY: dict[str, Any] = {
    "algorithm": "ppo",
    "env": {"id": "sparring/Memory-v0", "count": 32},
    "steps": 20_000,
    "rollout": {"steps": 16},
    "learner": {"batch_size": 128, "learning_rate": 3e-3, "epochs": 4, "entropy_coefficient": 0.01},
    "evaluation": {"episodes": 200},
    "device": "cpu",
}


def forget(patch: pytest.MonkeyPatch) -> None:
    """The same network, begun anew at each step: in acting, values and losses alike."""
    forward = Recall.forward

    def begun(self: Recall, carry: Any, obs: torch.Tensor, first: torch.Tensor) -> Any:
        return forward(self, self.initial(first.shape[1]), obs, torch.ones_like(first))

    patch.setattr(Recall, "forward", begun)


@pytest.mark.slow
@pytest.mark.parametrize("forgetful", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_cue_is_remembered(kind: str, forgetful: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is to be repeated three steps later: 1 for who remembers, 0 on average for who doesn't."""
    if forgetful:
        forget(monkeypatch)
    network = {"torso": TORSOS[kind] | {"width": 16}, "hidden": [16], "shared": True}
    assert train(MEMORY | {"network": network}, tmp_path / "run") == 0
    found = lines(tmp_path / "run")[-1]["eval/mean_reward"]
    assert abs(found) < 0.3 if forgetful else found == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_a_pole_without_velocities_falls_where_nothing_is_remembered(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run as the claims of these names, which reach 475."""
    forget(monkeypatch)
    settings = read(ROOT / "configs" / "ppo" / f"cartpole_{name}.yaml") | {"seed": 100, "evaluation": {"episodes": 100}}
    assert train(settings, tmp_path / "run") == 0
    assert lines(tmp_path / "run")[-1]["eval/mean_reward"] < 80


def test_a_policy_begins_with_nothing_in_mind() -> None:
    asked: Any = algorithm("ppo").load()
    actor = asked.actor(config("lstm"), 0, 0)
    policy: StochasticPolicy = actor.rollout.policy
    begun = policy.initial(4)
    assert begun.keys() == {"hidden", "cell"}
    assert all(part.shape == (4, 1, 8) and not part.any() for part in begun.values())
    actor.close()

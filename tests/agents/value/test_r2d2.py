"""R2D2's learner: it remembers what was remembered, its goals are those of their equation, and it learns what nobody
learns who forgets."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.experience.memory.sequences import Sequences
from agents.parts.recalling import Recalled, recalled
from agents.records import Unroll, concatenate
from agents.registry import parse
from agents.value.configs.r2d2 import R2D2
from agents.value.r2d2 import ALGORITHM, Learner, RecallingQ
from envs.api import Array, Continuous, Discrete, Spec
from experiment.config import ConfigError
from experiment.seeding import Seeds
from tests.agents.test_probes import train

CPU = torch.device("cpu")
STARTS = (4, 8, 12)  # of the sequences that are looked at
RAW = {
    "algorithm": "r2d2",
    "env": {"id": "CartPole-v1", "count": 3, "max_episode_steps": 11},
    "rollout": {"steps": 2},
    "network": {"torso": {"kind": "gru", "width": 6}, "hidden": [6]},
    "learner": {"length": 8, "burn_in": 4, "discount": 0.9, "n_step": 3, "target_interval": 100},
}


def lived(**changes: Any) -> tuple[Learner, Unroll, Unroll]:
    """A learner whose target network isn't its network, 24 steps that an actor made with its weights, and sequences of
    them, as the memory keeps them: those from STARTS on, of three rows each."""
    config = parse(RAW | {"learner": RAW["learner"] | changes})  # type: ignore[operator]
    assert isinstance(config, R2D2) and ALGORITHM.actor is not None
    actor: Any = ALGORITHM.actor(config, 0, 0)
    learner = Learner(config, actor.rollout.env.spec, Seeds(0), CPU, compiled=False)
    target = learner.trained.state.target
    target.add_(0.3 * torch.randn(target.shape, generator=torch.Generator().manual_seed(1)))
    actor.load(learner.weights(), 0)
    experiences = [actor.collect() for _ in range(12)]
    actor.close()
    table = Sequences(100, 3, 8, overlap=4)
    for experience in experiences:
        table.add(experience)
    return learner, reduce(concatenate, (e.rows for e in experiences)), table.gather(np.arange(3, 12))


def test_a_sequence_remembers_what_was_before_it() -> None:
    """As if all steps before it had been read, while the weights are those that acted; without what was stored it
    doesn't, and a burn-in makes up for some of that."""
    learner, whole, sequences = lived()
    fresh = sequences._replace(carry={name: np.zeros_like(part) for name, part in sequences.carry.items()})
    unburnt = recalled(fresh, CPU).part(4, 8, {name: torch.from_numpy(part) for name, part in fresh.carry.items()})
    with torch.no_grad():
        expected = learner.network(recalled(whole, CPU))[1]
        expected = torch.cat([expected[start + 4 : start + 8] for start in STARTS], 1)
        found, burnt, cold = (
            (learner.network(seen)[1] - expected).abs().max()
            for seen in (learner.warmed(sequences), learner.warmed(fresh), unburnt)
        )
    assert found < 1e-6 < 1e-3 < burnt < 0.7 * cold


def followed(learner: Learner, unroll: Unroll, row: int) -> tuple[list[float], dict[int, float]]:
    """What the target network says, step by step, of each of T + 1 observations, and of what cut off steps led to."""
    state, double = learner.trained.state, learner.config.learner.double
    carries = [{name: torch.from_numpy(part[[row]]) for name, part in unroll.carry.items()}] * 2

    def best(carries: list[Any], obs: Array, first: bool) -> tuple[list[Any], float]:
        shown, begins = torch.from_numpy(obs)[None, None], torch.tensor([[first]])
        both = [
            learner.trained.flat.call(parameters, Recalled(shown, begins, carry))
            for parameters, carry in zip((state.target, state.parameters), carries, strict=True)
        ]
        q = [values[0, 0] for _, values in both]
        return [carry for carry, _ in both], float(q[0][q[1].argmax()] if double else q[0].max())

    values, cut, (at, shown) = [], {}, unroll.cut()
    for t, obs in enumerate(unroll.obs[:, row]):
        carries, value = best(carries, obs, bool(unroll.first[t, row]))
        values.append(value)
        for index in np.flatnonzero(at == t * unroll.reward.shape[1] + row):
            cut[t] = best(carries, shown[index], False)[1]
    return values, cut


@pytest.mark.parametrize("double", [False, True])
def test_goals_are_rewards_and_the_value_of_what_follows(double: bool) -> None:
    """Of three steps, or as many as there are until the episode or the sequence ends; what is cut off has a value."""
    learner, _, unroll = lived(double=double)
    found, cuts = learner.goals(unroll), 0
    for row in range(9):
        values, cut = followed(learner, unroll, row)
        cuts += len(cut)
        for t in range(8):
            goal, k = 0.0, 0
            while True:
                goal += 0.9**k * unroll.reward[t + k, row]
                over = bool(unroll.terminated[t + k, row])
                if over or t + k in cut or k == 2 or t + k == 7:
                    break
                k += 1
            goal += 0.0 if over else 0.9 ** (k + 1) * cut.get(t + k, values[t + k + 1])
            assert found[t, row] == pytest.approx(goal, abs=1e-5)
    assert cuts > 2


MEMORY = {
    "algorithm": "r2d2",
    "steps": 5_000,
    "env": {"count": 4},
    "rollout": {"steps": 2},
    "network": {"torso": {"kind": "gru", "width": 16}, "hidden": [16]},
    "epsilon": 0.3,
    "learner": {
        "learning_rate": {"kind": "linear", "start": 0.01, "end": 0.0},
        "batch_size": 16,
        "updates_per_step": 0.1,
        "length": 8,
        "burn_in": 4,
        "discount": 0.9,
        "target_interval": 100,
    },
    "memory": {"capacity": 5_000, "start": 200},
}


@pytest.mark.slow
@pytest.mark.parametrize("forgetful", [False, True])
def test_the_cue_is_remembered_for_three_steps(forgetful: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """gamma = 0.9: the right answer is worth 1, and the cue 0.9^3. To who forgets each step both are worth 0."""
    whole = RecallingQ.forward

    def forward(network: RecallingQ, seen: Recalled) -> Any:
        return whole(network, seen._replace(first=torch.ones_like(seen.first)) if forgetful else seen)

    monkeypatch.setattr(RecallingQ, "forward", forward)
    _, learner = train(MEMORY, "Memory", seed=100)
    obs = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[0, 0, 0]] * 2, [[0, 0, 0]] * 2, [[0, 0, 1]] * 2])
    first = torch.tensor([[True] * 2] + [[False] * 2] * 3)
    with torch.no_grad():
        q: Tensor = learner.network(Recalled(obs, first, learner.network.torso.initial(2)))[1]
    values = q.amax(-1)
    if forgetful:
        assert values.abs().max() < 0.3
    else:
        assert q[3].argmax(-1).tolist() == [0, 1]
        np.testing.assert_allclose(values[3], 1, atol=0.05)
        np.testing.assert_allclose(values[0], 0.9**3, atol=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learner": {"length": 8, "burn_in": 8}}, "is 0: a sequence begins every so many steps"),
        ({"learner": {"length": 8, "burn_in": 3}}, "must be a multiple of rollout.steps"),
        ({"memory": {"start": 20}, "learner": {"length": 10, "batch_size": 4}}, "no sequence would be complete"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(RAW | changes)


@pytest.mark.parametrize(
    ("spec", "torso", "message"),
    [
        (Spec("toy", (3,), "float32", Continuous((-1.0,), (1.0,))), "gru", "wants one discrete action"),
        (Spec("toy", (3,), "float32", Discrete(2), masked=True), "gru", "masks: True"),
        (Spec("toy", (3,), "float32", Discrete(2)), "mlp", "a torso that remembers"),
    ],
)
def test_worlds_and_torsos_that_it_can_not_learn_by_are_refused(spec: Spec, torso: str, message: str) -> None:
    config = parse(RAW | {"network": {"torso": torso}})
    assert isinstance(config, R2D2)
    with pytest.raises(ValueError, match=message):
        RecallingQ(spec, config.network, config.normalize, torch.Generator())

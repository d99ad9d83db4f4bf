"""Logged experience: it comes back as it was, is refused where it is damaged or contradicts itself, and DQN learns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.api import Algorithm, Source, State
from agents.config import Control, Environment, Runtime
from agents.contenders import UniformPolicy
from agents.courses.training import Training
from agents.experience.logged import Both, Logged, read, write
from agents.experience.memory.steps import Steps
from agents.experience.rollout import Rollout, make_env
from agents.fleet.local import LocalFleet
from agents.records import Unroll, faults, state_of
from agents.registry import algorithm, parse
from agents.wiring import parts
from envs.api import Array
from experiment import checkpoint
from experiment.checkpoint import CheckpointError
from experiment.seeding import Seeds
from tests.agents.test_probes import DQN, column
from tests.runs import differences

WORLD = "sparring/ObservationActionReward-v0"


def played(world: str, count: int = 2, lengths: tuple[int, ...] = (5, 5, 5), seed: int = 0) -> list[Unroll]:
    """Random play, a collection after the other."""
    env = make_env(Environment(id=world), count)
    rollout = Rollout(env, UniformPolicy(env.spec.actions), seed, np.random.default_rng(seed))
    return [rollout.collect(length)[0] for length in lengths]


def same(one: Unroll, other: Unroll) -> bool:
    return not any(differences(state_of(one), state_of(other)))


# Keeping --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1", "sparring/MaskedAction-v0", "game:tic_tac_toe"])
def test_what_is_written_is_read_back_bit_for_bit(world: str, tmp_path: Path) -> None:
    unrolls = played(world, lengths=(30, 7, 30))
    unrolls = [unroll._replace(extras={"log_prob": np.zeros_like(unroll.reward)}) for unroll in unrolls]
    unrolls = [unroll._replace(carry={"h": np.ones((2, 3), np.float32)}) for unroll in unrolls]
    path = write(tmp_path / "log", unrolls)
    again = read(path)
    assert len(again) == 3 and all(map(same, unrolls, again))
    kinds = {file.suffix for file in path.iterdir()}
    assert kinds == {".safetensors", ".json"}


def test_a_log_is_handed_out_in_order_again_and_again(tmp_path: Path) -> None:
    unrolls = played("CartPole-v1")
    source = Logged(write(tmp_path, unrolls), actor=3)
    for version, unroll in enumerate([*unrolls, *unrolls, unrolls[0]]):
        source.publish(np.zeros(1), version)
        (experience,) = source.collect()
        assert same(experience.rows, unroll)
        assert (experience.steps, experience.actor, experience.version) == (10, 3, version)
        assert experience.episodes.returns == []


def test_where_a_log_begins_again_its_last_steps_are_cut_off(tmp_path: Path) -> None:
    """No step leads from the end of the log to its beginning."""
    unrolls = played("CartPole-v1", lengths=(8,))
    assert not unrolls[0].first[-1].any()
    source, table = Logged(write(tmp_path, unrolls)), Steps(100, 2, gamma=0.9, n_step=3)
    for _ in range(2):
        table.add(source.collect()[0])
    rows = table.gather(np.arange(table.size))
    for row in range(2):
        (last,) = np.flatnonzero((rows.obs == unrolls[0].obs[-2, row]).all(1))
        np.testing.assert_array_equal(rows.next_obs[last], unrolls[0].obs[-1, row])
        assert (rows.reward[last], rows.discount[last]) == (1, np.float32(0.9))


def test_two_logs_lie_side_by_side(tmp_path: Path) -> None:
    one, other = (write(tmp_path, played("CartPole-v1", seed=seed)) for seed in (0, 1))
    assert one != other and not same(read(one)[0], read(other)[0])


# Refusing -------------------------------------------------------------------------------------------------------------


def with_field(change: Callable[[Unroll], Mapping[str, Any]]) -> Callable[[list[Unroll]], list[Unroll]]:
    return lambda unrolls: [unrolls[0], unrolls[1]._replace(**change(unrolls[1])), unrolls[2]]


def nan(reward: Array) -> Array:
    return np.where(np.arange(reward.shape[1]) == 0, np.float32(np.nan), reward)


WRONG: dict[str, tuple[Callable[[list[Unroll]], list[Unroll]], str]] = {
    "nothing": (lambda unrolls: [], "a log of no unrolls"),
    "short": (with_field(lambda u: {"obs": u.obs[:-1]}), r"unroll 1: obs is float32 \[20, 2, 4\], expected"),
    "narrow": (with_field(lambda u: {"action": u.action[:, :1]}), "unroll 1: action is"),
    "double": (with_field(lambda u: {"reward": u.reward.astype(float)}), "reward is float64"),
    "flags": (with_field(lambda u: {"terminated": u.terminated.astype(np.int8)}), "terminated is int8"),
    "extras": (with_field(lambda u: {"extras": {"log_prob": u.reward[:-1]}}), r"extras\.log_prob is"),
    "carry": (with_field(lambda u: {"carry": {"h": np.zeros(3)}}), r"carry\.h is"),
    "absent": (with_field(lambda u: {"first": None}), "first can't be read as steps"),
    "mapping": (with_field(lambda u: {"reward": {"extrinsic": u.reward}}), "reward can't be read as steps"),
    "unmapped": (with_field(lambda u: {"extras": u.reward}), "extras.* can't be read as steps"),
    "flat": (with_field(lambda u: {"reward": u.reward.ravel()}), "reward or final_at can't be read as steps"),
    "nan": (with_field(lambda u: {"reward": nan(u.reward)}), "a reward is not finite"),
    "both": (with_field(lambda u: {"truncated": u.terminated}), "both terminated and truncated"),
    "ends": (with_field(lambda u: {"terminated": ~u.terminated}), "final_at is not where episodes end"),
    "begins": (with_field(lambda u: {"first": ~u.first}), "episodes don't begin where the ones before them end"),
    "finals": (with_field(lambda u: {"final_obs": u.final_obs[:, :2]}), "final_obs is not of the kind of obs"),
    "masks": (with_field(lambda u: {"final_mask": np.ones((len(u.final_at), 2), bool)}), "final_mask is not of the"),
    "gap": (lambda unrolls: [unrolls[0], unrolls[2]], "unroll 1: it doesn't go on"),
    "middle": (lambda unrolls: unrolls[1:], "unroll 0: it doesn't go on"),
    "wider": (lambda unrolls: [*unrolls, *played("CartPole-v1", 3)], "unroll 3: its fields are of other kinds"),
    "another": (lambda unrolls: [*unrolls, *played("Acrobot-v1", 2)], "unroll 3: its fields are of other kinds"),
}


@pytest.mark.parametrize("name", WRONG)
def test_unrolls_that_contradict_themselves_are_refused_by_name(name: str, tmp_path: Path) -> None:
    spoil, told = WRONG[name]
    unrolls = played("CartPole-v1", lengths=(20, 20, 20))
    assert all(faults(unroll) == [] for unroll in unrolls)
    with pytest.raises(ValueError, match=f"{tmp_path}: .*{told}"):
        write(tmp_path, spoil(unrolls))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in WRONG if name != "absent"])
def test_what_others_have_written_is_held_to_the_same(name: str, tmp_path: Path) -> None:
    spoil, told = WRONG[name]
    unrolls = spoil(played("CartPole-v1", lengths=(20, 20, 20)))
    state = {str(number): state_of(unroll) for number, unroll in enumerate(unrolls)}
    path = checkpoint.save(tmp_path, 1, state, {"holds": "unrolls"})
    with pytest.raises(ValueError, match=f"{path}: .*{told}"):
        Logged(path)


@pytest.mark.parametrize("file", ["1.safetensors", "state.json", "manifest.json"])
def test_a_truncated_file_is_refused_by_name(file: str, tmp_path: Path) -> None:
    path = write(tmp_path, played("CartPole-v1"))
    content = (path / file).read_bytes()
    (path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=str(path / file)):
        Logged(path)


@pytest.mark.parametrize(
    ("state", "about"),
    [
        ({"0": {}}, {}),
        ({"learner": {"obs": np.zeros(1)}}, {"holds": "unrolls"}),
        ({"0": {"pixels": np.zeros(1)}}, {"holds": "unrolls"}),
        ({"0": 3}, {"holds": "unrolls"}),
    ],
)
def test_what_is_no_log_is_refused_by_name(state: State, about: dict[str, Any], tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, state, about)
    with pytest.raises(ValueError, match=f"{path}: is not what"):
        Logged(path)


def test_a_log_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'nowhere'}: no such"):
        Logged(tmp_path / "nowhere")


def test_a_run_goes_on_with_no_other_log(tmp_path: Path) -> None:
    one, other = Logged(write(tmp_path, played(WORLD))), Logged(write(tmp_path, played(WORLD)[:2]))
    with pytest.raises(ValueError, match="began with a log of 3 unrolls"):
        other.load_state_dict(one.state_dict())


# Learning -------------------------------------------------------------------------------------------------------------


class Unmeasured:
    """No evaluation."""

    def __call__(self, weights: Array, steps: int) -> Mapping[str, float]:
        return {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass


def configured(rows: int, actors: int, **changes: Any) -> tuple[Control, Algorithm[Any]]:
    env = {"id": WORLD, "count": rows}
    config = parse(DQN | {"env": env, "runtime": {"actors": actors}} | changes)
    assert isinstance(config, Control)
    return config, algorithm("dqn").load()


def training(config: Control, asked: Algorithm[Any], source: Source) -> Training:
    torch.set_num_threads(1)
    return Training(parts(config, asked, Seeds(config.seed)), source, Unmeasured(), 10)


def alone(path: Path) -> Training:
    """Learns from the log, and nothing else."""
    return training(*configured(4, 1), Logged(path))


def beside(path: Path) -> Training:
    """Half of the rows are the log's, half those of an actor."""
    config, asked = configured(8, 2)
    assert asked.actor is not None
    fleet = LocalFleet(partial(asked.actor, config), Runtime())
    return training(config, asked, Both(fleet, Logged(path, actor=1)))


def driven(course: Training, until: int) -> Training:
    course.begin()
    while course.steps < until:
        course.advance(until)
    return course


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 steps of random play; a run of 3,000 passes over them seven times and a half."""
    return write(tmp_path_factory.mktemp("log"), played(WORLD, 4, (10,) * 10))


@pytest.mark.parametrize("make", [alone, beside])
def test_dqn_learns_from_a_log(make: Callable[[Path], Training], log: Path) -> None:
    course = driven(make(log), 3_000)
    learner: Any = course.learner
    with torch.no_grad():
        q = learner.network(torch.from_numpy(column(-1, 1))).numpy()
    np.testing.assert_allclose(q, [[1, -1], [-1, 1]], atol=0.02)
    told = course.metrics()
    assert told["fleet/staleness"] == 0
    assert ("rollout/ep_rew_mean" in told) == (make is beside), "nobody acted for what is logged"


@pytest.mark.parametrize("make", [alone, beside])
@pytest.mark.parametrize("stop", [240, 620])
def test_learning_from_a_log_is_resumed_exactly(make: Callable[[Path], Training], log: Path, stop: int) -> None:
    straight, parted = driven(make(log), 1_200), driven(make(log), stop)
    state = copy.deepcopy(parted.state_dict())
    resumed = make(log)
    resumed.load_state_dict(state)
    driven(resumed, 1_200)
    assert list(differences(straight.state_dict(), resumed.state_dict())) == []


def test_a_log_that_begins_again_on_resume_is_noticed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant."""
    straight, resumed = driven(alone(log), 1_200), alone(log)
    state = copy.deepcopy(driven(alone(log), 600).state_dict())
    monkeypatch.setattr(Logged, "load_state_dict", lambda self, state: None)
    resumed.load_state_dict(state)
    driven(resumed, 1_200)
    assert any(differences(straight.state_dict()["learner"], resumed.state_dict()["learner"]))

"""A policy that remembers, all the way: acting, sequences, learning, resuming, Ray, and matches.

The algorithm is in `tests/recurrent.py`, and comes in by `--import` as anybody's would.
"""

from __future__ import annotations

import os
import signal
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.api import Player
from agents.arena.match import play, streams
from agents.arena.players import PolicyPlayer
from agents.entrants import entrant
from agents.experience.memory.sequences import Sequences
from agents.fleet.ray_fleet import RayFleet
from agents.fleet.restarts import FleetError
from agents.records import Carry, Unroll
from agents.registry import algorithm, parse
from envs.api import Array, Positions
from envs.games.make import make_game
from experiment import extensions
from experiment.checkpoint import load, newest
from experiment.seeding import Seeds
from scripts.train import main
from tests.runs import assert_same_run, differences, lines, state, train

MODULE = ["--import", "tests.recurrent"]
MEMORY = {
    "algorithm": "recurrent",
    "env": {"id": "sparring/Memory-v0", "count": 8},
    "runtime": {"actors": 2},
    "steps": 3_000,
    "logging": {"every": 500},
    "evaluation": {"episodes": 200},
    "checkpoint": {"every": 500, "keep": 99},
    "device": "cpu",
}
SHORT = MEMORY | {"steps": 600, "logging": {"every": 100}, "checkpoint": {"every": 150, "keep": 99}}
GAME = SHORT | {"env": {"id": "game:tic_tac_toe", "count": 4}, "evaluation": {"episodes": 8}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, extensible: None) -> Path:
    root = tmp_path_factory.mktemp("recurrent")
    for name, config in {"short": SHORT, "game": GAME}.items():
        assert train(config, root / name, *MODULE) == 0
    return root


@pytest.fixture
def recurrent(extensible: None) -> Any:
    extensions.load(["tests.recurrent"])
    return import_module("tests.recurrent")


# Learning -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forgetful", [False, True])
def test_the_memory_probe_is_learned_by_who_remembers(forgetful: bool, tmp_path: Path, extensible: None) -> None:
    """The cue of the first step must be repeated at the fourth. Without memory the mean return is 0 at best."""
    assert train(MEMORY | {"forgetful": forgetful}, tmp_path / "run", *MODULE) == 0
    found = lines(tmp_path / "run")[-1]["eval/mean_reward"]
    assert abs(found) < 0.25 if forgetful else found == 1.0


@pytest.mark.parametrize("world", ["sparring/Memory-v0", "game:tic_tac_toe"])
def test_the_learner_remembers_what_the_actor_did(world: str, recurrent: Any) -> None:
    """With the same weights the values along every stored sequence, episodes beginning anywhere in it, are those that
    were acted by; where the carry or the beginnings are lost they are not. In the game each seat remembers its own."""
    config: Any = parse(SHORT | {"env": {"id": world, "count": 4}})
    asked: Any = algorithm("recurrent").load()
    actor = asked.actor(config, 0, 0)
    learner = recurrent.Learner(config, actor.rollout.env.spec, Seeds(0))
    actor.load(learner.weights(), 0)
    table = Sequences(4_000, 4, 10, 4)
    for _ in range(30):
        table.add(actor.collect())
    index = np.arange(table.size)
    unroll: Unroll = table.gather(index[table.ready(index)])
    assert unroll.first[1:-1].any() and unroll.carry["hidden"].any()

    def values(first: Array, carry: Array) -> Array:
        told = map(torch.from_numpy, (unroll.obs, first, unroll.extras["seat"], carry))
        found: Array = learner.values(learner.trained.state.parameters, *told).numpy()
        return found

    first, carry = unroll.first, unroll.carry["hidden"]
    acted = unroll.extras["values"]
    np.testing.assert_allclose(values(first, carry), acted, atol=1e-6)
    for broken in (values(np.zeros_like(first), carry), values(first, np.zeros_like(carry))):
        assert np.abs(broken - acted).max() > 1e-2


# Going on -------------------------------------------------------------------------------------------------------------


def stopped(run: Path, recurrent: Any, monkeypatch: pytest.MonkeyPatch, updates: int) -> Path:
    """A run that gets SIGTERM after so many updates."""
    update = recurrent.Learner.update

    def last(self: Any, sample: Any) -> None:
        update(self, sample)
        if self.updates == updates:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(recurrent.Learner, "update", last)
        assert train(SHORT, run, *MODULE) == 143
    return run


def resume(run: Path) -> int:
    return main(["--resume", "--run-dir", str(run), "--quiet", *MODULE])


def test_a_run_that_was_stopped_goes_on_as_if_it_never_had(
    runs: Path, tmp_path: Path, recurrent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(tmp_path / "run", recurrent, monkeypatch, 19)
    path, middle, about = newest(run / "checkpoints")
    assert 0 < about["steps"] < 600 and about["imports"] == ["tests.recurrent"]
    rollout = middle["fleet"]["actors"]["0"]["rollout"]
    assert rollout["carry"]["hidden"].any() and rollout["lengths"].any(), "it was in the middle of episodes"
    assert resume(run) == 0
    assert_same_run(runs / "short", run)
    assert any(differences(middle, load(newest(run / "checkpoints")[0])[0])) and path.exists()


def test_carries_that_are_not_restored_are_noticed(
    runs: Path, tmp_path: Path, recurrent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant."""
    run, restore = stopped(tmp_path / "run", recurrent, monkeypatch, 19), Sequences.load_state_dict

    def forgetful(self: Sequences, state: dict[str, Any]) -> None:
        restore(self, state | {"carries": {name: np.zeros_like(carry) for name, carry in state["carries"].items()}})

    monkeypatch.setattr(Sequences, "load_state_dict", forgetful)
    assert resume(run) == 0
    assert any(path.startswith("/learner") for path in differences(state(runs / "short"), state(run)))


@pytest.mark.ray
def test_ray_actors_remember_the_same(runs: Path, tmp_path: Path, ray_here: None) -> None:
    assert train(SHORT, tmp_path / "run", *MODULE, "runtime.kind=ray") == 0
    assert_same_run(runs / "short", tmp_path / "run")


@pytest.mark.ray
def test_an_actor_that_was_not_told_of_the_module_is_found_out(recurrent: Any, ray_here: None) -> None:
    """The broken variant."""
    config: Any = parse(SHORT | {"runtime": {"actors": 1, "kind": "ray"}})
    fleet = RayFleet(config, config.runtime)
    assert fleet.imports == ["tests.recurrent"]
    fleet.imports = []
    with closing(fleet):
        fleet.publish(np.zeros(1, np.float32), 0)
        with pytest.raises(FleetError, match="found 'recurrent', expected one of"):
            fleet.collect()


# Matches --------------------------------------------------------------------------------------------------------------


class Witness:
    """Beside a policy's player: what it remembers in each chair is what it saw in that chair, and no other's.

    Its carry has the observations of the chair so far [n, 5, *obs] beside the policy's own.
    """

    def __init__(self, player: PolicyPlayer) -> None:
        self.player, self.game, self.name, self.asked = player, player.game, player.name, 0

    def begin(self, n: int) -> Carry:
        return {**self.player.begin(n), "seen": np.zeros((n, 5, *self.game.spec.obs_shape), np.float32)}

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        obs, policy = self.game.observe(positions), self.player.policy
        crosses_or_noughts = obs[:, 2 - self.game.seat(positions)[0]]
        moves = crosses_or_noughts.sum((1, 2)).astype(int)  # of the one who moves, so far
        assert len(set(moves.tolist())) == 1, "all games are as old"
        expected, network = torch.zeros(len(obs), carry["hidden"].shape[1]), policy.network  # type: ignore[attr-defined]
        for move in range(moves[0]):
            expected = network(torch.from_numpy(carry["seen"][:, move]), expected)[1]
        np.testing.assert_allclose(carry["hidden"], expected, atol=1e-6)
        now, actions = self.player.choose({"hidden": carry["hidden"]}, positions, rng)
        seen = carry["seen"].copy()
        seen[:, moves[0]] = obs
        self.asked += len(obs)
        return {**now, "seen": seen}, actions


def test_the_policy_plays_a_match_with_a_memory_of_each_chair(runs: Path, extensible: None) -> None:
    extensions.load(["tests.recurrent"])
    game = make_game("tic_tac_toe")
    one: Any = entrant(str(runs / "game"), game)
    witness, random = Witness(one), entrant("random", game)
    players: list[Player] = [witness, random]
    played = play(game, players, 20, streams(Seeds(0), ["witness", "random"]), 0)
    assert (played.forfeit == -1).all(), played.reasons
    against_itself = play(game, [witness], 3, streams(Seeds(0), ["witness"]), 0, table=[0, 0])
    assert (against_itself.forfeit == -1).all(), against_itself.reasons
    assert witness.asked > 100

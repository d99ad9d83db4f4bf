"""Monte-Carlo CFR by a fleet, against the solver of one process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.api import fresh
from agents.entrants import entrant
from agents.fleet.local import LocalFleet
from agents.records import Experience, Round, Sample
from agents.registry import parse
from agents.regret import mccfr_fleet
from agents.regret.configs.mccfr import MCCFR
from agents.regret.mccfr import SampledRegrets, player
from agents.regret.mccfr_fleet import Learner, Sampler, Sum
from agents.regret.policies import TabularPlayer, normalized
from agents.regret.tree import GameTree, compile_tree
from agents.restore import load_checkpoint
from agents.wiring import build
from envs.api import Array
from envs.games.make import make_game
from experiment.seeding import Seeds
from tests.runs import assert_same_run, differences, lines, state, train

TINY = {
    "algorithm": "mccfr",
    "game": "kuhn_poker",
    "steps": 480,
    "iterations": 20,
    "evaluation": {"every": 80, "doubling": False},
    "logging": {"every": 80},
    "checkpoint": {"every": 90, "keep": 99},
    "runtime": {"actors": 2},
    "seed": 3,
}


def config_of(**changes: Any) -> MCCFR:
    config = parse(TINY | changes)
    assert isinstance(config, MCCFR)
    return config


def learned(config: MCCFR, collections: int) -> Learner:
    """What the loop does, without a run around it."""
    spec, runtime = make_game(config.game).spec, config.runtime
    assert runtime is not None
    learner, memory, *_ = mccfr_fleet.make(config, spec, Seeds(config.seed), torch.device("cpu"))
    fleet = LocalFleet(lambda index, incarnation: mccfr_fleet.actor(config, index, incarnation), runtime)
    for version in range(collections):
        fleet.publish(learner.weights(), version)
        for experience in fleet.collect():
            memory.add(experience)
        learner.begin_round(Round(version, (version + 1) * config.iterations * runtime.actors))
        learner.update(memory.sample())
    assert isinstance(learner, Learner)
    return learner


def solvers(tree: GameTree, config: MCCFR) -> list[SampledRegrets]:
    """One for each actor, with its random stream."""
    exploration = config.exploration if config.sampling == "outcome" else None
    assert config.runtime is not None
    streams = [Seeds(config.seed).integer("actor", index, 0) for index in range(config.runtime.actors)]
    return [SampledRegrets(tree, exploration, config.weighting == "linear", stream) for stream in streams]


@pytest.mark.parametrize("sampling", ["external", "outcome"])
@pytest.mark.parametrize("weighting", ["linear", "uniform"])
def test_the_first_collection_of_one_actor_is_the_solver(sampling: str, weighting: str) -> None:
    """Bit for bit: 200 iterations, and only then anything is rounded."""
    config = config_of(iterations=200, sampling=sampling, weighting=weighting, runtime={"actors": 1})
    (solver,) = solvers(compile_tree(make_game("kuhn_poker")), config)
    solver.iterate(200)
    learner = learned(config, 1)
    assert (learner.regret == solver.regret).all() and (learner.average == solver.average).all()
    assert learner.iteration == 200


def chunks(tree: GameTree, config: MCCFR, collections: int, alone: bool = False) -> tuple[Array, Array]:
    """Solvers that begin each chunk with what all found, as float32; or, the broken variant, that go on alone."""
    table = np.zeros((2, tree.sequences))
    working = solvers(tree, config)
    for _ in range(collections):
        start, found = table[0].astype(np.float32).astype(np.float64), np.zeros_like(table)
        for solver in working:
            if not alone:
                solver.regret[:] = start
            before = solver.regret.copy(), solver.average.copy()
            solver.average[:] = 0
            solver.iterate(config.iterations)
            found += solver.regret - before[0], solver.average
        table += found / len(working)
    return table[0], table[1]


@pytest.mark.parametrize("actors", [1, 3])
@pytest.mark.parametrize("sampling", ["external", "outcome"])
def test_it_is_solvers_that_share_what_they_find_after_each_chunk(sampling: str, actors: int) -> None:
    tree = compile_tree(make_game("leduc_poker"))
    config = config_of(game="leduc_poker", iterations=30, sampling=sampling, runtime={"actors": actors})
    learner = learned(config, 6)
    regret, average = chunks(tree, config, 6)
    assert (learner.regret == regret).all() and (learner.average == average).all()
    assert learner.iteration == 180
    if actors > 1:
        apart, _ = chunks(tree, config, 6, alone=True)
        assert (learner.regret != apart).any()


def test_float32_costs_next_to_nothing() -> None:
    """A chunk from rounded regrets is the chunk from exact ones but for rounding, where no sample falls otherwise."""
    tree = compile_tree(make_game("leduc_poker"))
    config = config_of(game="leduc_poker", iterations=50, runtime={"actors": 1})
    (solver,) = solvers(tree, config)
    solver.iterate(100)
    learner = learned(config, 2)
    assert np.allclose(learner.regret, solver.regret, rtol=1e-5, atol=1e-3)
    assert np.allclose(learner.average, solver.average, rtol=1e-5, atol=1e-3)


def conv(sampling: str, collections: int) -> float:
    """NashConv on Kuhn poker that four of five seeds are within, with two actors and 100 iterations a collection."""
    found = []
    for seed in range(5):
        config = config_of(seed=seed, iterations=100, sampling=sampling)
        found.append(mccfr_fleet.evaluation(config, Seeds(seed), entrant)(learned(config, collections).weights(), 0))
    return sorted(metrics["game/nash_conv"] for metrics in found)[3]


@pytest.mark.parametrize(("sampling", "collections"), [("external", 20), ("outcome", 200)])
def test_two_actors_find_equilibrium_together(sampling: str, collections: int) -> None:
    assert conv(sampling, collections) <= 0.05


def test_a_sum_in_place_of_the_mean_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: regrets go K times as far as actors went."""

    def update(self: Learner, sample: Sample) -> None:
        self.regret += sample.rows.regret
        self.average += sample.rows.average

    monkeypatch.setattr(Learner, "update", update)
    assert conv("external", 20) > 0.07


# As a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mccfr_fleet") / "run"
    assert train(TINY, directory) == 0
    return directory


def begun(run: Path, copy: Path) -> Path:
    """The run as it was when it had saved for the third time."""
    shutil.copytree(run, copy)
    late = sorted((copy / "checkpoints").iterdir())[3:]
    assert len(late) >= 2
    for checkpoint in late:
        shutil.rmtree(checkpoint)
    return copy


def test_a_run_is_the_loop(run: Path) -> None:
    learner = learned(config_of(), 12)
    assert list(differences(state(run)["learner"], learner.state_dict())) == []
    last: dict[str, Any] = {}
    for line in lines(run):
        last |= line
    assert last["train/iteration"] == 240 and last["time/total_timesteps"] == 480
    assert 0 < last["game/nash_conv"] == 2 * last["game/exploitability"] and last["game/value"] < 0.1


def test_a_resumed_run_is_the_run_that_never_stopped(run: Path, tmp_path: Path) -> None:
    copy = begun(run, tmp_path / "copy")
    assert train(TINY, copy, "--resume") == 0
    assert_same_run(run, copy)


@pytest.mark.parametrize(("owner", "lost"), [(Learner, "regret"), (Learner, "iteration"), (Sampler, "random")])
def test_what_is_not_restored_is_noticed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, lost: str
) -> None:
    restore = owner.load_state_dict
    monkeypatch.setattr(
        owner, "load_state_dict", lambda self, saved: restore(self, saved | {lost: self.state_dict()[lost]})
    )
    copy = begun(run, tmp_path / "copy")
    assert train(TINY, copy, "--resume") == 0
    with pytest.raises(AssertionError):
        assert_same_run(run, copy)


def test_what_waits_in_memory_is_saved() -> None:
    tree = compile_tree(make_game("kuhn_poker"))
    sampler, memory, copy = Sampler(config_of(), tree, 0, 1), Sum(tree), Sum(tree)
    sampler.load(Learner(config_of(), tree).weights(), 0)
    found: list[Experience] = [sampler.collect(), sampler.collect()]
    for experience in found:
        memory.add(experience)
    copy.load_state_dict(memory.state_dict())
    for sample in (memory.sample(), copy.sample()):
        assert (sample.rows.regret == found[0].rows.regret + found[1].rows.regret).all()
        assert (sample.rows.average == found[0].rows.average + found[1].rows.average).all()
    assert not memory.sample().rows.average.any(), "handed out once"


@pytest.mark.ray
def test_actors_on_ray_do_what_local_ones_do(run: Path, tmp_path: Path, ray_here: None) -> None:
    assert train(TINY, tmp_path / "run", "runtime.kind=ray") == 0
    assert_same_run(run, tmp_path / "run")


@pytest.mark.ray
def test_actors_may_run_by_themselves(tmp_path: Path, ray_here: None) -> None:
    asked = ["runtime.kind=ray", "runtime.mode=asynchronous", "steps=4000"]
    assert train(TINY, tmp_path / "run", *asked) == 0
    assert min(line.get("game/nash_conv", 1.0) for line in lines(tmp_path / "run")) < 0.2


def test_a_player_plays_the_average_policy(run: Path) -> None:
    config, found, _ = load_checkpoint(run)
    assert isinstance(config, MCCFR)
    game, tree = make_game(config.game), compile_tree(make_game(config.game))
    playing = player(config, game, found, "fleet")
    assert isinstance(playing, TabularPlayer) and playing.name == "fleet"
    policy = normalized(tree, found["learner"]["average"])
    positions = game.step(game.step(game.initial(3000), np.full(3000, 2)), np.zeros(3000, np.int64))
    bets = fresh(playing, positions, np.random.default_rng(0)).mean()
    infoset = next(i for i in range(tree.infosets) if tree.key(i) == game.information_state(positions[:1])[0])
    assert bets == pytest.approx(policy[tree.slice(infoset)][1], abs=0.04)


@pytest.mark.parametrize(
    ("changes", "error", "why"),
    [
        ({"game": "kuhn_poker(players=3)"}, ValueError, r"has 3 seats, .* algorithm=cfr takes any number"),
        ({"game": "leduc_poker", "memory_bytes": 1000}, MemoryError, "memory_bytes is 1000: choose a smaller game"),
        ({"table": "growing"}, ValueError, "a table that grows is sampled in one place: leave runtime out"),
    ],
)
def test_what_it_can_not_do_is_refused(changes: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        build(config_of(**changes))

"""Every knob is read: tiny runs of each algorithm, with each option on, note which fields of their config are read."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.actor_critic.configs.ppo import PPO, PPOLearner
from agents.config import Atari, Experiment, Learning, Runtime
from agents.courses.record import save
from agents.fleet.ray_fleet import RayFleet
from agents.fleet.restarts import Restarts
from agents.registry import ALGORITHMS, algorithm, parse
from agents.wiring import build, timetable
from envs import atari
from experiment.config import Config, check, describe, dump, read
from experiment.course import drive
from experiment.run import Run
from tests.runs import ROOT, raw, spelt

# What these do shows only where there is a screen, a cluster or a failure, see below, a game (test_wiring.py), or a
# torso of their kind (test_torsos.py).
# Those of reward models are read in tests/agents/experience/rewards/test_make.py.
APART = ("env.atari", "runtime", "evaluation.opponents", "network.torso.", "rewards[].")


def runs(name: str) -> list[Experiment]:
    return [parse(spelt(name, run)) for run in ALGORITHMS[name].small["fields"]]


def fields(model: type[Config]) -> set[str]:
    """Dotted keys of everything that a config of this model can contain."""
    return {option.key for option in describe(model)}


@contextmanager
def noting(config: Config) -> Iterator[set[str]]:
    """While inside, what is read of the config by its dotted key."""
    names: dict[int, str] = {}

    def walk(section: Config, prefix: str) -> None:
        names[id(section)] = prefix
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, Config):
                walk(value, f"{prefix}{name}.")
            for item in value if isinstance(value, tuple) else ():
                if isinstance(item, Config):
                    walk(item, f"{prefix}{name}[].")

    walk(config, "")
    read: set[str] = set()
    whole = Config.__getattribute__

    def note(self: Config, name: str) -> Any:
        prefix = names.get(id(self))
        if prefix is not None and name in type(self).model_fields:
            read.add(prefix + name)
        return whole(self, name)

    copy, copies = Config.model_copy, []

    def model_copy(self: Config, **options: Any) -> Any:
        copies.append(copy(self, **options))  # and so kept alive: an id is unique among the living
        if id(self) in names:
            names[id(copies[-1])] = names[id(self)]
        return copies[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, "__getattribute__", note, raising=False)
        patch.setattr(Config, "model_copy", model_copy, raising=False)
        patch.setattr("agents.admission.require", lambda config, world: None)  # who estimates doesn't use
        yield read


def read_by(config: Experiment, directory: Path) -> set[str]:
    text = dump(config)
    run = Run(directory, text, resume=False, console="nothing")
    with noting(config) as read, closing(build(config)) as course, run:
        drive(course, run, timetable(config), partial(save, run, config))
    return read


def unread(model: type[Experiment], runs: Sequence[Experiment], root: Path) -> set[str]:
    """Fields of the model that none of the runs reads."""
    read: set[str] = set()
    for number, config in enumerate(runs):
        read |= read_by(config, root / str(number))
    return {key for key in fields(model) - read if not key.startswith(APART)}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_field_is_read(name: str, tmp_path: Path) -> None:
    assert unread(algorithm(name).config, runs(name), tmp_path) == set()


def test_a_field_that_nobody_reads_is_found(tmp_path: Path) -> None:
    """The broken variant: `steps` is read in other sections, but not here."""

    class Learner(PPOLearner):
        steps: int = 3

    class Broken(PPO):
        learner: Learner = Learner()

    broken = [Broken.model_validate_json(run.model_dump_json()) for run in runs("ppo")]
    assert unread(Broken, broken, tmp_path) == {"learner.steps"}


def test_every_field_of_atari_is_read(tmp_path: Path) -> None:
    """Config.Atari becomes AtariOptions as a whole; the fields of that are read by name."""
    assert set(Atari.model_fields) == set(atari.AtariOptions.__dataclass_fields__)
    tree = ast.parse(inspect.getsource(atari))
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    assert set(Atari.model_fields) <= read


@pytest.mark.ray
def test_every_field_of_the_runtime_is_read(ray_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    started: dict[str, Any] = {}

    class Elsewhere(Exception):
        pass

    def init(**options: Any) -> None:
        started.update(options)
        raise Elsewhere

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("agents.fleet.ray_fleet.reach", lambda address: None)
    config = parse(raw("ppo", runtime={"kind": "ray", "actors": 2, "mode": "asynchronous"}))
    assert isinstance(config, Learning)
    with noting(config) as read:
        with pytest.raises(Elsewhere):
            RayFleet(config, config.runtime).publish(np.zeros(1), 0)  # dashboard, address, actors
        monkeypatch.setattr("agents.fleet.make.connect", lambda runtime: False)
        build(config).close()  # threads
        assert started["include_dashboard"] is False
        Restarts(config.runtime)  # restarts, backoff
    source = ast.parse(inspect.getsource(RayFleet))  # kind, mode, timeout decide what runs later
    chosen = {dotted(node) for node in ast.walk(source) if isinstance(node, ast.Attribute)}
    late = {name for name in ("mode", "timeout") if f"self.runtime.{name}" in chosen}
    assert {f"runtime.{name}" for name in Runtime.model_fields} <= read | {f"runtime.{name}" for name in late} | {
        "runtime.kind"  # every run above
    }


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


# Configs --------------------------------------------------------------------------------------------------------------

CONFIGS = sorted(ROOT.glob("configs/*/*.yaml"))
EXTRA = {
    "CarRacing": "Box2D",
    "ALE/": "ale_py",
    "Ant": "mujoco",
    "HalfCheetah": "mujoco",
    "Hopper": "mujoco",
    "Walker": "mujoco",
}


def test_every_algorithm_has_a_config() -> None:
    assert {read(path)["algorithm"] for path in CONFIGS} == set(ALGORITHMS)


LARGE = {"carracing", "connect_four", "pong", "pong_short"}  # networks that take long even for an update of theirs


def in_small() -> list[Any]:
    """Every config; in the quick tests one of each algorithm."""
    found, seen = [], set[str]()
    for path in CONFIGS:
        name = read(path)["algorithm"]
        late = path.stem in LARGE or name in seen
        if not late:
            seen.add(name)
        found.append(pytest.param(path, id=f"{path.parent.name}/{path.stem}", marks=[pytest.mark.slow] * late))
    return found


@pytest.mark.parametrize("path", in_small())
def test_every_config_trains_in_small(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.train import main

    assert main([str(path), "--dry-run"]) == 0
    effective = capsys.readouterr().out
    for start, module in EXTRA.items():
        if f"id: {start}" in effective:
            pytest.importorskip(module)
    if "game: liars_dice" in effective:
        pytest.importorskip("pyspiel")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([str(path), "--debug", "--run-dir", str(tmp_path / "run"), "--quiet"]) == 0


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_section_that_is_given_in_part_keeps_the_defaults_of_its_algorithm(name: str) -> None:
    for key, field in ALGORITHMS[name].config.model_fields.items():
        default = field.default
        if isinstance(default, Config) and not any(part.is_required() for part in type(default).model_fields.values()):
            assert type(default)() == default, key


def test_a_default_that_lives_in_an_instance_is_lost() -> None:
    """The broken variant: whoever gives one key of such a section silently gets other defaults for the rest."""

    class Section(Config):
        a: int = 1
        b: int = 2

    class Model(Config):
        section: Section = Section(b=3)

    assert check(Model, {"section": {"a": 5}}).section.b == 2

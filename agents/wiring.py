"""From a config to what goes on under its run: the one room that knows courses, fleets, the arena and Ray at once.

course = build(parse(raw))
drive(course, run, timetable(config), keep)
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torch import nn

from agents.admission import admit, world
from agents.api import Algorithm, Evaluation, Parts, Player
from agents.arena.ladder import Climber
from agents.arena.paired import Episodic
from agents.config import EpisodeLogging, Experiment, NetworkOptions, OfEnvironment, Runtime, SolverEvaluation
from agents.courses.solving import Solving
from agents.courses.training import Training
from agents.entrants import entrant
from agents.fleet.make import fleet, prepare
from agents.registry import algorithm
from agents.restore import acting, go_on, load_checkpoint, load_policy
from envs.api import Array, Spec
from envs.games.make import make_game
from experiment.clocks import Timetable
from experiment.course import Course
from experiment.seeding import Seeds
from supervised.accelerate import CudaGraph, device_of
from supervised.programs import Program
from supervised.trained import Trained


def build(config: Experiment) -> Course:
    """What the config asks for, ready to begin.

    Raises ValueError where config and world don't fit, MemoryError for what can't fit, EnvError where the world fails
    at once, ConnectionError where there is no cluster at `runtime.address`, CheckpointError where `network.pretrained`
    is nothing to begin with.
    """
    course, options = begun(config), getattr(config, "network", None)
    if isinstance(options, NetworkOptions) and options.pretrained is not None:
        take_over(course, torso_in(Path(options.pretrained)))
    return course


def begun(config: Experiment) -> Course:
    """The course, with networks as they are drawn."""
    admit(config)
    asked, seeds = algorithm(config.algorithm).load(), Seeds(config.seed)
    if asked.course is not None:
        return asked.course(config, seeds, build)
    runtime: Runtime | None = getattr(config, "runtime", None)
    if runtime is None:
        assert asked.solver is not None, config.algorithm
        return Solving(asked.solver(config, seeds))
    prepare(runtime)
    window = config.logging.window if isinstance(config.logging, EpisodeLogging) else 1
    made = parts(config, asked, seeds)
    assert asked.actor is not None, config.algorithm
    return Training(made, fleet(config, runtime, asked.actor), evaluation(config, asked, seeds), window)


def torso_in(path: Path) -> nn.Module:
    """What a run or checkpoint has learned to turn inputs into features by. Raises ValueError where there is none."""
    config, state, about = load_checkpoint(path)
    if isinstance(config, OfEnvironment):
        source: Any = load_policy(path)[0]
    else:
        source = begun(config)
        go_on(source, state, about)
        source = getattr(source, "trained", None)
    try:
        found: nn.Module = source.flat.module.get_submodule("torso")
    except AttributeError as error:
        raise ValueError(f"network.pretrained: {path} is a run of {config.algorithm}, which has no torso") from error
    return found


def take_over(course: Course, torso: nn.Module) -> None:
    """Let every torso of what a course trains that is made like this one begin with its parameters. Raises ValueError
    where none is."""
    learner = course.learner if isinstance(course, Training) else course
    found = 0
    for trained in (part for part in vars(learner).values() if isinstance(part, Trained)):
        for name, own in trained.flat.module.named_modules():
            if name.rpartition(".")[2] == "torso" and str(own) == str(torso):
                trained.take_over(name, torso)
                found += 1
    if not found:
        raise ValueError(f"network.pretrained: no torso here is made like\n{torso}")


def program(course: Course) -> str:
    """What computes its updates: "compiled" or "eager"."""
    learner = course.learner if isinstance(course, Training) else course
    parts = list(vars(learner).values())
    parts += [getattr(part, "trained", None) for part in parts]  # of a baseline
    steps = [getattr(part, "step", part) for part in parts]
    return "compiled" if any(isinstance(step, Program | CudaGraph) for step in steps) else "eager"


def parts(config: Experiment, asked: Algorithm[Any], seeds: Seeds) -> Parts:
    """What the actors feed."""
    assert asked.make is not None, config.algorithm
    shown = world(config)
    if isinstance(shown, Spec) and getattr(getattr(config, "network", None), "kind", None) == "mlp":
        warn_of_pictures(shown)
    return asked.make(config, shown, seeds, device_of(getattr(config, "device", "cpu")))


def warn_of_pictures(spec: Spec) -> None:
    """Where an mlp is to look at pictures that are large enough for convolutions."""
    if spec.obs_dtype != "uint8" or len(spec.obs_shape) != 3 or min(spec.obs_shape[1:]) < 36:
        return
    raw = spec.name.startswith("ALE/") and spec.frames == 1
    grey = ", and env.atari={} makes them grey, 84 x 84, and shows four at a time" if raw else ""
    warnings.warn(
        f"network.torso=mlp takes the pictures of {spec.name}, {list(spec.obs_shape)}, for so many numbers that lie "
        f"nowhere: network.torso=nature_cnn is made for pictures{grey}",
        stacklevel=2,
    )


def evaluation(config: Experiment, asked: Algorithm[Any], seeds: Seeds) -> Evaluation:
    """What the run is measured by: what the algorithm brings itself; else episodes of its environment, or matches where
    it learns to act in a game."""
    if asked.evaluation is not None:
        return asked.evaluation(config, seeds, entrant)
    assert isinstance(config, OfEnvironment) and asked.policy is not None, config.algorithm
    return Episodic(config, asked.policy, seeds) if config.world.kind == "env" else matches(config, seeds)


def matches(config: OfEnvironment, seeds: Seeds) -> Evaluation:
    """The greedy policy against `evaluation.opponents`, so many games each, and against its past self."""
    game, opponents = make_game(config.world.name), config.evaluation.opponents
    if opponents is None:
        looked_ahead = game.spec.perfect_information and game.spec.seats > 1
        opponents = ("random", "one_ply") if looked_ahead else ("random",)

    def climber(name: str, weights: Array) -> Player:
        return acting(config, game, {"weights": weights}, name)

    return Climber(game, [entrant(name, game) for name in opponents], config.evaluation.episodes, True, seeds, climber)


def timetable(config: Experiment) -> Timetable:
    """When the run ends, and what is due on the way."""
    measured = config.evaluation
    doubling = isinstance(measured, SolverEvaluation) and measured.doubling
    return Timetable(config.steps, config.logging.every, measured.every, config.checkpoint.every, doubling)

"""An algorithm of two phases: a network learns from random play to predict what a world shows next, and PPO begins with
its torso.

    main(["fit_then_ppo.yaml", "--run-dir", "runs/mine"])
    stopped("fit_then_ppo.yaml", "runs/mine", [(signal.SIGTERM, 17), (signal.SIGKILL, 38)])     # at these steps
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from agents.actor_critic.configs.ppo import PPO
from agents.api import Algorithm
from agents.config import Environment, Experiment, World
from agents.contenders import UniformPolicy
from agents.courses.training import Training
from agents.experience.rollout import Rollout, make_env
from agents.parts.networks import build
from agents.records import lived
from agents.registry import ALGORITHMS, Entry
from experiment.checkpoint import newest
from experiment.config import Fixed, Positive
from experiment.course import Course
from experiment.phases import Phase, Phases
from experiment.seeding import Seeds
from scripts import train
from supervised.accelerate import use_cpu
from supervised.fit import Array, Fitting
from supervised.losses import squared
from supervised.networks.predictor import Predictor
from supervised.trained import Found, Trained


class FitThenPPO(Experiment):
    algorithm: Literal["fit_then_ppo"] = "fit_then_ppo"
    """PPO that begins with a torso which has seen the world"""
    updates: Fixed[Positive]
    """of the fit"""
    ppo: Fixed[PPO]
    """what follows"""

    @property
    def world(self) -> World:
        return self.ppo.world


def course(config: FitThenPPO, seeds: Seeds, make: Callable[[Experiment], Course]) -> Phases:
    return Phases(
        [
            Phase("fit", config.updates, lambda done: fit(config, seeds)),
            Phase("ppo", config.ppo.steps, lambda done: ppo(config, make, done)),
        ]
    )


def fit(config: FitThenPPO, seeds: Seeds) -> Fitting:
    """Learns what CartPole shows after what it shows now, whatever was done."""
    use_cpu(config.ppo.runtime.threads)
    options, (now, following) = config.ppo.network, played(config.ppo.env, seeds)
    generator = torch.Generator().manual_seed(seeds.integer("fit", "network"))
    torso, features = build(options, now.shape[1:], "fan_in", generator)
    network = Predictor(torso, features, following.shape[1], generator)

    def loss(parameters: Tensor, inputs: Tensor, targets: Tensor) -> Found:
        return {"loss": squared(trained.flat.call(parameters, inputs), targets)}, {}

    trained = Trained(network, loss, {"loss": 1.0})
    held_out = len(now) // 4
    return Fitting(
        trained,
        (now[held_out:], following[held_out:]),
        (now[:held_out], following[:held_out]),
        batch=32,
        rate=lambda progress: 3e-3 * (1 - progress),
        budget=config.updates,
        rng=seeds.generator("fit", "batches"),
    )


def played(env: Environment, seeds: Seeds) -> tuple[Array, Array]:
    """Observations of random play, and those that followed them."""
    world = make_env(env, env.count)
    policy, rng = UniformPolicy(world.spec.actions), seeds.generator("fit", "policy")
    unroll, _ = Rollout(world, policy, seeds.integer("fit", "env"), rng).collect(100)
    world.close()
    steps = lived(unroll)
    return steps.obs, steps.next_obs


def ppo(config: FitThenPPO, make: Callable[[Experiment], Course], done: Mapping[str, Course]) -> Training:
    training, fitted = make(config.ppo), done["fit"]
    assert isinstance(training, Training) and isinstance(fitted, Fitting)
    learner: Any = training.learner
    learner.trained.take_over("policy.torso", fitted.trained.flat.module.get_submodule("torso"))
    return training


ALGORITHM = Algorithm[FitThenPPO](course=course)
ENTRY = Entry(__name__, "FitThenPPO", __name__)


def main(request: list[str]) -> int:
    """scripts/train.py, with this algorithm among the others."""
    ALGORITHMS["fit_then_ppo"] = ENTRY
    return train.main(request)


def stopped(config: str, run: str, signals: list[tuple[int, int]]) -> None:
    """Begin a run, and resume it, in a process for each signal, which it sends itself after so many steps. Prints how
    each ended, and how many steps it had saved. What they import is imported once, before they part."""
    for number, at in signals:
        request = [config, "--run-dir", run, "--quiet", *["--resume"] * Path(run).exists()]
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            interrupt(number, at)
            sys.exit(main(request))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print("ended", code, newest(Path(run) / "checkpoints")[2]["steps"], flush=True)


def interrupt(number: int, at: int) -> None:
    """Let a signal come to this process once its phases have made `at` steps."""
    advance = Phases.advance

    def stopping(self: Phases, until: int) -> None:
        advance(self, min(until, max(at, self.steps + 1)))
        if self.steps >= at:
            os.kill(os.getpid(), number)

    Phases.advance = stopping  # type: ignore[method-assign]  # (in a process that is about to end)

"""THE training loop: every algorithm that learns from actors runs through here, in one process or on Ray."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from agents.api import Experience, Fleet, Policy, State
from agents.arena.paired import evaluate
from agents.config import Experiment
from agents.fleet.local import LocalFleet
from agents.fleet.ray_fleet import RayFleet, connect, require
from agents.fleet.restarts import FleetError
from agents.registry import algorithm
from agents.rollout import make_env
from envs.api import EnvError
from experiment import checkpoint
from experiment.run import Every, Progress, Run
from experiment.seeding import Seeds
from supervised.accelerate import device_of

# What a checkpoint's state has the shape of, or would lose its meaning with.
FIXED = (
    "algorithm",
    "env",
    "seed",
    "network",
    "normalize",
    "noise",
    "memory.capacity",
    "memory.prioritized",
    "learner.n_step",
    "learner.critics",
    "runtime.actors",
)


class Training:
    """A run's state and its loop.

    Raises, before anything is started: ValueError where config and world don't fit, EnvError where the world fails at
    once, ConnectionError where there is no cluster at `runtime.address`.
    """

    fleet: Fleet
    run: Run

    def __init__(self, config: Experiment) -> None:
        self.config = config
        self.seeds = Seeds(config.seed)
        torch.set_num_threads(config.runtime.threads)
        self.module = algorithm(config.algorithm).load()
        if config.runtime.kind == "ray":
            require(config.runtime)
        if config.runtime.address is not None:
            connect(config.runtime)
        self.arena = make_env(config.env.whole_games(), min(config.evaluation.episodes, 8))
        spec = self.arena.spec
        self.learner, self.memory, self.ratio = self.module.make(config, spec, self.seeds, device_of(config.device))
        self.policy: Policy = self.module.policy(config, spec, torch.device("cpu"))
        self.steps = self.version = 0
        self.returns: deque[float] = deque(maxlen=config.logging.window)
        self.lengths: deque[int] = deque(maxlen=config.logging.window)
        self.staleness: list[int] = []
        self.should_log = Every(config.logging.every)
        self.should_evaluate = Every(config.evaluation.every)
        self.should_save = Every(config.checkpoint.every)

    def train(self, run: Run, state: State | None = None) -> None:
        """From the beginning, or on from a checkpoint's `state`, until the budget is spent or a signal asks to stop.

        What was learned is saved either way. Raises FleetError, after saving, when actors failed too often.
        """
        config, self.run, self.fleet = self.config, run, fleet(self.config, self.module)
        try:
            if state is not None:
                self.load_state_dict(state)
            self.started, self.started_at = time.perf_counter(), self.steps
            self.fleet.publish(self.learner.weights(), self.version)
            with Progress(config.steps, self.steps, run.console) as progress:
                while self.steps < config.steps and run.stop_signal is None:
                    self.iterate()
                    progress.update(self.steps, self.returns[-1] if self.returns else None)
            if self.steps < config.steps:
                self.save()
        except FleetError:
            self.save()
            raise
        finally:
            self.fleet.close()

    def iterate(self) -> None:
        """Collect, learn, publish; then whatever is due."""
        experiences = self.fleet.collect()
        for experience in experiences:
            self.memory.add(experience)
            self.note(experience)
        self.learner.observe(self.steps, [e.moments for e in experiences if e.moments is not None])
        for _ in range(self.ratio.due(self.steps)):
            sample = self.memory.sample()
            self.memory.update(sample, self.learner.update(sample))
        self.version += 1
        self.fleet.publish(self.learner.weights(), self.version)
        done = self.steps >= self.config.steps
        if self.should_log(self.steps) or done:
            self.log()
        if self.should_evaluate(self.steps) or done:
            self.evaluate()
        if self.should_save(self.steps) or done:
            self.save()

    def note(self, experience: Experience) -> None:
        self.steps += experience.steps
        self.returns.extend(experience.episodes.returns)
        self.lengths.extend(experience.episodes.lengths)
        self.staleness.append(self.version - experience.version)

    def log(self) -> None:
        elapsed = time.perf_counter() - self.started
        metrics: dict[str, float] = {
            "time/total_timesteps": self.steps,
            "time/fps": (self.steps - self.started_at) / max(elapsed, 1e-9),
            "time/time_elapsed": elapsed,
        }
        if self.returns:
            metrics["rollout/ep_rew_mean"] = float(np.mean(self.returns))
            metrics["rollout/ep_len_mean"] = float(np.mean(self.lengths))
        if self.staleness:
            metrics["fleet/staleness"] = float(np.mean(self.staleness))
            self.staleness.clear()
        self.run.metrics.write(self.steps, metrics | dict(self.learner.metrics()) | dict(self.fleet.metrics()))

    def evaluate(self) -> None:
        """Play the evaluation's episodes, always the same, without exploration."""
        self.policy.load(self.learner.weights())
        seed, rng = self.seeds.integer("evaluation"), self.seeds.generator("evaluation", "policy")
        try:
            episodes = evaluate(self.policy, self.arena, self.config.evaluation.episodes, seed, rng)
        except EnvError as error:
            warnings.warn(f"the evaluation at step {self.steps} is left out: {error}", stacklevel=2)
            return
        metrics = {
            "eval/mean_reward": float(np.mean(episodes.returns)),
            "eval/std_reward": float(np.std(episodes.returns)),
            "eval/mean_ep_length": float(np.mean(episodes.lengths)),
        }
        self.run.metrics.write(self.steps, metrics)

    def save(self) -> None:
        about = {
            "algorithm": self.config.algorithm,
            "config": self.config.model_dump(mode="json"),
            "steps": self.steps,
            "version": self.version,
            "libraries": {"torch": torch.__version__, "numpy": np.__version__},
        }
        checkpoint.save(self.run.checkpoints, self.steps, self.state_dict(), about)
        checkpoint.prune(self.run.checkpoints, self.config.checkpoint.keep)

    def state_dict(self) -> State:
        """Everything: a run that loads it goes on as if it had never stopped."""
        return {
            "weights": self.learner.weights(),
            "learner": self.learner.state_dict(),
            "memory": self.memory.state_dict(),
            "ratio": self.ratio.state_dict(),
            "fleet": self.fleet.state_dict(),
            "metrics": self.run.metrics.state_dict(),
            "loop": {
                "steps": self.steps,
                "version": self.version,
                "returns": list(self.returns),
                "lengths": list(self.lengths),
                "staleness": list(self.staleness),
                "clocks": {name: clock.state_dict() for name, clock in self.clocks().items()},
            },
        }

    def load_state_dict(self, state: State) -> None:
        self.learner.load_state_dict(state["learner"])
        self.memory.load_state_dict(state["memory"])
        self.ratio.load_state_dict(state["ratio"])
        self.fleet.load_state_dict(state["fleet"])
        self.run.metrics.load_state_dict(state["metrics"])
        loop = state["loop"]
        self.steps, self.version = loop["steps"], loop["version"]
        self.returns.extend(loop["returns"])
        self.lengths.extend(loop["lengths"])
        self.staleness = list(loop["staleness"])
        for name, clock in self.clocks().items():
            clock.load_state_dict(loop["clocks"][name])

    def clocks(self) -> dict[str, Every]:
        return {"log": self.should_log, "evaluate": self.should_evaluate, "save": self.should_save}


def changes(config: Experiment, saved: Experiment) -> tuple[list[str], list[str]]:
    """How the config of a run that goes on differs, one line each: what keeps it from going on, and what doesn't."""

    def leaves(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
        if not isinstance(values, dict) or not values:
            yield prefix, values
            return
        for name, value in values.items():
            yield from leaves(value, f"{prefix}.{name}" if prefix else name)

    before, now = (dict(leaves(c.model_dump(mode="json"))) for c in (saved, config))
    forbidden, allowed = [], []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if any(key == fixed or key.startswith(f"{fixed}.") for fixed in FIXED):
            forbidden.append(f"{key}: a run that began with {old} can't go on with {new}")
        else:
            allowed.append(f"{key}: {old} -> {new}")
    return forbidden, allowed


def fleet(config: Experiment, module: Any) -> Fleet:
    """The configured fleet; `module` is the algorithm's."""
    if config.runtime.kind == "ray":
        return RayFleet(config)
    return LocalFleet(lambda index, incarnation: module.actor(config, index, incarnation), config.runtime)

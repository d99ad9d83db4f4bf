"""THE training loop: every algorithm that learns from actors runs through here, in one process or on Ray."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict, deque
from typing import Any

import numpy as np

from agents.api import Evaluation, Experience, Fleet, Player, Round, State
from agents.arena.entrants import acting
from agents.arena.ladder import Climber, Rungs
from agents.arena.paired import Episodic
from agents.config import Control, Learning
from agents.fleet.local import LocalFleet
from agents.fleet.ray_fleet import RayFleet, connect, require
from agents.fleet.restarts import FleetError
from agents.record import save
from agents.registry import algorithm
from agents.rollout import make_env
from envs.api import Array, EnvError
from envs.games.make import make_game
from experiment.run import Clocks, Progress, Run
from experiment.seeding import Seeds
from supervised.accelerate import device_of, use_cpu


class Training:
    """A run's state and its loop.

    Raises, before anything is started: ValueError where config and world don't fit, EnvError where the world fails at
    once, ConnectionError where there is no cluster at `runtime.address`.
    """

    fleet: Fleet
    run: Run

    def __init__(self, config: Learning) -> None:
        self.config = config
        self.seeds = Seeds(config.seed)
        use_cpu(config.runtime.threads)
        self.module = algorithm(config.algorithm).load()
        if config.runtime.kind == "ray":
            require(config.runtime)
        if config.runtime.address is not None:
            connect(config.runtime)
        self.evaluation = evaluation(config, self.module, self.seeds)
        device = device_of(config.device)
        self.learner, self.memory, self.ratio = self.module.make(config, self.evaluation.spec, self.seeds, device)
        self.steps = self.version = 0
        self.returns: deque[float] = deque(maxlen=config.logging.window)
        self.lengths: deque[int] = deque(maxlen=config.logging.window)
        self.staleness: list[int] = []
        self.measures: defaultdict[str, list[float]] = defaultdict(list)
        self.clocks = Clocks(config.logging.every, config.evaluation.every, config.checkpoint.every)

    def train(self, run: Run, state: State | None = None) -> None:
        """From the beginning, or on from a checkpoint's `state`, until the budget is spent or a signal asks to stop.

        What was learned is saved either way. Raises FleetError, after saving, when actors failed too often.
        """
        config, self.run, self.fleet = self.config, run, fleet(self.config, self.module)
        try:
            if state is None:
                self.save()  # so that whatever comes, the run can go on
            else:
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
        moments = [e.moments for e in experiences if e.moments is not None]
        self.learner.begin_round(Round(self.version, self.steps, moments))
        for _ in range(self.ratio.due(self.steps)):
            sample = self.memory.sample()
            self.memory.update(sample, self.learner.update(sample))
        self.version += 1
        self.fleet.publish(self.learner.weights(), self.version)
        done = self.steps >= self.config.steps
        if self.clocks.should_log(self.steps) or done:
            self.log()
        if self.clocks.should_evaluate(self.steps) or done:
            self.evaluate()
        if self.clocks.should_save(self.steps) or done:
            self.save()

    def note(self, experience: Experience) -> None:
        self.steps += experience.steps
        self.returns.extend(experience.episodes.returns)
        self.lengths.extend(experience.episodes.lengths)
        self.staleness.append(self.version - experience.version)
        for name, value in (experience.measures or {}).items():
            self.measures[name].append(value)

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
        metrics |= {name: float(np.mean(values)) for name, values in self.measures.items()}
        self.measures.clear()
        self.run.metrics.write(self.steps, metrics | dict(self.learner.metrics()) | dict(self.fleet.metrics()))

    def evaluate(self) -> None:
        try:
            metrics = self.evaluation(self.learner.weights(), self.steps)
        except EnvError as error:
            warnings.warn(f"the evaluation at step {self.steps} is left out: {error}", stacklevel=2)
            return
        self.run.metrics.write(self.steps, metrics)

    def save(self) -> None:
        save(self.run, self.config, self.steps, self.state_dict(), version=self.version)

    def state_dict(self) -> State:
        """Everything: a run that loads it goes on as if it had never stopped."""
        return {
            "weights": self.learner.weights(),
            "learner": self.learner.state_dict(),
            "memory": self.memory.state_dict(),
            "ratio": self.ratio.state_dict(),
            "fleet": self.fleet.state_dict(),
            "evaluation": self.evaluation.state_dict(),
            "metrics": self.run.metrics.state_dict(),
            "loop": {
                "steps": self.steps,
                "version": self.version,
                "returns": list(self.returns),
                "lengths": list(self.lengths),
                "staleness": list(self.staleness),
                "measures": dict(self.measures),
                "clocks": self.clocks.state_dict(),
            },
        }

    def load_state_dict(self, state: State) -> None:
        self.learner.load_state_dict(state["learner"])
        self.memory.load_state_dict(state["memory"])
        self.ratio.load_state_dict(state["ratio"])
        self.fleet.load_state_dict(state["fleet"])
        self.evaluation.load_state_dict(state["evaluation"])
        self.run.metrics.load_state_dict(state["metrics"])
        loop = state["loop"]
        self.steps, self.version = loop["steps"], loop["version"]
        self.returns.extend(loop["returns"])
        self.lengths.extend(loop["lengths"])
        self.staleness = list(loop["staleness"])
        self.measures.update(loop["measures"])
        self.clocks.load_state_dict(loop["clocks"])


def fleet(config: Learning, module: Any) -> Fleet:
    """The configured fleet; `module` is the algorithm's."""
    if config.runtime.kind == "ray":
        return RayFleet(config)
    return LocalFleet(lambda index, incarnation: module.actor(config, index, incarnation), config.runtime)


def evaluation(config: Learning, module: Any, seeds: Seeds) -> Evaluation:
    """What the run is measured by: episodes of its environment, matches where it learns to act in a game, or what the
    algorithm of a game brings itself."""
    if isinstance(config, Control):
        return Episodic(config, module.policy, seeds) if config.env.game is None else matches(config, seeds)
    measured: Evaluation = module.evaluation(config, seeds)
    return measured


def matches(config: Control, seeds: Seeds) -> Evaluation:
    """The greedy policy against `random` and `one_ply`, `evaluation.episodes` games each, and against its past self."""
    env = make_env(config.env, 1)
    game = make_game(config.env.game or "")

    def climber(name: str, weights: Array) -> Player:
        return acting(config, game, {"weights": weights}, name)

    rungs = Rungs(config.evaluation.episodes, ("random", "one_ply"), past=True)
    return Climber(game, env.spec, rungs, seeds, climber)

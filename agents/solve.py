"""The loop of solvers: games solved by iterations, without actors, under the clocks and checkpoints of every run."""

from __future__ import annotations

import time

from agents.api import Solver, State
from agents.config import Solution
from agents.record import save
from agents.registry import algorithm
from experiment.run import Clocks, Progress, Run
from experiment.seeding import Seeds

PATIENCE = 0.5  # seconds of iterations after which a signal is heard and the progress bar drawn


class Solving:
    """A run's state and its loop. Raises ValueError where config and game don't fit, MemoryError where it can't fit."""

    run: Run

    def __init__(self, config: Solution) -> None:
        self.config = config
        self.solver: Solver = algorithm(config.algorithm).load().make(config, Seeds(config.seed))
        self.clocks = Clocks(config.logging.every, config.evaluation.every, config.checkpoint.every)
        self.steps = 0
        self.spent = 0.0  # seconds inside the solver since this process began
        self.chunk = 1  # iterations between two looks at the clocks: the result does not depend on it

    def train(self, run: Run, state: State | None = None) -> None:
        """From the beginning, or on from a checkpoint's `state`, until the budget is spent or a signal asks to stop."""
        self.run = run
        if state is None:
            self.save()
        else:
            self.load_state_dict(state)
        self.started_at = self.steps
        with Progress(self.config.steps, self.steps, run.console) as progress:
            while self.steps < self.config.steps and run.stop_signal is None:
                self.iterate()
                progress.update(self.steps)
        if self.steps < self.config.steps:
            self.save()

    def iterate(self) -> None:
        """As many iterations as fit before something may be due; then whatever is due."""
        n = min(self.chunk, self.pause() - self.steps)
        began = time.perf_counter()
        self.solver.iterate(n)
        seconds = time.perf_counter() - began
        self.steps += n
        self.spent += seconds
        self.chunk = max(1, min(2 * self.chunk, int(n * PATIENCE / max(seconds, 1e-9))))
        done = self.steps >= self.config.steps
        if self.clocks.should_log(self.steps) or done:
            self.log()
        doubled = self.config.evaluation.doubling and self.steps & (self.steps - 1) == 0
        if self.clocks.should_evaluate(self.steps) or doubled or done:
            self.run.metrics.write(self.steps, self.solver.evaluate())
        if self.clocks.should_save(self.steps) or done:
            self.save()

    def pause(self) -> int:
        """The next number of iterations at which something is due."""
        config = self.config
        intervals = [config.logging.every, config.evaluation.every, config.checkpoint.every]
        due = [(self.steps // every + 1) * every for every in intervals if every]
        if config.evaluation.doubling:
            due.append(1 << self.steps.bit_length())
        return min(config.steps, *due)

    def log(self) -> None:
        metrics = {
            "time/total_timesteps": self.steps,
            "time/fps": (self.steps - self.started_at) / max(self.spent, 1e-9),
            "time/time_elapsed": self.spent,
        }
        self.run.metrics.write(self.steps, metrics | dict(self.solver.metrics()))

    def save(self) -> None:
        save(self.run, self.config, self.steps, self.state_dict())

    def state_dict(self) -> State:
        """Everything: a run that loads it goes on as if it had never stopped."""
        return {
            "solver": self.solver.state_dict(),
            "metrics": self.run.metrics.state_dict(),
            "loop": {"steps": self.steps, "clocks": self.clocks.state_dict()},
        }

    def load_state_dict(self, state: State) -> None:
        self.solver.load_state_dict(state["solver"])
        self.run.metrics.load_state_dict(state["metrics"])
        self.steps = state["loop"]["steps"]
        self.clocks.load_state_dict(state["loop"]["clocks"])

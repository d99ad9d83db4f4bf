"""Experience feeds a learner: the loop of `agents/api.py`, in one process or on Ray."""

from __future__ import annotations

import warnings
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from agents.api import Evaluation, Parts, Source, State
from agents.experience.rewards.rewards import Rewards
from agents.records import Experience, Round, Sample, arrays
from envs.api import EnvError


class Training:
    """A course (`experiment.course.Course`). window: episodes whose returns and lengths are averaged."""

    unit = "environment steps"

    def __init__(self, parts: Parts, source: Source, evaluation: Evaluation, window: int) -> None:
        self.learner, self.memory, self.ratio = parts[:3]
        self.rewards = Rewards(parts.rewards)
        self.source, self.evaluation = source, evaluation
        self.samples: dict[str, Sample] = {}  # that were learned from last, by what they are made of
        self.steps = self.version = 0
        self.returns: deque[float] = deque(maxlen=window)
        self.lengths: deque[int] = deque(maxlen=window)
        self.staleness: list[int] = []
        self.measures: defaultdict[str, list[float]] = defaultdict(list)

    def begin(self) -> None:
        self.source.publish(self.learner.weights(), self.version)

    def advance(self, until: int) -> None:
        """One round: collect, learn, publish. It ends when everybody has delivered, wherever that is."""
        with self.blaming():
            experiences = self.source.collect()
        for experience in experiences:
            if self.rewards:
                self.rewards.learn(experience.rows)
            self.memory.add(experience)
            self.note(experience)
        news = [experience.moments for experience in experiences if experience.moments is not None]
        self.learner.begin_round(Round(self.version, self.steps, news))
        with self.blaming():
            for _ in range(self.ratio.due(self.steps)):
                sample = self.memory.sample()
                self.samples[type(sample.rows).__name__] = sample
                self.memory.update(sample, self.learner.update(sample))
            weights = self.learner.weights()
            if not np.isfinite(weights).all():
                raise FloatingPointError("a weight is no longer finite")
        self.version += 1
        self.source.publish(weights, self.version)

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """Let a FloatingPointError say what was learned from last: of several updates of a round the last one's."""
        try:
            yield
        except FloatingPointError as error:
            batch = dict(array for name, sample in self.samples.items() for array in arrays(name, sample._asdict()))
            raise FloatingPointError(str(error), batch) from error

    def note(self, experience: Experience) -> None:
        self.steps += experience.steps
        self.returns.extend(experience.episodes.returns)
        self.lengths.extend(experience.episodes.lengths)
        self.staleness.append(self.version - experience.version)
        for name, value in (experience.measures or {}).items():
            self.measures[name].append(value)

    def news(self) -> float | None:
        return self.returns[-1] if self.returns else None

    def metrics(self) -> Mapping[str, float]:
        metrics: dict[str, float] = {}
        if self.returns:
            metrics["rollout/ep_rew_mean"] = float(np.mean(self.returns))
            metrics["rollout/ep_len_mean"] = float(np.mean(self.lengths))
        if self.staleness:
            metrics["fleet/staleness"] = float(np.mean(self.staleness))
            self.staleness.clear()
        metrics |= {name: float(np.mean(values)) for name, values in self.measures.items()}
        self.measures.clear()
        with self.blaming():
            metrics |= self.learner.metrics()
        return metrics | dict(self.rewards.metrics()) | dict(self.source.metrics())

    def evaluate(self) -> Mapping[str, float]:
        try:
            return self.evaluation(self.learner.weights(), self.steps)
        except EnvError as error:
            warnings.warn(f"the evaluation at step {self.steps} is left out: {error}", stacklevel=2)
            return {}

    def close(self) -> None:
        self.source.close()

    def state_dict(self) -> State:
        """Everything: a run that loads it goes on as if it had never stopped."""
        return {
            "weights": self.learner.weights(),
            "learner": self.learner.state_dict(),
            "memory": self.memory.state_dict(),
            "ratio": self.ratio.state_dict(),
            "rewards": self.rewards.state_dict(),
            "fleet": self.source.state_dict(),
            "evaluation": self.evaluation.state_dict(),
            "loop": {
                "steps": self.steps,
                "version": self.version,
                "returns": list(self.returns),
                "lengths": list(self.lengths),
                "staleness": list(self.staleness),
                "measures": dict(self.measures),
            },
        }

    def load_state_dict(self, state: State) -> None:
        self.learner.load_state_dict(state["learner"])
        self.memory.load_state_dict(state["memory"])
        self.ratio.load_state_dict(state["ratio"])
        self.rewards.load_state_dict(state["rewards"])
        self.source.load_state_dict(state["fleet"])
        self.evaluation.load_state_dict(state["evaluation"])
        loop = state["loop"]
        self.steps, self.version = loop["steps"], loop["version"]
        self.returns.extend(loop["returns"])
        self.lengths.extend(loop["lengths"])
        self.staleness = list(loop["staleness"])
        self.measures.update(loop["measures"])

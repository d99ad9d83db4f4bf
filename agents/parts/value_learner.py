"""What learners of action values share: Adam, a target network that follows, and a network that says how to explore.

class Learner(ValueLearner[DQN]):
    def __init__(self, config, spec, seeds, device, compiled):
        super().__init__(config, QNetwork(...).to(device), self.loss, device, compiled)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import torch
from torch import nn

from agents.maths.schedules import Schedule
from agents.maths.schedules import value as scheduled
from agents.parts.normalizer import Normalizer
from agents.parts.state import Assembled
from agents.records import Round
from envs.api import Array
from supervised.trained import Found, Trained


class ValueOptions(Protocol):
    """Section `learner` of the config."""

    @property
    def learning_rate(self) -> float | Schedule: ...

    @property
    def target_interval(self) -> int: ...

    @property
    def max_gradient_norm(self) -> float: ...

    @property
    def adam_epsilon(self) -> float: ...


class ValueLearning(Protocol):
    @property
    def steps(self) -> int: ...

    @property
    def epsilon(self) -> float | Schedule: ...

    @property
    def learner(self) -> ValueOptions: ...


C = TypeVar("C", bound=ValueLearning)


class ValueLearner(Assembled, Generic[C]):
    STATE = ("trained", "normalizer", "updates", "steps")

    def __init__(
        self, config: C, network: nn.Module, loss: Callable[..., Found], device: torch.device, compiled: bool
    ) -> None:
        """loss: says q_mean and td_error beside itself. network: with `normalize`, a layer, and `epsilon`, 0-d."""
        self.config, self.device, options = config, device, config.learner
        self.trained = Trained(
            network,
            loss,
            {"loss": 1.0},
            ["q_mean", "td_error"],
            target=True,
            max_gradient_norm=options.max_gradient_norm,
            adam_epsilon=options.adam_epsilon,
            compiled=compiled,
        )
        self.normalizer = Normalizer(network.get_submodule("normalize"))
        self.epsilon = network.get_buffer("epsilon")
        self.updates = self.steps = 0
        self.begin_round(Round(0, 0))  # schedules begin before there is anything to learn from

    def begin_round(self, round: Round) -> None:
        interval = self.config.learner.target_interval
        if interval and round.steps // interval > self.steps // interval:
            self.trained.state.follow(1.0)
        self.steps, self.progress = round.steps, round.progress(self.config.steps)
        self.epsilon.fill_(scheduled(self.config.epsilon, self.progress))
        self.normalizer.merge(round.moments)

    @property
    def rate(self) -> float:
        return scheduled(self.config.learner.learning_rate, self.progress)

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/") | {
            "train/learning_rate": self.rate,
            "train/epsilon": self.epsilon.item(),
            "train/n_updates": self.updates,
        }

    def weights(self) -> Array:
        self.normalizer.write()
        weights: Array = self.trained.flat.weights()
        return weights

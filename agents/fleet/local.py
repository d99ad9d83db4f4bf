"""Actors in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.api import Actor, State
from agents.config import Runtime
from agents.fleet.restarts import Restarts
from agents.records import Experience
from envs.api import Array, EnvError
from experiment.form import take_over


class LocalFleet:
    """The fleet that a synchronous Ray fleet of the same actors equals, bit for bit, replacements included.

    build(index, incarnation) makes an actor; this is done when it is first needed.
    """

    def __init__(self, build: Callable[[int, int], Actor], runtime: Runtime) -> None:
        self.build = build
        self.restarts = Restarts(runtime)
        self.actors: list[Actor | None] = [None] * runtime.actors
        self.weights: tuple[Array, int] | None = None

    def publish(self, weights: Array, version: int) -> None:
        self.weights = weights, version
        for actor in self.actors:
            if actor is not None:
                actor.load(weights, version)

    def collect(self) -> list[Experience]:
        return [self._collect(index) for index in range(len(self.actors))]

    def _collect(self, index: int) -> Experience:
        while True:
            try:
                return (self.actors[index] or self._start(index)).collect()
            except EnvError as error:
                self._stop(index)
                self.restarts.replace(index, str(error))

    def _start(self, index: int) -> Actor:
        actor = self.actors[index] = self.build(index, self.restarts.incarnations[index])
        if self.weights is not None:
            actor.load(*self.weights)
        return actor

    def _stop(self, index: int) -> None:
        actor, self.actors[index] = self.actors[index], None
        if actor is not None:
            actor.close()

    def metrics(self) -> Mapping[str, float]:
        """fleet/restarts: replacements by this process."""
        return {"fleet/restarts": self.restarts.used}

    def state_dict(self) -> State:
        """An actor that is down has no state: it will begin anew."""
        actors = {str(i): {} if actor is None else actor.state_dict() for i, actor in enumerate(self.actors)}
        return {"actors": actors, "restarts": self.restarts.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.restarts.load_state_dict(state["restarts"])
        for index in range(len(self.actors)):
            self._stop(index)
            if not state["actors"][str(index)]:
                continue
            try:
                take_over(self._start(index), state["actors"][str(index)])
            except EnvError as error:  # the world fails at what it did before
                self._stop(index)
                self.restarts.replace(index, str(error))

    def close(self) -> None:
        for index in range(len(self.actors)):
            self._stop(index)

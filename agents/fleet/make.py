"""From a config's `runtime` to the actors of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.api import Actor, Source
from agents.config import Experiment, Runtime
from agents.fleet.local import LocalFleet
from agents.fleet.ray_fleet import RayFleet, connect, require
from supervised.accelerate import use_cpu

C = TypeVar("C", bound=Experiment)


def prepare(runtime: Runtime) -> None:
    """Refuse what can't be had before anything is made. Raises ValueError where a package is missing, ConnectionError
    where there is no cluster at `runtime.address`."""
    use_cpu(runtime.threads)
    if runtime.kind == "ray":
        require(runtime)
    if runtime.address is not None:
        connect(runtime)


def fleet(config: C, runtime: Runtime, actor: Callable[[C, int, int], Actor]) -> Source:
    """The actors, where `runtime` wants them. They are made when they are first needed."""
    if runtime.kind == "ray":
        return RayFleet(config, runtime)
    return LocalFleet(lambda index, incarnation: actor(config, index, incarnation), runtime)

"""May this run begin? What can be refused is, before torch is loaded and anything is allocated.

    spec = admit(parse(raw))

What an algorithm wants of its world is said by `Experiment.require_world`, what a run takes of memory by footprints.
"""

from __future__ import annotations

from agents.config import Experiment, OfEnvironment
from agents.experience.rollout import env_spec
from agents.footprint import Shown, require
from envs.games.make import make_game


def admit(config: Experiment) -> Shown:
    """What the run is about.

    Raises ValueError where that can't be made or learned in, EnvError where it fails at once, NotEnoughMemory.
    """
    shown = world(config)
    config.require_world(shown)
    require(config, shown)
    return shown


def world(config: Experiment) -> Shown:
    """The spec of what the run is about; None of data. Raises ValueError where it can't be made, or acted in."""
    if isinstance(config, OfEnvironment):
        return env_spec(config.env)
    return make_game(config.world.name).spec if config.world.kind == "game" else None

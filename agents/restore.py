"""Opening checkpoints: what was saved becomes a run that goes on, a policy that acts, or a player.

config, state, about = load_checkpoint(Path("runs/cartpole"))
policy, spec = load_policy(Path("runs/cartpole"))
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.arena.players import PolicyPlayer
from agents.config import Control, Experiment
from agents.experience.rollout import env_spec
from agents.registry import algorithm, parse
from envs.turn_env import TurnEnv
from experiment import extensions
from experiment.checkpoint import CheckpointError, load, newest

if TYPE_CHECKING:
    from agents.api import Player, Policy, State
    from envs.api import Game, Spec
    from experiment.course import Course


def load_checkpoint(path: Path) -> tuple[Experiment, State, dict[str, Any]]:
    """The config, the state, and what a checkpoint says of itself; of a run directory the newest one's.

    Raises CheckpointError where there is none that is intact, ConfigError where its config is not understood, or it was
    made with modules that aren't loaded.
    """
    extensions.require(path)
    if (path / "manifest.json").exists():
        state, about = load(path)
    else:
        path, state, about = newest(path if path.name == "checkpoints" else path / "checkpoints")
    if not isinstance(about.get("config"), dict) or not isinstance(about.get("steps"), int):
        raise CheckpointError(f"{path}: its manifest doesn't say by which config, or after how many steps")
    return parse(about["config"]), state, about | {"path": path}


def go_on(course: Course, state: State, path: Path) -> None:
    """Let a course take over the state of the checkpoint at `path`. Raises CheckpointError where it doesn't fit."""
    try:
        state["metrics"], state["clocks"]  # the loop's
        course.load_state_dict(state)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else repr(error)
        raise CheckpointError(f"{path}: its state is not one that this run can go on from: {reason}") from error


def load_policy(path: Path) -> tuple[Policy, Spec]:
    """The policy in a checkpoint, or in the newest one of a run directory, and the spec of the world it was trained on.

    Raises CheckpointError where there is none that is intact, ValueError where it doesn't act in an environment.
    """
    config, state, _ = load_checkpoint(path)
    if not isinstance(config, Control):
        does = "plays a game" if config.world.kind == "game" else f"learns {config.world.name}"
        raise ValueError(f"{path}: {config.algorithm} {does}, not in an environment")
    spec = env_spec(config.env)
    return _policy(config, spec, state), spec


def acting(config: Control, game: Game, state: State, name: str) -> Player:
    """The greedy policy of an algorithm for environments, trained in the TurnEnv of the game."""
    return PolicyPlayer(_policy(config, TurnEnv(game, 1).spec, state), game, name)


def _policy(config: Control, spec: Spec, state: State) -> Policy:
    import torch

    make = algorithm(config.algorithm).load().policy
    assert make is not None, config.algorithm
    policy = make(config, spec, torch.device("cpu"))
    policy.load(state["weights"])
    return policy

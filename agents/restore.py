"""Opening checkpoints: what was saved becomes a run that goes on, a policy that acts, or a player.

config, state, about = load_checkpoint(Path("runs/cartpole"))
policy, spec = load_policy(Path("runs/cartpole"))
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.arena.players import PolicyPlayer
from agents.config import Experiment, OfEnvironment
from agents.experience.rollout import env_spec
from agents.parts.tables import TabularPolicy
from agents.registry import algorithm, parse
from envs.turn_env import TurnEnv
from experiment import extensions
from experiment.checkpoint import CheckpointError, load, newest, require_finite
from experiment.course import require_loop
from experiment.form import take_over

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
        trust(path, state, about)
    else:
        path, state, about = newest(path if path.name == "checkpoints" else path / "checkpoints", trust)
    return parse(about["config"]), state, about | {"path": path}


def trust(path: Path, state: State, about: dict[str, Any]) -> None:
    """Raise CheckpointError for what no run has saved although it is well-formed, and for what is not finite."""
    if not isinstance(about.get("config"), dict) or not isinstance(about.get("steps"), int):
        raise CheckpointError(f"{path}: its manifest doesn't say by which config, or after how many steps")
    if not all(isinstance(about.get(kind, {}), dict) for kind in ("libraries", "rules")):
        raise CheckpointError(f"{path}: its manifest doesn't say by which libraries and rules")
    try:
        require_finite(state)
    except FloatingPointError as error:
        raise CheckpointError(f"{path}: {error}") from error


@contextmanager
def doubting(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is a CheckpointError: a state may be well-formed and yet be none of this run's."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else repr(error)
        raise CheckpointError(f"{path}: its state is not one that this run can go on from: {reason}") from error


def go_on(course: Course, state: State, about: dict[str, Any]) -> None:
    """Let a course take over the state of the checkpoint that says this about itself. Raises CheckpointError where it
    doesn't fit."""
    with doubting(about["path"]):
        require_loop(state)
        take_over(course, {name: part for name, part in state.items() if name not in ("clocks", "metrics")})
        if course.steps != about["steps"]:
            raise ValueError(f"its manifest says {about['steps']} {course.unit}, its state {course.steps!r}")


def load_policy(path: Path) -> tuple[Policy, Spec]:
    """The policy in a checkpoint, or in the newest one of a run directory, and the spec of the world it was trained on.

    Raises CheckpointError where there is none that is intact, ValueError where it doesn't act in an environment.
    """
    config, state, _ = load_checkpoint(path)
    if config.environment is None:
        does = "plays a game" if config.world.kind == "game" else f"learns {config.world.name}"
        raise ValueError(f"{path}: {config.algorithm} {does}, not in an environment")
    spec = env_spec(config.environment)
    return _policy(config, spec, state), spec


def acting(config: OfEnvironment, game: Game, state: State, name: str) -> Player:
    """The greedy policy of an algorithm for environments, trained in the TurnEnv of the game."""
    return PolicyPlayer(_policy(config, TurnEnv(game, 1).spec, state), game, name)


def _policy(config: Experiment, spec: Spec, state: State) -> Policy:
    import torch

    asked = algorithm(config.algorithm).load()
    if asked.table is not None:
        return TabularPolicy(asked.table(config, state))
    assert asked.policy is not None, config.algorithm
    policy = asked.policy(config, spec, torch.device("cpu"))
    policy.load(state["weights"])
    return policy

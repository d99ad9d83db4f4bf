"""All algorithms by name. Torch-free: an algorithm's module is loaded when it is used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.actor_critic.config import DDPG, PPO
from agents.alphazero.config import AlphaZero
from agents.config import Control, Experiment, Learning
from agents.regret.config import CFR, MCCFR, DeepCFR, FleetMCCFR
from agents.value.config import DQN
from experiment.config import ConfigError, check

if TYPE_CHECKING:
    from agents.api import Policy


class Algorithm(NamedTuple):
    config: type[Experiment]
    module: str

    def load(self) -> Any:
        """The module: `agents.api` says what it has."""
        return importlib.import_module(self.module)


ALGORITHMS = {
    "ppo": Algorithm(PPO, "agents.actor_critic.ppo"),
    "dqn": Algorithm(DQN, "agents.value.dqn"),
    "ddpg": Algorithm(DDPG, "agents.actor_critic.ddpg"),
    "alphazero": Algorithm(AlphaZero, "agents.alphazero.alphazero"),
    "cfr": Algorithm(CFR, "agents.regret.cfr"),
    "mccfr": Algorithm(MCCFR, "agents.regret.mccfr"),
    "mccfr_fleet": Algorithm(FleetMCCFR, "agents.regret.mccfr_fleet"),
    "deep_cfr": Algorithm(DeepCFR, "agents.regret.deep_cfr"),
}


def algorithm(name: object) -> Algorithm:
    """Look an algorithm up. Raises ConfigError for an unknown name."""
    if isinstance(name, str) and name in ALGORITHMS:
        return ALGORITHMS[name]
    near = difflib.get_close_matches(str(name), ALGORITHMS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError([f"algorithm: found {name!r}, expected one of: {', '.join(ALGORITHMS)}{hint}"])


def parse(raw: Mapping[str, Any]) -> Experiment:
    """A config as read from YAML -> the algorithm's validated model. Raises ConfigError with every problem."""
    if "algorithm" not in raw:
        raise ConfigError([f"algorithm: missing, expected one of: {', '.join(ALGORITHMS)}"])
    return check(algorithm(raw["algorithm"]).config, raw)


def driver(config: Experiment) -> Any:
    """What runs the config: `driver.train(run, state)` goes on until `driver.steps` reaches its budget."""
    if isinstance(config, Learning):
        return importlib.import_module("agents.train").Training(config)
    return importlib.import_module("agents.solve").Solving(config)


def load_checkpoint(path: Path) -> tuple[Experiment, dict[str, Any], dict[str, Any]]:
    """The config, the state, and what a checkpoint says of itself; of a run directory the newest one's.

    Raises CheckpointError where there is none that is intact, ConfigError where its config is not understood.
    """
    from experiment.checkpoint import load, newest

    if (path / "manifest.json").exists():
        state, about = load(path)
    else:
        _, state, about = newest(path if path.name == "checkpoints" else path / "checkpoints")
    return parse(about["config"]), state, about


def load_policy(path: Path) -> tuple[Policy, dict[str, Any]]:
    """The policy in a checkpoint, or in the newest one of a run directory, and what the checkpoint says of itself
    with the `spec` of the world it was trained on.

    Raises CheckpointError where there is none that is intact, ValueError where it plays a game.
    """
    import torch

    from agents.rollout import make_env

    config, state, about = load_checkpoint(path)
    if not isinstance(config, Control):
        raise ValueError(f"{path}: {config.algorithm} plays a game, not in an environment")
    env = make_env(config.env, 1)
    try:
        policy: Policy = algorithm(config.algorithm).load().policy(config, env.spec, torch.device("cpu"))
    finally:
        env.close()
    policy.load(state["weights"])
    return policy, about | {"spec": env.spec}

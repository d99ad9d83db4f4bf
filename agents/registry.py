"""All algorithms by name, and nothing else: where its config is, and where the algorithm.

algorithm("ppo").config                                 # the model of its config; torch-free
algorithm("ppo").small["tiny"]                          # runs that are over in a moment
algorithm("ppo").load()                                 # agents.api.Algorithm
ALGORITHMS["mine"] = Entry("mine", "Mine", "mine")      # in a module of your own, which --import names
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.config import Experiment
from experiment.config import ConfigError, check, read

if TYPE_CHECKING:
    from agents.api import Algorithm


class Entry(NamedTuple):
    config_module: str
    config_name: str
    module: str

    @property
    def config(self) -> type[Experiment]:
        found: type[Experiment] = getattr(importlib.import_module(self.config_module), self.config_name)
        return found

    @property
    def small(self) -> dict[str, Any]:
        """The algorithm in small: what the YAML beside its config holds.

        debug:      overrides that make any of its runs one of seconds: `always`, and by the kind of the world
        tiny:       whole runs of a moment, for the tests, which trace, resume and compare them
        fields:     runs that between them read every field; a run `of` a tiny one is that one with changes
        resumed:    runs to go on from, to so many `further` steps, with another value of each field in turn
        """
        module = importlib.import_module(self.config_module)
        return read(Path(str(module.__file__)).with_suffix(".yaml"))

    def load(self) -> Algorithm[Any]:
        found: Algorithm[Any] = importlib.import_module(self.module).ALGORITHM
        return found


ALGORITHMS = {
    "ppo": Entry("agents.actor_critic.configs.ppo", "PPO", "agents.actor_critic.ppo"),
    "dqn": Entry("agents.value.configs.dqn", "DQN", "agents.value.dqn"),
    "r2d2": Entry("agents.value.configs.r2d2", "R2D2", "agents.value.r2d2"),
    "nfq": Entry("agents.value.configs.nfq", "NFQ", "agents.value.nfq"),
    "ddpg": Entry("agents.actor_critic.configs.ddpg", "DDPG", "agents.actor_critic.ddpg"),
    "sac": Entry("agents.actor_critic.configs.sac", "SAC", "agents.actor_critic.sac"),
    "reinforce": Entry("agents.policy.configs.reinforce", "REINFORCE", "agents.policy.reinforce"),
    "npg": Entry("agents.policy.configs.npg", "NPG", "agents.policy.npg"),
    "trpo": Entry("agents.policy.configs.trpo", "TRPO", "agents.policy.trpo"),
    "q_actor_critic": Entry(
        "agents.actor_critic.configs.q_actor_critic", "QActorCritic", "agents.actor_critic.q_actor_critic"
    ),
    "a2c": Entry("agents.actor_critic.configs.a2c", "A2C", "agents.actor_critic.a2c"),
    "impala": Entry("agents.actor_critic.configs.impala", "IMPALA", "agents.actor_critic.impala"),
    "alphazero": Entry("agents.alphazero.config", "AlphaZero", "agents.alphazero.alphazero"),
    "cfr": Entry("agents.regret.configs.cfr", "CFR", "agents.regret.cfr"),
    "mccfr": Entry("agents.regret.configs.mccfr", "MCCFR", "agents.regret.mccfr"),
    "deep_cfr": Entry("agents.regret.configs.deep_cfr", "DeepCFR", "agents.regret.deep_cfr"),
    "tabular_prediction": Entry(
        "agents.tabular.configs.tabular_prediction", "TabularPrediction", "agents.tabular.samples.prediction"
    ),
    "tabular_control": Entry(
        "agents.tabular.configs.tabular_control", "TabularControl", "agents.tabular.samples.control"
    ),
    "bandit": Entry("agents.tabular.configs.bandit", "Bandit", "agents.tabular.bandits"),
    "dynamic_programming": Entry(
        "agents.tabular.configs.dynamic_programming", "DynamicProgramming", "agents.tabular.dynamic_programming"
    ),
    "world_models": Entry(
        "agents.world_models.configs.world_models", "WorldModels", "agents.world_models.world_models"
    ),
    "behaviour_cloning": Entry(
        "agents.imitation.configs.behaviour_cloning", "BehaviourCloning", "agents.imitation.behaviour_cloning"
    ),
    "maximum_entropy": Entry(
        "agents.imitation.configs.maximum_entropy", "MaximumEntropy", "agents.imitation.maximum_entropy"
    ),
    "dagger": Entry("agents.imitation.configs.dagger", "DAgger", "agents.imitation.dagger"),
    "smile": Entry("agents.imitation.configs.smile", "SMILe", "agents.imitation.smile"),
    "fit": Entry("agents.fitting.configs.fit", "Fit", "agents.fitting.fit"),
    "autoencoder": Entry("agents.fitting.configs.autoencoder", "Autoencoder", "agents.fitting.autoencoder"),
    "vae": Entry("agents.fitting.configs.vae", "VAE", "agents.fitting.vae"),
    "language_model": Entry("agents.fitting.configs.language_model", "LanguageModel", "agents.fitting.language_model"),
    "translation": Entry("agents.fitting.configs.translation", "Translation", "agents.fitting.translation"),
    "gan": Entry("agents.fitting.configs.gan", "GAN", "agents.fitting.gan"),
}


def algorithm(name: object) -> Entry:
    """Look an algorithm up. Raises ConfigError for an unknown name."""
    if isinstance(name, str) and name in ALGORITHMS:
        return ALGORITHMS[name]
    near = difflib.get_close_matches(str(name), ALGORITHMS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "; one of your own comes with --import MODULE"
    raise ConfigError([f"algorithm: found {name!r}, expected one of: {', '.join(ALGORITHMS)}{hint}"])


def debugged(config: Experiment) -> list[str]:
    """The overrides that make this run one of seconds."""
    overrides = algorithm(config.algorithm).small["debug"]
    return [*overrides["always"], *overrides.get(config.world.kind, [])]


def parse(raw: Mapping[str, Any]) -> Experiment:
    """A config as read from YAML -> the algorithm's validated model. Raises ConfigError with every problem."""
    if "algorithm" not in raw:
        raise ConfigError([f"algorithm: missing, expected one of: {', '.join(ALGORITHMS)}"])
    return check(algorithm(raw["algorithm"]).config, raw)

"""The registry is strings: each of them leads somewhere, and naming an algorithm costs nothing."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from agents.api import Algorithm
from agents.config import Control, Experiment
from agents.experience.rewards.configs import Rewarded
from agents.parts.config import Correcting
from agents.registry import ALGORITHMS, Entry, algorithm, debugged, parse
from experiment.config import Config, ConfigError, override
from tests.runs import APART, ROOT, RUNS, spelt
from tests.test_layering import PACKAGES


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_entry_leads_to_a_config_and_an_algorithm(name: str) -> None:
    entry = ALGORITHMS[name]
    assert issubclass(entry.config, Experiment)
    assert entry.config.model_fields["algorithm"].default == name
    assert isinstance(entry.load(), Algorithm)
    names = list(vars(importlib.import_module(entry.module)))
    assert names[-1] == "ALGORITHM", "the module ends with it"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_whatever_learns_to_act_in_an_environment_takes_reward_models(name: str) -> None:
    config = ALGORITHMS[name].config
    by_rewards = issubclass(config, Control) and not issubclass(config, Correcting)  # else by an expert
    assert issubclass(config, Rewarded) == by_rewards


def test_an_entry_that_leads_nowhere_is_noticed() -> None:
    with pytest.raises(AttributeError):
        Entry("agents.value.configs.dqn", "QDN", "agents.value.dqn").config  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        Entry("agents.value.configs.dqn", "DQN", "agents.value.qdn").load()


def test_configs_are_imported_when_they_are_named() -> None:
    code = "import sys, agents.registry; print(sum(name.startswith('agents.value') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_an_unknown_algorithm_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ConfigError, match="did you mean 'ppo'"):
        algorithm("pqo")


# Names ----------------------------------------------------------------------------------------------------------------


def sections() -> set[str]:
    """Names of all sections of all configs, but for the experiments themselves."""
    found, waiting = set[str](), [Config]
    for entry in ALGORITHMS.values():
        importlib.import_module(entry.config_module)
    while waiting:
        waiting += (models := waiting.pop().__subclasses__())
        found |= {m.__name__ for m in models if not issubclass(m, Experiment) and ".config" in m.__module__}
    return found


def classes(root: Path, packages: Iterable[str]) -> set[str]:
    """Names of all classes that are in no config."""
    files = [file for package in packages for file in (root / package).rglob("*.py")]
    trees = [ast.parse(f.read_text()) for f in files if "config" not in f.stem and f.parent.name != "configs"]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def test_no_section_is_called_as_what_it_configures(tmp_path: Path) -> None:
    assert len(sections()) > 20 and "NoiseOptions" in sections()
    assert sections() & classes(ROOT, PACKAGES) == set()
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "noise.py").write_text("class NoiseOptions: ...")
    assert sections() & classes(tmp_path, PACKAGES) == {"NoiseOptions"}, "the broken variant"


# In small -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_there_in_small(name: str) -> None:
    entry = ALGORITHMS[name]
    assert Path(str(importlib.import_module(entry.config_module).__file__)).with_suffix(".yaml").is_file()
    assert entry.small.keys() == {"debug", "tiny", "fields", "resumed"}
    assert all(entry.small.values())
    for run in entry.small["tiny"].values():
        config = parse({"algorithm": name} | run)
        parse(override(config.model_dump(mode="json"), debugged(config)))
    for run in entry.small["fields"]:
        parse(spelt(name, run))


def test_no_two_tiny_runs_have_one_name() -> None:
    names = [run for entry in ALGORITHMS.values() for run in entry.small["tiny"]]
    assert len(names) == len({*names}) == len(RUNS) + len(APART)


def test_what_is_for_environments_alone_is_left_out_where_a_game_is_played() -> None:
    asked = {"algorithm": "dqn", "env": {"id": "CartPole-v1"}}
    assert "env.max_episode_steps=100" in debugged(parse(asked))
    assert "env.max_episode_steps=100" not in debugged(parse(asked | {"env": {"id": "game:tic_tac_toe"}}))

"""Tiny training runs, and how to compare what they leave behind."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from experiment.checkpoint import newest
from scripts.train import main

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "train.py"
WALL_CLOCK = (  # the metrics that no two runs share
    "time/fps", "time/time_elapsed", "time/games_per_second", "time/evaluations_per_second", "fleet/waiting"
)  # fmt: skip

PENDULUM = {"id": "Pendulum-v1", "count": 2, "max_episode_steps": 60}
EVERY = {
    "logging": {"every": 100},
    "evaluation": {"every": 250, "episodes": 2},
    "checkpoint": {"every": 150, "keep": 99},
    "runtime": {"actors": 2},
    "seed": 3,
}
RUNS: dict[str, dict[str, Any]] = {
    "ppo": {
        "algorithm": "ppo",
        "env": {"id": "CartPole-v1", "count": 4},
        "steps": 640,
        "rollout": {"steps": 16},
        "network": {"hidden": [16]},
        "learner": {"batch_size": 32, "epochs": 2, "learning_rate": {"kind": "linear", "start": 1e-2, "end": 0.0}},
        "normalize": {"observations": True, "rewards": True},
    },
    "ppo_continuous": {
        "algorithm": "ppo",
        "env": PENDULUM,
        "steps": 640,
        "rollout": {"steps": 32},
        "network": {"hidden": [16], "shared": True},
        "learner": {"batch_size": 32, "epochs": 3, "target_kl": 0.001, "value_clip": 0.2, "entropy_coefficient": 0.01},
    },
    "ppo_masked": {
        "algorithm": "ppo",
        "env": {"id": "sparring/MaskedAction-v0", "count": 2},
        "steps": 640,
        "rollout": {"steps": 18},
        "network": {"hidden": [8]},
        "learner": {"batch_size": 12, "epochs": 2},
    },
    "dqn": {
        "algorithm": "dqn",
        "env": {"id": "CartPole-v1", "count": 2},
        "steps": 600,
        "rollout": {"steps": 5},
        "network": {"hidden": [16, 16], "dueling": True},
        "learner": {"batch_size": 16, "updates_per_step": 0.3, "n_step": 3, "double": True, "target_interval": 70},
        "memory": {"capacity": 250, "start": 50, "prioritized": {}},
        "normalize": {"observations": True},
    },
    "ddpg": {
        "algorithm": "ddpg",
        "env": PENDULUM,
        "steps": 500,
        "network": {"hidden": [16]},
        "noise": {"kind": "ornstein_uhlenbeck"},
        "learner": {"batch_size": 16, "updates_per_step": 0.5},
        "memory": {"capacity": 300, "start": 50},
        "random_steps": 60,
    },
    "td3": {
        "algorithm": "ddpg",
        "env": PENDULUM,
        "steps": 500,
        "rollout": {"steps": 3},
        "network": {"hidden": [16]},
        "learner": {
            "batch_size": 16, "updates_per_step": 0.5, "n_step": 2, "critics": 2, "policy_delay": 2, "smoothing": 0.2
        },
        "memory": {"capacity": 300, "start": 50},
        "random_steps": 60,
        "normalize": {"observations": True},
    },
    "dqn_game": {
        "algorithm": "dqn",
        "env": {"id": "game:tic_tac_toe", "count": 4},
        "steps": 600,
        "rollout": {"steps": 3},
        "network": {"hidden": [16]},
        "learner": {"batch_size": 16, "updates_per_step": 0.3, "n_step": 2, "target_interval": 70, "discount": 1.0},
        "memory": {"capacity": 250, "start": 50},
    },
    "ppo_game": {
        "algorithm": "ppo",
        "env": {"id": "game:tic_tac_toe", "count": 4},
        "steps": 640,
        "rollout": {"steps": 16},
        "network": {"hidden": [16]},
        "learner": {"batch_size": 32, "epochs": 2},
    },
    "alphazero": {
        "algorithm": "alphazero",
        "game": "tic_tac_toe",
        "steps": 640,
        "network": {"blocks": 2, "filters": 4, "hidden": 8, "inference_dtype": "float32"},
        "search": {"simulations": 6},
        "selfplay": {
            "games": 8, "plies": 2, "full_fraction": 0.7, "fast_simulations": 3, "cache": 64, "resign": -0.5,
            "temperature_plies": 4, "random_plies": 2,
        },
        "learner": {
            "batch_size": 8, "learning_rate": {"kind": "linear", "start": 1e-2, "end": 0.0}, "value_lambda": 0.8,
        },
        "memory": {"capacity": 200, "start": 20},
        "evaluation": {
            "every": 250, "games": 4, "simulations": 3, "opponents": ["random", "one_ply"], "every_line": True,
        },
    },
    "atari": {
        "algorithm": "dqn",
        "env": {
            "id": "ALE/Pong-v5", "count": 2, "atari": {"noop_max": 3}, "max_episode_steps": 50, "reward_clip": 1.0
        },
        "steps": 400,
        "network": {"torso": "nature_cnn", "hidden": [16]},
        "learner": {"batch_size": 8, "updates_per_step": 0.1, "n_step": 2, "target_interval": 100},
        "memory": {"capacity": 200, "start": 40, "prioritized": {}},
    },
}  # fmt: skip
SOLVERS: dict[str, dict[str, Any]] = {
    "cfr": {"algorithm": "cfr", "game": "kuhn_poker", "variant": "cfr", "steps": 64},
    "cfr_plus": {"algorithm": "cfr", "game": "leduc_poker", "variant": "cfr_plus", "steps": 32},
    "linear_cfr": {"algorithm": "cfr", "game": "kuhn_poker", "variant": "linear_cfr", "form": "history", "steps": 32},
    "discounted_cfr": {"algorithm": "cfr", "game": "leduc_poker", "variant": "discounted_cfr", "steps": 32},
    "predictive_cfr_plus": {"algorithm": "cfr", "game": "kuhn_poker", "variant": "predictive_cfr_plus", "steps": 64},
    "mccfr": {"algorithm": "mccfr", "game": "leduc_poker", "steps": 64, "seed": 3},
    "mccfr_outcome": {"algorithm": "mccfr", "game": "kuhn_poker", "sampling": "outcome", "steps": 64},
    "mccfr_growing": {
        "algorithm": "mccfr", "game": "kuhn_poker", "table": "growing", "memory_bytes": 1 << 20, "steps": 8,
        "evaluation": {"games": 20},
    },
    "mccfr_fleet": {
        "algorithm": "mccfr", "game": "kuhn_poker", "steps": 80, "iterations": 8, "runtime": {"actors": 2},
        "logging": {"every": 16}, "evaluation": {"every": 32, "doubling": False},
    },
    "deep_cfr": {
        "algorithm": "deep_cfr", "game": "kuhn_poker", "steps": 160, "traversals": 20, "runtime": {"actors": 2},
        "learner": {"updates": 20, "strategy_updates": 5, "batch_size": 32}, "network": {"hidden": [16]},
        "logging": {"every": 40}, "evaluation": {"every": 80},
    },
    "deep_cfr_mixture": {
        "algorithm": "deep_cfr", "game": "kuhn_poker", "steps": 160, "traversals": 20, "average": "mixture",
        "learner": {"updates": 20, "batch_size": 32}, "network": {"hidden": [16]}, "logging": {"every": 40},
    },
}  # fmt: skip
FITS: dict[str, dict[str, Any]] = {
    "fit": {
        "algorithm": "fit", "data": "iris", "steps": 60, "network": {"hidden": [16]},
        "learner": {"batch_size": 32, "learning_rate": {"kind": "linear", "start": 1e-2, "end": 0.0}},
        "logging": {"every": 10}, "evaluation": {"every": 20}, "checkpoint": {"every": 7, "keep": 99},
    },
    "fit_numbers": {
        "algorithm": "fit", "data": "diabetes", "steps": 40, "network": {"hidden": [16]},
        "learner": {"batch_size": 50, "regularization": 1e-3}, "logging": {"every": 20}, "seed": 3,
    },
}  # fmt: skip


def raw(name: str, **changes: Any) -> dict[str, Any]:
    """The config of a tiny run; `changes` replace whole sections, or keys of those that are mappings in both."""
    config = copy.deepcopy(EVERY | RUNS[name])
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = config[key] | value if both else value
    return config


def write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path


def train(config: dict[str, Any], directory: Path, *more: str) -> int:
    """A run in this process."""
    file = write(directory.with_name(f"{directory.name}.yaml"), config)
    return main([str(file), "--run-dir", str(directory), "--quiet", *more])


def command(*arguments: str | Path) -> list[str]:
    """A run in another process."""
    return [sys.executable, str(SCRIPT), *map(str, arguments), "--quiet"]


def call(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def state(directory: Path) -> dict[str, Any]:
    """The newest checkpoint's state. How long metrics.jsonl was is left out: wall-clock metrics vary in length."""
    _, found, about = newest(directory / "checkpoints")
    del found["metrics"]["offset"]
    return found | {"about": {"steps": about["steps"]}}


def lines(directory: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    read = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in WALL_CLOCK} for line in read]


def differences(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Where two states differ, bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key in a and key in b:
                yield from differences(a[key], b[key], f"{path}/{key}")
            else:
                yield f"{path}/{key} is in one only"
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, f"{path}/{index}")
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            yield f"{path}: arrays differ"
    elif type(a) is not type(b) or a != b:
        yield f"{path}: {a!r} is not {b!r}"


def assert_same_run(one: Path, other: Path) -> None:
    assert list(differences(state(one), state(other))) == []
    assert lines(one) == lines(other)

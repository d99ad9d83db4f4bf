"""What a user waits for: whole processes, from the command to its end and to the first mean return that was asked for.

Ours is `train.py` with a config of configs/ as it is, evaluations and checkpoints included; the peer is
Stable-Baselines3 with equal settings and no evaluations. Each pair starts both anew. A row is warm (the compiled
update is in the cache from an earlier run) or `-cold` (the cache is empty). Rows with `-to-N` are of the same
processes, to the first line of metrics whose mean return over the last 100 episodes is at least N. Start-up is the
first line of metrics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from agents.registry import parse
from experiment.config import read
from scripts.suites.pairs import Absent, Row, geometric_mean, order, ratio_interval

ROOT = Path(__file__).resolve().parents[2]


class Work(NamedTuple):
    config: str  # below configs/
    peer: str  # the algorithm at Stable-Baselines3
    goal: float  # a mean return
    env: dict[str, Any]  # id, count, and what is normalized
    settings: dict[str, Any]  # the peer's; [start, end] is linear in the progress
    noise: float = 0.0  # deviation of the actions' noise


SMALL = {"net_arch": [64, 64]}
WORKS = {
    "ppo-cartpole": Work(
        "ppo/cartpole.yaml",
        "PPO",
        475,
        {"id": "CartPole-v1", "count": 8},
        {"n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98, "gae_lambda": 0.8,
         "learning_rate": [1e-3, 0.0], "clip_range": [0.2, 0.0], "policy_kwargs": SMALL},
    ),
    "dqn-cartpole": Work(
        "dqn/cartpole.yaml",
        "DQN",
        475,
        {"id": "CartPole-v1", "count": 1},
        {"learning_rate": [1e-3, 0.0], "batch_size": 64, "train_freq": 32, "gradient_steps": 16, "n_steps": 3,
         "target_update_interval": 64, "buffer_size": 100_000, "learning_starts": 1_000, "exploration_fraction": 0.16,
         "exploration_final_eps": 0.04, "policy_kwargs": {"net_arch": [256, 256], "activation_fn": "Tanh"}},
    ),
    "ppo-acrobot": Work(
        "ppo/acrobot.yaml",
        "PPO",
        -90,
        {"id": "Acrobot-v1", "count": 16, "normalize": 0.99},
        {"n_steps": 256, "batch_size": 64, "n_epochs": 4, "gamma": 0.99, "gae_lambda": 0.94, "learning_rate": 3e-4,
         "policy_kwargs": SMALL},
    ),
    "ddpg-pendulum": Work(
        "ddpg/pendulum.yaml",
        "DDPG",
        -200,
        {"id": "Pendulum-v1", "count": 1},
        {"learning_rate": 1e-3, "batch_size": 256, "gamma": 0.98, "buffer_size": 200_000, "learning_starts": 1_000,
         "policy_kwargs": {"net_arch": [400, 300], "activation_fn": "Tanh"}},
        noise=0.1,
    ),
}  # fmt: skip


class Waited(NamedTuple):
    """Seconds since the command."""

    end: float
    first: float  # line of metrics
    goal: float | None  # None where it was not reached


@cache
def measure(name: str, cold: bool, pairs: int, threads: int) -> list[tuple[Waited, Waited]]:
    """Ours and theirs, in each pair with the same seed. Raises Absent without the peer."""
    if find_spec("stable_baselines3") is None:
        raise Absent("stable_baselines3 is not installed; see requirements-peers.txt")
    found = []
    with tempfile.TemporaryDirectory() as directory:
        if not cold:
            ours(name, 0, threads, Path(directory), "warming")
        for pair in range(pairs):
            sides: list[Callable[[], Waited]] = [
                partial(ours, name, pair, threads, Path(directory), f"cold-{pair}" if cold else "warm"),
                partial(theirs, name, pair, threads),
            ]
            waited = {side: sides[side]() for side in order(pair)}
            found.append((waited[0], waited[1]))
    return found


def ours(name: str, seed: int, threads: int, directory: Path, label: str) -> Waited:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    work, run = WORKS[name], directory / f"{label}-{seed}"
    cold = label.startswith("cold")
    kept = directory / (f"cache-{label}" if cold else "cache")
    command = [ROOT / "scripts" / "train.py", ROOT / "configs" / work.config, f"seed={seed}", "--run-dir", run]
    begin, end = finished([*command, f"runtime.threads={threads}", "device=cpu", "--quiet"], threads, kept)
    events = EventAccumulator(str(run)).Reload().Scalars("rollout/ep_rew_mean")
    reached = (event.wall_time - begin for event in events if event.value >= work.goal)
    return Waited(end - begin, events[0].wall_time - begin, next(reached, None))


def theirs(name: str, seed: int, threads: int) -> Waited:
    work = WORKS[name]
    config = parse(read(ROOT / "configs" / work.config))
    length = {"steps": config.steps, "every": config.logging.every, "seed": seed, "threads": threads}
    asked = json.dumps(work._asdict() | length)
    with tempfile.NamedTemporaryFile() as told:
        begin, end = finished(["-m", "scripts.suites.wallclock_peer", asked, told.name], threads, None)
        first, goal = json.loads(Path(told.name).read_text())
    return Waited(end - begin, first - begin, None if goal is None else goal - begin)


def finished(command: list[Any], threads: int, kept: Path | None) -> tuple[float, float]:
    """Wall clock at the begin and end of a command of Python's. Raises CalledProcessError where it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    if kept is not None:  # the compiler's own notes lie there too, so that cold is cold
        environment |= {"XDG_CACHE_HOME": str(kept), "TORCHINDUCTOR_CACHE_DIR": str(kept / "inductor")}
    begin = time.time()
    subprocess.run([sys.executable, *command], env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return begin, time.time()


def row(name: str, cold: bool, goal: bool, pairs: int, threads: int) -> Row:
    """Rates are whole processes a minute. Raises Absent where the goal was not reached in every process."""
    found = measure(name, cold, pairs, threads)
    waits = [[side.goal if goal else side.end for side in pair] for pair in found]
    if any(wait is None for pair in waits for wait in pair):
        raise Absent(f"a mean return of {WORKS[name].goal} was not reached each time: {waits} (seconds)")
    rates = [(60 / float(a or 0), 60 / float(b or 0)) for a, b in waits]
    ratios = [a / b for a, b in rates]
    first = [sum(pair[side].first for pair in found) / len(found) for side in (0, 1)]
    made = Row(
        name=title(name, cold, goal),
        unit="processes/minute",
        ours=f"ours, {'cold' if cold else 'warm'}",
        theirs=f"stable_baselines3 {version('stable_baselines3')}",
        rates=(geometric_mean([a for a, _ in rates]), geometric_mean([b for _, b in rates])),
        startup=(first[0], first[1]),
        pairs=rates,
        ratio=geometric_mean(ratios),
        interval=ratio_interval(ratios),
    )
    if name != "ppo-cartpole":
        return made
    least = 1.5 if cold else 3.0
    return made.expect(f"at least {least}x", made.ratio >= least)


def title(name: str, cold: bool, goal: bool) -> str:
    return f"{name}{'-cold' if cold else ''}{f'-to-{WORKS[name].goal:g}' if goal else ''}"


ROWS: dict[str, Callable[[int, int], Row]] = {
    title(name, cold, goal): partial(row, name, cold, goal)
    for name in WORKS
    for cold in (False, True)
    for goal in (False, True)
}

"""Kill a run at random, and see whether it ends as if nothing had been: python scripts/soak.py [--minutes 60]

A round trains once undisturbed, and once while, at random moments, the driver, an actor or a process of Ray's own gets
a SIGTERM, SIGINT or SIGKILL; what was killed is resumed. Both must end with the same state, bit for bit. Rounds go on
until the time is over: PPO and DQN in turn, on local actors and on Ray's.

When an actor or Ray itself dies, a run saves what it has learned, but episodes that were under way are lost, so that
its numbers become other ones. Then that checkpoint must be intact, and the run goes back to the one before.
Exit code 1 if a state differs, a checkpoint can't be gone on from, or a process is left behind.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import subprocess

ROOT = Path(__file__).resolve().parents[1]
COMMON = ("runtime.actors=2", "checkpoint.keep=3", "evaluation.every=0", "evaluation.episodes=2", "compile=off")
RUNS = {
    "ppo": ("ppo/cartpole.yaml", "steps=40960", "env.count=4", "rollout.steps=128", "checkpoint.every=2048"),
    "dqn": ("dqn/cartpole.yaml", "steps=12000", "env.count=2", "network.hidden=[64,64]", "checkpoint.every=1000"),
}
CALM = 3.0  # mean seconds from the first new checkpoint of a process to its accident
EARLY = 0.2  # share of accidents that don't wait for one
GONE = 10.0  # seconds in which everything must be gone


class Accident(NamedTuple):
    victim: str  # as its command line begins, or "driver"
    number: signal.Signals
    exact: bool  # whether a run that goes on from what it saved is the run that nobody disturbed


DRIVER = tuple(Accident("driver", number, True) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL))
RAY = (
    *(Accident("ray::RemoteActor", number, False) for number in (signal.SIGTERM, signal.SIGKILL)),
    *(Accident(name, signal.SIGKILL, False) for name in ("raylet", "gcs_server")),
)


class Scene(NamedTuple):
    """When an accident happened."""

    alive: set[int]  # the processes of the run
    saved: set[str]  # names of the checkpoints


class Broken(Exception):
    """A promise that was not kept."""


def digest(directory: Path) -> str:
    """Of all that the newest checkpoint holds, but for how long files of metrics are: figures by the clock vary."""
    from experiment.checkpoint import newest

    _, state, about = newest(directory / "checkpoints")
    found = hashlib.sha256(str(about["steps"]).encode())
    _add(found, {name: part for name, part in state.items() if name != "metrics"}, "")
    return found.hexdigest()


def _add(found: Any, part: Any, path: str) -> None:
    if isinstance(part, dict):
        for name in sorted(part):
            _add(found, part[name], f"{path}/{name}")
    elif isinstance(part, list):
        for index, inner in enumerate(part):
            _add(found, inner, f"{path}/{index}")
    else:
        found.update(path.encode())
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            found.update(repr(part).encode())


def request(name: str, kind: str, seed: int, directory: str) -> list[str]:
    from scripts.faults.trial import script

    config, *changes = RUNS[name]
    more = (*changes, *COMMON, f"seed={seed}", f"runtime.kind={kind}", "runtime.restarts=0")
    return script("train", str(ROOT / "configs" / config), *more, "--run-dir", directory, "--quiet")


def disturbed(place: Path, name: str, kind: str, seed: int, rng: random.Random, suffered: Counter[str]) -> None:
    """Train in place/run to the end, whatever happens on the way."""
    from scripts.faults.accidents import saved
    from scripts.faults.trial import begun, ended, script

    while True:
        fresh = saved(place) < 0
        if fresh:  # killed before its first checkpoint, which it says itself it can't go on from
            shutil.rmtree(place / "run", ignore_errors=True)
        resume = script("train", "--resume", "--run-dir", "run", "--quiet")
        accident = rng.choice((*DRIVER, *RAY) if kind == "ray" else DRIVER)
        moment, early = rng.expovariate(1 / CALM), rng.random() < EARLY
        with begun(place, request(name, kind, seed, "run") if fresh else resume) as process:
            scene = _strikes(place, process, accident, moment, early)
            if scene is None:
                done = ended(place, process, 1200)
                if done.code != 0:
                    raise Broken(f"exit {done.code} without an accident: {done.told[-500:]}")
                return
            suffered[f"{accident.number.name} to {accident.victim}"] += 1
            _end(place, process, accident, scene)


def _strikes(
    place: Path, process: subprocess.Popen[bytes], accident: Accident, moment: float, early: bool
) -> Scene | None:
    """Let an accident happen so many seconds after a process has saved something new, or `early` since it began. None
    where it was over before, or there is no such victim."""
    from scripts.faults.accidents import family

    before, until = _saved(place), time.monotonic() + (0 if early else 300)
    while _saved(place) <= before and time.monotonic() < until and not _over(process):
        time.sleep(0.05)
    until = time.monotonic() + moment
    while time.monotonic() < until and not _over(process):
        time.sleep(0.05)
    started = {process.pid: "driver"} | family(process.pid)
    victims = [pid for pid, known in started.items() if known.startswith(accident.victim)]
    if _over(process) or not victims:
        return None
    scene = Scene(set(started), _saved(place))
    os.kill(victims[0], accident.number)
    return scene


def _saved(place: Path) -> set[str]:
    """Names of the checkpoints."""
    return {path.name for path in (place / "run" / "checkpoints").glob("step_*")}


def _over(process: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(place: Path, process: subprocess.Popen[bytes], accident: Accident, scene: Scene) -> None:
    """What an accident must leave: nobody, and a checkpoint that is intact. One that isn't exact is withdrawn."""
    from scripts.faults.accidents import living, saved
    from scripts.faults.trial import ended

    done = ended(place, process, 120)
    until = time.monotonic() + GONE
    while left := living(scene.alive):
        if time.monotonic() > until:
            raise Broken(f"{len(left)} processes are left {GONE:g} s after {accident}")
        time.sleep(0.1)
    before = max(map(_step, scene.saved), default=-1)
    if saved(place) < before:
        raise Broken(f"step {before} was saved, and {saved(place)} is after {accident}")
    if not accident.exact and done.code != 0:
        for name in _saved(place) - scene.saved:
            shutil.rmtree(place / "run" / "checkpoints" / name)


def _step(name: str) -> int:
    return int(name.removeprefix("step_").partition(".")[0])


def rounds(minutes: float, seed: int) -> Counter[str]:
    """Raises Broken for a promise that was not kept."""
    from scripts.faults.trial import judge, run

    until, rng, suffered, number = time.monotonic() + 60 * minutes, random.Random(seed), Counter[str](), 0
    while number == 0 or time.monotonic() < until:
        name, kind = ("ppo", "dqn")[number % 2], ("local", "ray")[number // 2 % 2]
        with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as made:
            place, began, before = Path(made), time.monotonic(), suffered.total()
            judge(run(place, request(name, "local", seed + number, "whole"), 600), 0)
            disturbed(place, name, kind, seed + number, rng, suffered)
            expected, found = digest(place / "whole"), digest(place / "run")
            if expected != found:
                raise Broken(f"{name} on {kind} actors, seed {seed + number}: {found[:16]} is not {expected[:16]}")
            told = f"{suffered.total() - before} accidents, {time.monotonic() - began:.0f} s"
            print(f"{name} on {kind} actors, seed {seed + number}: {told}: {found[:16]}, as undisturbed", flush=True)
        number += 1
    return suffered


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long; the round under way is finished (60)")
    parser.add_argument("--seed", type=int, default=0, help="decides the accidents, and the first run (0)")
    asked = parser.parse_args(argv)
    from scripts.faults.trial import Unlike

    try:
        suffered = rounds(asked.minutes, asked.seed)
    except (Broken, Unlike) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{count:4} {what}" for what, count in sorted(suffered.items())))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # where scripts.faults is found
    sys.exit(main())

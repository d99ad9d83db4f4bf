"""What Ray costs and what it brings, and how soon the command line answers.

scaling     environment steps/s of two Ray actors against one, where sampling is the work: one millisecond of processor
            time per step, two environments in all (so one actor steps two, or two actors step one each), learning
            reduced to two minibatches. Ray is started anew for each trial, since a process has one cluster.
transport   one Ray actor against the same actor in this process, on that work and (transport-cartpole) on PPO's
            default work. Both do the same environment steps, acting and updates one after the other, so the share of
            Ray's wall time that is neither environment nor learner is 1 - ratio: calls, pickling, the object store,
            copying, waking up. Below 5 % is a ratio above 0.95.
startup     `train.py --help` against an interpreter that does nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.suites.learners import WORKS, peer, trained
from scripts.suites.pairs import Row, Side, Trial, compare, rate

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
SLOW = {
    "algorithm": "ppo",
    "env": {"id": "sparring/Slow-v0", "count": 2, "options": {"milliseconds": 1.0}},
    "rollout": {"steps": 128},
    "learner": {"batch_size": 128, "epochs": 1},
    "compile": "off",
}
COLLECTED = 256  # environment steps of one collection of SLOW


def side(label: str, raw: dict[str, Any], kind: str, actors: int, threads: int, burn_in: int, steps: int) -> Side:
    raw = raw | {"runtime": {"kind": kind, "actors": actors, "threads": threads}}
    return Side(label, lambda: trained(raw, burn_in, steps))


def scaling(pairs: int, threads: int) -> Row:
    peer("ray", "ray")
    two, one = (side(f"{n} Ray actor(s)", SLOW, "ray", n, threads, COLLECTED, 8 * COLLECTED) for n in (2, 1))
    row = compare("scaling", "steps/s", two, one, pairs, fresh=True)
    return row.expect("a ratio of at least 1.7", row.ratio >= 1.7)


def transport(name: str, raw: dict[str, Any], collected: int, collections: int, pairs: int, threads: int) -> Row:
    peer("ray", "ray")
    remote, local = (
        side(label, raw, kind, 1, threads, collected, collections * collected)
        for label, kind in (("1 Ray actor", "ray"), ("1 actor in this process", "local"))
    )
    row = compare(name, "steps/s", remote, local, pairs)
    return row.expect(f"transport below 5 % of wall time; it is {1 - row.ratio:.1%}", row.ratio > 0.95)


def startup(pairs: int, threads: int) -> Row:
    row = compare(
        "startup",
        "starts/s",
        Side("train.py --help", lambda: started(str(TRAIN), "--help")),
        Side("python -c pass", lambda: started("-c", "pass")),
        pairs,
    )
    seconds = 1 / row.rates[0]
    return row.expect(f"help in less than 1 s; it takes {seconds:.2f} s", seconds < 1)


@contextmanager
def started(*arguments: str) -> Iterator[Trial]:
    def start() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    start()  # once before, for the file cache
    yield lambda: rate(1, start)


ROWS: dict[str, Callable[[int, int], Row]] = {
    "scaling": scaling,
    "transport": lambda pairs, threads: transport("transport", SLOW, COLLECTED, 4, pairs, threads),
    "transport-cartpole": lambda pairs, threads: transport(
        "transport-cartpole", WORKS["ppo"].config | {"compile": "on"}, WORKS["ppo"].steps, 1, pairs, threads
    ),
    "startup": startup,
}

"""How a row of the drill is tried: real commands in processes of their own, and what is expected of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CARTPOLE = str(ROOT / "configs" / "ppo" / "cartpole.yaml")
SMALL = (
    "env.count=2", "rollout.steps=64", "learner.batch_size=64", "steps=256", "evaluation.every=0",
    "evaluation.episodes=2", "runtime.restarts=0",
)  # fmt: skip
SECONDS = 120.0  # for whatever should end by itself
MOMENT = 1.5  # seconds of processor time in which a request is refused: most of it goes into imports


class Unlike(Exception):
    """What was seen is not what is right."""


class Absent(Exception):
    """A row can't be tried: a package is not installed, or the machine has no such thing."""


class Fault(NamedTuple):
    """A kind of fault, the shared mechanism that keeps it out, and the tests that hold it: paths below tests/."""

    kind: str
    mended: str
    tests: str


Trial = Callable[[Path], str]  # in a directory of its own; says what was seen, or raises Unlike or Absent


@dataclass(frozen=True)
class Row:
    fault: Fault
    tried: str
    right: str
    trial: Trial

    @property
    def text(self) -> str:
        return f"{self.fault.kind}: {self.tried}: {self.right}"


class Ended(NamedTuple):
    code: int
    told: str  # both streams
    seconds: float  # of processor time, that of children included


def script(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *arguments]


def surroundings() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "400", "OMP_NUM_THREADS": "1"}


@contextmanager
def begun(place: Path, request: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command under way, whose words go to place/told. It is killed in the end."""
    shutil.copy(Path(__file__).with_name("worlds.py"), place / "worlds.py")
    with open(place / "told", "wb") as told:
        process = subprocess.Popen(request, cwd=place, env=surroundings(), stdout=told, stderr=told)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ended(place: Path, process: subprocess.Popen[bytes], within: float = SECONDS) -> Ended:
    """Wait for the end of a command."""
    until = time.monotonic() + within
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > until:
            raise Unlike(f"still runs after {within:g} s; {last((place / 'told').read_text(errors='replace'))}")
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    told = (place / "told").read_text(errors="replace")
    return Ended(process.returncode, told, used.ru_utime + used.ru_stime)


def run(place: Path, request: Sequence[str], within: float = SECONDS) -> Ended:
    with begun(place, request) as process:
        return ended(place, process, within)


def last(told: str) -> str:
    """The message: from the last line that is an error or a warning on, else the last line of words."""
    lines = [line for line in told.replace(f"{ROOT}/", "./").splitlines() if any(map(str.isalpha, line))] or [""]
    marks = [index for index, line in enumerate(lines) if "error: " in line] or [
        index for index, line in enumerate(lines) if line.startswith("warning: ")
    ]
    text = " ".join(lines[marks[-1] :] if marks else lines[-1:])
    return text if len(text) <= 230 else text[:227] + "..."


def require(holds: object, found: str) -> None:
    if not holds:
        raise Unlike(found)


def judge(done: Ended, code: int, *words: str) -> str:
    """What was seen, where a command ended with the code, said the words, and shows no traceback of ours."""
    seen = f"exit {done.code}: {last(done.told)}"
    require(done.code == code, f"{seen} (expected exit {code})")
    for word in words:
        require(word in done.told, f"{seen} (without {word!r})")
    require("Traceback" not in done.told or "SystemExit" in done.told, f"a traceback: {seen}")  # but a world's own
    return seen


def wait_for(holds: Callable[[], object], process: subprocess.Popen[bytes], place: Path, within: float = 180) -> None:
    until = time.monotonic() + within
    while not holds():
        told = last((place / "told").read_text(errors="replace"))
        require(process.poll() is None, f"ended with {process.returncode} too soon: {told}")
        require(time.monotonic() < until, f"nothing happened for {within:g} s: {told}")
        time.sleep(0.05)


def packaged(*modules: str) -> None:
    for module in modules:
        if find_spec(module) is None:
            raise Absent(f"{module} is not installed")


# Trials of one command ------------------------------------------------------------------------------------------------


def refused(request: Sequence[str], *words: str, moment: float = MOMENT) -> Trial:
    """The request is refused with 2, in a moment, and nothing is left of it."""

    def trial(place: Path) -> str:
        done = run(place, request)
        seen = judge(done, 2, *words)
        left = sorted(path.name for path in place.iterdir() if path.name not in ("told", "worlds.py", "__pycache__"))
        require(not left, f"{seen} (left behind: {', '.join(left)})")
        require(done.seconds < moment, f"{seen} (after {done.seconds:.1f} s of processor time)")
        return f"{seen} ({done.seconds:.1f} s)"

    return trial


def ends(code: int, request: Sequence[str], *words: str, needs: Sequence[str] = (), within: float = SECONDS) -> Trial:
    """The command ends with the code and says the words."""

    def trial(place: Path) -> str:
        packaged(*needs)
        return judge(run(place, request, within), code, *words)

    return trial


def train(*changes: str, config: str = CARTPOLE) -> list[str]:
    return script("train", config, *changes, "--run-dir", "run", "--quiet")


def world(name: str, *changes: str, config: str = CARTPOLE) -> list[str]:
    return train("--import", "worlds", f"env.id=fault/{name}-v0", *SMALL, *changes, config=config)

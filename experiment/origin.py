"""Where a run comes from: the code, the machine and the versions that made it. For people; never read back as config.

origin()                            # of this process
note(run.directory)                 # a line of origin.jsonl, for each process that trains here
told(run.directory)                 # the last line, in words
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FILE = "origin.jsonl"
PACKAGES = (
    "sparring", "gymnasium", "numba", "numpy", "pydantic", "ray", "safetensors", "scipy", "tensorboard", "torch",
    "ale-py", "box2d", "mujoco", "open_spiel", "opencv-python-headless", "scikit-learn",
)  # fmt: skip


@cache
def origin() -> dict[str, Any]:
    """Commit (None outside a git checkout), whether files that git knows differ from it, machine, and versions."""
    return {"commit": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain", "-uno"))} | {
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: found for name in PACKAGES if (found := _of(name))},
    }


def machine() -> dict[str, Any]:
    """Processor, how many of them this process may use, memory in bytes, and platform."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"processor": _processor(), "cores": cores, "memory": memory, "platform": platform.platform()}


def note(directory: Path) -> None:
    """Add this process to those that have trained in a run directory. Raises OSError where it can't be written."""
    began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with open(directory / FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps({"began": began} | origin()) + "\n")


def told(directory: Path) -> str:
    """In words, by which code and where a run was last trained; empty where that isn't known."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8").splitlines()[-1])
        commit = f"commit {found['commit'][:12]}" if found["commit"] else f"sparring {found['versions']['sparring']}"
        changed, where = " with changes" if found["dirty"] else "", found["machine"]
        place = f"{where['cores']} cores of {where['processor']}, {where['memory'] / 2**30:.0f} GiB"
        return f"{commit}{changed}, {found['began']}, {place}, torch {found['versions'].get('torch')}"
    except (OSError, LookupError, TypeError, ValueError):  # of another version, or somebody has written there
        return ""


def _git(*arguments: str) -> str | None:
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, or not our repository
        return None
    return done.stdout.strip()


def _of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or one that doesn't say
        return platform.processor() or platform.machine()

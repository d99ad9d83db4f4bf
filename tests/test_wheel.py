"""The built wheel as its users have it: installed elsewhere, without the clone.

Its virtual environment borrows the dependencies of the one the tests run in, through a path file; editable installs are
not looked for along such a path, so whatever is imported of ours comes from the wheel.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.runs import ROOT, raw, write
from tests.test_layering import PACKAGES, modules

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
USE = """
import importlib, json, sys
from contextlib import closing
from functools import partial
from importlib.resources import files

names, config = json.loads(sys.argv[1]), sys.argv[2]
for name in names:
    importlib.import_module(name)

from agents.courses.record import save
from agents.play.server import PAGE
from agents.registry import parse
from agents.restore import load_checkpoint
from agents.solvers.grading import load
from agents.wiring import build, timetable
from envs.games.make import make_game
from experiment.config import dump, read
from experiment.course import drive
from experiment.run import Run

config = parse(read(config))
with closing(build(config)) as course, Run("run", dump(config), resume=False, console="nothing") as run:
    drive(course, run, timetable(config), partial(save, run, config), None)
loaded = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
print(json.dumps({
    "steps": load_checkpoint(run.directory)[2]["steps"],
    "page": sum(len(files("agents.play").joinpath("page", name).read_bytes()) > 0 for name, _ in PAGE.values()),
    "positions": len(load("connect_four_early", make_game("connect_four")).values),
    "loaded": loaded,
}))
"""


def done(command: list[str], cwd: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it may lead to the clone
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def built(project: str, root: Path) -> Path:
    """The wheel of the clone's packages under this pyproject.toml, made in a copy: the clone keeps no build/."""
    for package in (*PACKAGES, "configs"):  # sparring/configs stays the link that it is
        shutil.copytree(ROOT / package, root / package, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    (root / "pyproject.toml").write_text(project)
    done([*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."], root)
    (wheel,) = (root / "dist").iterdir()
    return wheel


def contents(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def installed(wheel: Path, root: Path) -> Path:
    """The interpreter of a new virtual environment that holds the wheel, and sees the dependencies of this one."""
    done([sys.executable, "-m", "venv", "--without-pip", str(root)], root.parent)
    python = root / "bin" / "python"
    done([*PIP, "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)], root)
    (site,) = root.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built((ROOT / "pyproject.toml").read_text(), tmp_path_factory.mktemp("clone"))


def ours() -> set[str]:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*"))
    kept = {str(file.relative_to(ROOT)) for file in files if file.is_file() and "__pycache__" not in file.parts}
    return kept | {f"sparring/{file.relative_to(ROOT)}" for file in (ROOT / "configs").glob("*/*.yaml")}


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_their_data(wheel: Path) -> None:
    assert contents(wheel) == ours()


@pytest.mark.slow
def test_a_file_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    project = (ROOT / "pyproject.toml").read_text().replace('"agents.solvers" = ["positions/*.txt"]\n', "")
    missing = ours() - contents(built(project, tmp_path))
    assert missing == {name for name in ours() if name.endswith(".txt")} != set()


@pytest.mark.slow
def test_the_installed_wheel_trains_somewhere_else(wheel: Path, tmp_path: Path) -> None:
    python, elsewhere = installed(wheel, tmp_path / "venv"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    config = write(elsewhere / "tiny.yaml", raw("ppo_game", steps=256))
    arguments = ["-I", "-c", USE, json.dumps(modules(ROOT)), config.name]
    found = json.loads(done([str(python), *arguments], elsewhere).splitlines()[-1])
    assert found["steps"] == 256
    assert found["page"] == 5 and found["positions"] > 100
    dependencies = Path(sysconfig.get_path("purelib"))
    strange = {Path(file) for file in found["loaded"] if Path(file).is_relative_to(ROOT)}
    assert not {file for file in strange if not file.is_relative_to(dependencies)}
    own = [file for file in found["loaded"] if Path(file).is_relative_to(tmp_path / "venv")]
    assert len(own) == len(modules(ROOT))

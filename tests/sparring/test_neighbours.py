"""Other people's packages of our names, planted on the path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparring.neighbours import HOME, OURS, require_ours


def planted(root: Path, name: str) -> Path:
    """A distribution called foreign-NAME that installs a package NAME."""
    (root / name).mkdir(parents=True)
    (root / name / "__init__.py").write_text("class Agent: ...\n")
    about = root / f"foreign_{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: foreign-{name}\nVersion: 1.0\n")
    (about / "top_level.txt").write_text(f"{name}\n")
    return root


def test_ours_are_ours() -> None:
    require_ours()


@pytest.mark.parametrize("name", ["agents", "envs", "experiment"])
def test_a_foreign_package_is_named_with_its_distribution(name: str, tmp_path: Path) -> None:
    code = f"import sys; sys.path[:0] = [{str(planted(tmp_path, name))!r}, {str(HOME)!r}]; import sparring"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("ImportError: ")]
    assert f"'{name}' is not Sparring's but one of foreign-{name}" in told
    assert f"pip uninstall foreign-{name}" in told and str(tmp_path / name) in told


def test_one_that_was_written_over_ours_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip does with two distributions that install the same package into one place."""
    for name, module in OURS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('"""Ours."""\n')
        (tmp_path / name / module).touch()
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    require_ours(tmp_path)
    (tmp_path / "agents" / "__init__.py").write_text('"""Theirs."""\nfrom .agent import Agent\n')
    with pytest.raises(ImportError, match="'agents' is not Sparring's"):
        require_ours(tmp_path)

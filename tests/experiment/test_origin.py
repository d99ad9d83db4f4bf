from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
import torch

from experiment import origin


def test_each_process_is_a_line(tmp_path: Path) -> None:
    origin.note(tmp_path)
    origin.note(tmp_path)
    first, second = (json.loads(line) for line in (tmp_path / origin.FILE).read_text().splitlines())
    assert first["versions"]["torch"] == torch.__version__
    assert first["versions"]["python"] == platform.python_version()
    assert first["machine"]["cores"] >= 1 and first["machine"]["memory"] > 2**28 and first["machine"]["processor"]
    assert {name: part for name, part in first.items() if name != "began"} == origin.origin()
    assert second["machine"] == first["machine"]


def test_it_is_told_in_a_line(tmp_path: Path) -> None:
    found = {
        "began": "2026-01-02T03:04:05+0000", "commit": "0123456789abcdef", "dirty": True,
        "machine": {"processor": "An Example", "cores": 2, "memory": 24 * 2**30, "platform": "Linux"},
        "versions": {"sparring": "0.1.0", "torch": "2.13.0"},
    }  # fmt: skip
    (tmp_path / origin.FILE).write_text(json.dumps(found) + "\n")
    expected = "commit 0123456789ab with changes, 2026-01-02T03:04:05+0000, 2 cores of An Example, 24 GiB, torch 2.13.0"
    assert origin.told(tmp_path) == expected
    (tmp_path / origin.FILE).write_text(json.dumps(found | {"commit": None, "dirty": False}) + "\n")
    assert origin.told(tmp_path).startswith("sparring 0.1.0, 2026")


@pytest.mark.parametrize("content", [None, "", "{}", "no JSON", '{"commit": 3}', "[]"])
def test_what_is_not_known_is_not_told(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / origin.FILE).write_text(content)
    assert origin.told(tmp_path) == ""


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "__file__", str(tmp_path / "experiment" / "origin.py"))
    assert origin._git("rev-parse", "HEAD") is None

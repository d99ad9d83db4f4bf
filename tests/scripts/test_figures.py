"""The pictures of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.drawings.planning import FIGURES
from scripts.drawings.work import Work, seconds
from scripts.figures import ROOT, figures, main


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_drawn(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--out", str(tmp_path)]) == 0
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith(f"{name}: ")


def test_every_figure_is_in_the_documentation() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert [name for name in figures() if f"(images/{name}.png)" not in pages] == []
    assert [name for name in figures() if not (ROOT / "docs" / "images" / f"{name}.png").is_file()] == []


def test_an_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "no figure nothing; known are policy_iteration" in capsys.readouterr().err


def test_work_is_told_in_words() -> None:
    assert str(Work("3 sweeps", 0.5, 100.0)) == "3 sweeps in 0.5 s; plain Python 100 s, 200x"
    turns: list[int] = []
    assert seconds(lambda: turns.append(1), times=2) >= 0 and len(turns) == 3

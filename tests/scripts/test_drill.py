from __future__ import annotations

from pathlib import Path

import pytest

from scripts import drill
from scripts.drill import main, table, tried
from scripts.faults.rows import KINDS, ROWS
from scripts.faults.trial import ROOT, Absent, Fault, Row, refused, train

KIND = Fault("unclear messages", "what was found, and the way out", "scripts/test_drill.py")
REQUEST = train("--seed", "1")
HOLDS = Row(KIND, "train --seed 1", "exit 2: seed=1", refused(REQUEST, "is set as seed=1"))
BROKEN = Row(KIND, "train --seed 1", "exit 2: seed=2", refused(REQUEST, "is set as seed=2"))


def test_a_row_that_holds_passes_and_one_that_does_not_fails_the_drill(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], [HOLDS, BROKEN]) == 1
    told = capsys.readouterr().out
    assert "2 rows: 1 pass, 1 FAIL" in told
    assert "(without 'is set as seed=2')" in told


def test_what_is_not_here_is_skipped_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    def trial(place: Path) -> str:
        raise Absent("ale_py is not installed")

    assert main([], [Row(KIND, "a", "b", trial)]) == 0
    assert "skipped" in (told := capsys.readouterr().out) and "ale_py is not installed" in told


def test_the_table_goes_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "reliability.md"
    page.write_text("before\n<!-- drill -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(drill, "PAGE", page)
    rows = [Row(kind, "a | b", "c", lambda place: "exit 0: <d>") for kind in (KIND, Fault("codes", "x", "test_a.py"))]
    assert main(["--write"], rows) == 0
    assert page.read_text() == f"before\n<!-- drill -->\n{table(map(tried, rows))}<!-- end -->\nafter\n"
    assert "## Unclear messages\n\nWhat was mended: what was found, and the way out. Held by" in page.read_text()
    assert "| `a \\| b` | c | exit 0: &lt;d> |" in page.read_text()


def test_every_kind_has_a_row_and_no_row_is_there_twice() -> None:
    assert {row.fault for row in ROWS} == set(KINDS)
    assert len({row.text for row in ROWS}) == len(ROWS)
    assert all((ROOT / "tests" / test).is_file() for kind in KINDS for test in kind.tests.split())


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.tried)
def test_it_holds(row: Row) -> None:
    found = tried(row)
    assert found.passed is not False, found.seen

"""Does what was once found broken hold? python scripts/drill.py [WORD ...] [--jobs 2] [--list] [--write]

Every row runs the real commands as their user does, each in a directory of its own, and is compared with what is right:
exit code, message, processor time, and what is left on the disk. With WORDs only the rows run whose text has one of
them. Exit code 1 if a row fails. --write puts the table into docs/reliability.md (a run of all rows only).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scripts.faults.trial import Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- drill -->\n", "<!-- end -->"


class Found(NamedTuple):
    row: Row
    seen: str
    passed: bool | None  # None: what it needs isn't installed
    seconds: float

    @property
    def verdict(self) -> str:
        return {True: "pass", False: "FAIL", None: "skipped"}[self.passed]


def tried(row: Row) -> Found:
    """What came of a row. Its directory goes afterwards."""
    from scripts.faults.trial import Absent, Unlike

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="drill-", ignore_cleanup_errors=True) as place:
        try:
            seen, passed = row.trial(Path(place)), True
        except Unlike as error:
            seen, passed = str(error), False
        except Absent as error:
            return Found(row, str(error), None, time.monotonic() - began)
    return Found(row, seen, passed, time.monotonic() - began)


def drill(rows: Sequence[Row], jobs: int) -> Iterable[Found]:
    """Each row's result, in order."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(tried, rows)


def table(found: Iterable[Found]) -> str:
    """As Markdown: one table for each kind of fault."""
    lines: list[str] = []
    kind = ""
    for row, seen, *_ in found:
        if row.fault.kind != kind:
            kind = row.fault.kind
            lines += ["", f"## {kind[0].upper()}{kind[1:]}", ""]
            held = ", ".join(f"[{test}](../tests/{test})" for test in row.fault.tests.split())
            lines += [f"What was mended: {row.fault.mended}. Held by {held}.", ""]
            lines += ["| tried | expected | seen |", "| --- | --- | --- |"]
        lines.append(f"| `{_cell(row.tried)}` | {_cell(row.right)} | {_cell(seen)} |")
    return "\n".join([*lines[1:], ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def write(found: Sequence[Found]) -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(found)}{END}{after}", encoding="utf-8")


def show(result: Found) -> None:
    print(f"{result.verdict:8} {result.seconds:5.1f} s  {result.row.fault.kind}: {result.row.tried}")
    print(f"{'':18}expected {result.row.right}\n{'':18}seen     {' '.join(result.seen.split())}", flush=True)


def main(argv: list[str] | None = None, rows: Sequence[Row] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="run only rows that have one of these in their text")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="rows at a time (2)")
    parser.add_argument("--list", action="store_true", help="print the rows and run none")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    asked = parser.parse_args(argv)
    if rows is None:
        from scripts.faults.rows import ROWS

        rows = ROWS
    chosen = [row for row in rows if not asked.words or any(word in row.text for word in asked.words)]
    if not chosen or (asked.write and asked.words):
        parser.error("no row has such a word" if not chosen else "--write is of all rows: leave the words out")
    if asked.list:
        print("\n".join(row.text for row in chosen))
        return 0
    found = []
    for result in drill(chosen, asked.jobs):
        show(result)
        found.append(result)
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in ("pass", "FAIL", "skipped")}
    print(f"\n{len(found)} rows: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
    if asked.write and not counts["FAIL"]:
        write(found)
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where scripts.faults is found
    sys.exit(main())

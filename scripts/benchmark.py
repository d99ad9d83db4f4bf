"""Measure our speed against others', side by side: python scripts/benchmark.py SUITE [--only ROW ...] [--json FILE]

Suites: learners (training, against Stable-Baselines3 and RLlib), fleet (Ray actors, start-up), gpu (updates on CUDA),
regret (solving games, against OpenSpiel and LiteEFG), games (playing them, against OpenSpiel, and pgx with mctx),
arena (matches), networks (dreams of a population, against one controller at a time), wallclock (whole processes,
against Stable-Baselines3).
Both sides do the same work in the same process, in turns. Start-up, compiling and burn-in are shown beside the rates.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.suites.pairs import Row

SUITES = ("learners", "fleet", "gpu", "regret", "games", "arena", "networks", "wallclock")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES, metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--only", nargs="+", metavar="ROW", help="measure these rows of the suite (default: all)")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="turns of each side (5)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="torch and BLAS threads of both sides (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file too")
    asked = parser.parse_args(argv)
    if min(asked.pairs, asked.threads) < 1:
        parser.error("--pairs and --threads are at least 1")
    if asked.json is not None and not asked.json.parent.is_dir():
        parser.error(f"--json {asked.json}: {asked.json.parent} is no directory")
    return asked


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    for library in ("OMP", "OPENBLAS", "MKL"):  # read when numpy and torch are loaded, here and in Ray's processes
        os.environ[f"{library}_NUM_THREADS"] = str(asked.threads)
    suite = importlib.import_module(f"scripts.suites.{asked.suite}")
    from scripts.suites.pairs import Absent

    if unknown := set(asked.only or ()) - set(suite.ROWS):
        print(
            f"error: {asked.suite} has no row {', '.join(sorted(unknown))}; it has {', '.join(suite.ROWS)}",
            file=sys.stderr,
        )
        return 2
    from supervised.accelerate import use_cpu

    use_cpu(asked.threads)
    setting = {"pairs": asked.pairs, "threads": asked.threads} | machine()
    print(", ".join(f"{key} {value}" for key, value in setting.items()), flush=True)
    rows, absent = [], {}
    for name in asked.only or suite.ROWS:
        try:
            rows.append(suite.ROWS[name](asked.pairs, asked.threads))
            print(line(rows[-1]), flush=True)
        except Absent as reason:
            absent[name] = str(reason)
            print(f"{name}: not measured: {reason}", flush=True)
    if asked.json is not None:
        found = {"suite": asked.suite, **setting, "rows": [row.record() for row in rows], "absent": absent}
        asked.json.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    return 0


def line(row: Row) -> str:
    """A row in words: both rates, the ratio with its interval, what start-up took, and how far the floor is."""
    interval = "" if row.interval is None else f" [{row.interval.low:.2f}, {row.interval.high:.2f}]"
    text = (
        f"{row.name}: {row.ratio:.2f}x{interval}\n"
        f"    {row.ours}: {row.rates[0]:,.4g} {row.unit}, after {row.startup[0]:.1f} s of start-up\n"
        f"    {row.theirs}: {row.rates[1]:,.4g} {row.unit}, after {row.startup[1]:.1f} s of start-up"
    )
    if row.floor is not None:
        label, best = row.floor
        text += f"\n    {row.rates[0] / best:.0%} of the floor ({label}): {best:,.4g} {row.unit}"
    if row.met is not None:
        text += f"\n    asked: {row.asked}: {'met' if row.met else 'NOT met'}"
    return text


def machine() -> dict[str, Any]:
    libraries = {name: version(name) for name in ("torch", "numpy")}
    return {"python": platform.python_version(), "processors": os.cpu_count(), "load": os.getloadavg()[0]} | libraries


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where scripts.suites is found
    sys.exit(main())

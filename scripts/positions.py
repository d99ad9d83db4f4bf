"""Write the sets of graded connect four positions: agents/solvers/positions/connect_four_*.txt

    python scripts/positions.py late middle early

A set has 500 positions with the exact value of every move. The early one takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

PLIES = {"early": range(6, 14), "middle": range(14, 24), "late": range(24, 36)}  # moves made before a position
COUNTS = {1: 250, 0: 150, -1: 100}  # won, drawn and lost for the mover


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", metavar="PART", choices=PLIES, help="early, middle or late")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="decides the positions (0)")
    parser.add_argument("--to", metavar="DIR", type=Path, help="where to write (default: into the package)")
    parser.add_argument(
        "--bits", metavar="N", type=int, default=23, help="the solver's table has 2**(N + 1) entries (23)"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    from agents.solvers.connect_four_solver import ConnectFourSolver
    from agents.solvers.grading import HOME, compose, write
    from envs.games.make import make_game
    from experiment.seeding import Seeds

    home = asked.to or HOME
    if not home.is_dir():
        print(f"error: {home} is no directory", file=sys.stderr)
        return 2
    solver = ConnectFourSolver(make_game("connect_four"), asked.bits)
    for part in asked.parts:
        begin = time.perf_counter()
        lines = compose(solver, PLIES[part], COUNTS, Seeds(asked.seed).generator("positions", part))
        about = [f"connect_four: {len(lines)} positions after {PLIES[part][0]} to {PLIES[part][-1]} moves"]
        about += ["the moves so far, then for each column: + wins, = draws, - loses, . is full"]
        about += [f"python scripts/positions.py {part} --seed {asked.seed}"]
        file = home / f"connect_four_{part}.txt"
        file.write_text(write(lines, about), encoding="ascii")
        print(f"{file}: {len(lines)} positions, {time.perf_counter() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

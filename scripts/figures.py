"""Compute and draw the pictures of the documentation: python scripts/figures.py [FIGURE ...] [--out DIR]

Printed beside each: what was computed in which time, and what loops in plain Python would have taken.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from experiment.extras import require

ROOT = Path(__file__).resolve().parents[1]
DRAWINGS = ("planning", "testbed", "samples", "optimizers", "generalization")  # modules of scripts/drawings


def figures() -> dict[str, Any]:
    """By name: a function that draws on a matplotlib figure and returns its `Work`, and the size in inches."""
    found: dict[str, Any] = {}
    for module in DRAWINGS:
        found |= importlib.import_module(f"scripts.drawings.{module}").FIGURES
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="which (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", metavar="DIR", help="docs/images")
    asked = parser.parse_args(argv)
    try:
        require("matplotlib", "plot", "a picture")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    known = figures()
    if unknown := set(asked.figures) - set(known):
        print(f"error: no figure {', '.join(sorted(unknown))}; known are {', '.join(known)}", file=sys.stderr)
        return 2
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for name in asked.figures or known:
        draw, size = known[name]
        figure = pyplot.figure(figsize=size, layout="constrained")
        print(f"{name}: {draw(figure)}", flush=True)
        figure.savefig(asked.out / f"{name}.png", dpi=90)
        pyplot.close(figure)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # where scripts.drawings is found
    sys.exit(main())

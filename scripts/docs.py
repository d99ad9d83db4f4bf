"""Write the tables of options into the documentation: python scripts/docs.py [--check]

A table stands between `<!-- options: NAME -->` and `<!-- end -->`, NAME an algorithm; `<!-- options: NAME KEY -->` has
only the keys that begin so. It is made of the help texts of the algorithm's config. --check writes nothing, and exits
with 1 if a table is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from agents.registry import algorithm
from experiment.config import ConfigError, table

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- options: (\w+) ?(\w*) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """A page with its tables as they should be. Raises ConfigError for an unknown algorithm."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{table(algorithm(block[2]).config, block[3])}\n\n{block[4]}", text)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="default: README.md and docs/*.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a table is out of date")
    asked = parser.parse_args(argv)
    stale = []
    try:
        for page in asked.pages or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            text = page.read_text(encoding="utf-8")
            if (current := written(text)) != text:
                stale.append(page)
                if not asked.check:
                    page.write_text(current, encoding="utf-8")
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for page in stale:
        print(f"{page}: {'out of date; run make docs' if asked.check else 'written'}")
    return 1 if asked.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the tables of options and of algorithms into the documentation: python scripts/docs.py [--check]

`<!-- options: NAME -->` to `<!-- end -->` holds the options of an algorithm, made of the help texts of its config; the
page it stands on is the algorithm's page. `<!-- options: NAME KEY -->` holds those of the keys that begin so. Options
of APART, which many algorithms have, are on the page that is named there alone.
`<!-- algorithms -->` to `<!-- end -->` lists all algorithms, one a line.
--check writes nothing, and exits with 1 if a table is out of date.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path

from agents.registry import ALGORITHMS, Entry, algorithm
from experiment.config import Config, ConfigError, read, table

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- (?:options: (\w+) ?([\w.]*)|algorithms) -->\n).*?(<!-- end -->)", re.DOTALL)
PAPER = re.compile(r"((?:(?:van|von|de) )?[A-Z][^(),;:\n]* \d{4}),\s+(https?://[^\s(),;]+)")
RUN = re.compile(r"python scripts/train\.py (configs/\S+\.yaml)")

APART = {"network.torso.": "networks.md", "rewards[].": "rewards.md"}


def pages() -> dict[str, Path]:
    """By algorithm, where its options are."""
    files = sorted((ROOT / "docs").glob("*.md"))
    return {
        block[2]: file
        for file in files
        for block in BLOCK.finditer(file.read_text(encoding="utf-8"))
        if block[2] and not block[3]
    }


def paper(docstring: str) -> str:
    """A link to the first paper that a docstring cites as `Authors YEAR, ADDRESS`; empty if there is none."""
    found = PAPER.search(docstring)
    return f"[{found[1]}]({found[2].rstrip('.')})" if found else ""


def row(name: str, entry: Entry, page: Path) -> tuple[str, ...]:
    """Family, link to the page, what it is, paper, and the first run of it that its page shows."""
    family = entry.module.split(".")[1].replace("_", " ")
    about = entry.config.model_fields["algorithm"].description or ""
    runs = RUN.finditer(page.read_text(encoding="utf-8"))
    run = next((run for run in runs if read(ROOT / run[1])["algorithm"] == name), None)
    cites = paper(importlib.import_module(entry.module).__doc__ or "")
    return family, f"[{name}]({page.name})", about, cites, f"`{run[0]}`" if run else ""


def algorithms() -> str:
    """All algorithms that have a page as a Markdown table, in the order of the registry."""
    found = pages()
    rows: list[tuple[str, ...]] = [("family", "algorithm", "what it is", "paper", "a run"), ("---",) * 5]
    rows += [row(name, entry, found[name]) for name, entry in ALGORITHMS.items() if name in found]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def options(config: type[Config], under: str) -> str:
    """The table of options; those that stand elsewhere are left out of the whole one, which says where they are."""
    if under:
        return table(config, under)
    lines = table(config).splitlines()
    kept = [line for line in lines if not line.startswith(tuple(f"| `{key}" for key in APART))]
    told = [
        f"\nThose of `{key}` are in [{page}]({page})." for key, page in APART.items() if f"| `{key}" in "\n".join(lines)
    ]
    return "\n".join(kept + told)


def written(text: str) -> str:
    """A page with its tables as they should be. Raises ConfigError for an unknown algorithm."""

    def made(block: re.Match[str]) -> str:
        shown = options(algorithm(block[2]).config, block[3]) if block[2] else algorithms()
        return f"{block[1]}\n{shown}\n\n{block[4]}"

    return BLOCK.sub(made, text)


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

"""Whether the packages beside this one are ours: their names are short, and other distributions install them too."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]

# A package of each name, and a module that only ours has: others may have written into the same directory.
OURS = {
    "agents": "wiring.py",
    "envs": "turn_env.py",
    "experiment": "extensions.py",
    "generative": "saddles.py",
    "supervised": "trained.py",
}


def require_ours(home: Path = HOME) -> None:
    """Raises ImportError where Python finds another distribution's package in place of one that lies in `home`."""
    for name, module in OURS.items():
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent if spec is not None and spec.origin is not None else None
        if found == home / name and (found / module).is_file() and _is_intact(found):
            continue
        others = sorted(set(packages_distributions().get(name, [])) - {"sparring"})
        whose = f"of {' or '.join(others)}" if others else "of no installed distribution"
        raise ImportError(
            f"the package {name!r} is not Sparring's but one {whose}: found {found or 'nothing'}, expected "
            f"{home / name}. Install Sparring in a virtual environment of its own, or "
            + (f"pip uninstall {' '.join(others)} and install Sparring again" if others else "move the other one away")
        )


def _is_intact(package: Path) -> bool:
    """Whether the package's first file is the docstring that ours is, and no other distribution's code."""
    lines = (package / "__init__.py").read_text(encoding="utf-8").splitlines()
    return len(lines) == 1 and lines[0].startswith('"""')

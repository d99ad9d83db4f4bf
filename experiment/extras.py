"""Packages that not everybody installs: whoever needs one asks before it begins.

require("matplotlib", "plot", "scripts/plot.py")
"""

from __future__ import annotations

from importlib.util import find_spec


def require(module: str, extra: str, what: str) -> None:
    """Raises ValueError, with the extra to install, where `what` can't work without a module that isn't there."""
    try:
        there = find_spec(module) is not None
    except ValueError:  # None stands in its place in sys.modules
        there = False
    if not there:
        raise ValueError(f"{what} needs {module}, which is not installed: pip install 'sparring[{extra}]'")

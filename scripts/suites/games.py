"""Games: random play in `scripts/suites/random_play.py`."""

from __future__ import annotations

from collections.abc import Callable

from scripts.suites import random_play
from scripts.suites.pairs import Row

ROWS: dict[str, Callable[[int, int], Row]] = {**random_play.ROWS}

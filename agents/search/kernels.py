"""Compiled code of the search. Its cache on disk is void when any file of KERNELS or of the games changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

from envs.games import rules

KERNELS = (
    "streams", "tree", "gumbel", "selection", "descent", "rollouts", "leaves", "native", "adapted", "result",
    "evaluators",
)  # fmt: skip
_HERE, _GAMES = Path(__file__).parent, Path(rules.__file__).parent
_SOURCES = [*(_HERE / f"{name}.py" for name in KERNELS), *sorted(_GAMES.glob("*.py"))]
_STAMPS = [(path.stat().st_mtime, path.stat().st_size) for path in _SOURCES]
# A tree is fifteen arrays, which are slow to hand over: inlined, the same search is nearly twice as fast.
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}


def kernel(function: Callable[..., Any]) -> Any:
    """Compiled by numba, which by itself would look at the file of `function` only."""
    return _stamped(njit(cache=True)(function))


def inner(function: Callable[..., Any]) -> Any:
    """A kernel that only kernels call, and that becomes a part of each of them."""
    return _stamped(njit(cache=True, **_INNER)(function))


def _stamped(compiled: Any) -> Any:
    cache = getattr(compiled, "_cache", None)  # absent under NUMBA_DISABLE_JIT
    if cache is not None:
        cache._cache_file._source_stamp = (cache._cache_file._source_stamp, *_STAMPS)
    return compiled

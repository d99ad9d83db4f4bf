"""Compiled by numba, with a cache on disk that is void when any file changes that the code is made of.

    kernel = compiler(sorted(Path(__file__).parent.glob("*.py")))

    @kernel
    def total(values): ...

By itself numba looks at the file of the function only, and would go on with old kernels that were compiled into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numba import njit

STREAMS = Path(__file__).with_name("streams.py")  # a source of whatever draws from streams
# Of a function that makes no arrays (views are fine), and that becomes a part of whoever calls it. Numba then need not
# count references to the arrays that it hands on, which costs more than many such functions do.
INLINED: dict[str, Any] = {"_nrt": False, "forceinline": True}


def compiler(sources: Iterable[Path], **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles. sources: the files whose functions are compiled into those that it is given."""
    stamps = [(source.stat().st_mtime, source.stat().st_size) for source in sources]

    def compile(function: Callable[..., Any]) -> Any:
        compiled = njit(cache=True, **options)(function)
        cache = getattr(compiled, "_cache", None)  # absent under NUMBA_DISABLE_JIT
        if cache is not None:
            cache._cache_file._source_stamp = (cache._cache_file._source_stamp, *stamps)
            cache._cache_file._load_index = _tolerant(cache._cache_file._load_index)
        return compiled

    return compile


def _tolerant(load: Callable[[], dict[Any, Any]]) -> Callable[[], dict[Any, Any]]:
    """Where a class has gone whose name an old cache holds, numba fails in place of compiling anew."""

    def index() -> dict[Any, Any]:
        try:
            return load()
        except (AttributeError, ImportError):
            return {}

    return index

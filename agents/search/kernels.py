"""Compiled code of the search. Its cache on disk is void when any file of KERNELS or of the games changes."""

from __future__ import annotations

from pathlib import Path

from envs.compiled import STREAMS, compiler
from envs.games import rules

KERNELS = (
    "tree", "gumbel", "selection", "descent", "rollouts", "leaves", "native", "adapted", "result", "evaluators"
)  # fmt: skip
_HERE, _GAMES = Path(__file__).parent, Path(rules.__file__).parent
_SOURCES = [*(_HERE / f"{name}.py" for name in KERNELS), *sorted(_GAMES.glob("*.py")), STREAMS]

kernel = compiler(_SOURCES)
# A kernel that only kernels call, and that becomes a part of each of them. A tree is fifteen arrays, which are slow to
# hand over: inlined, the same search is nearly twice as fast.
inner = compiler(_SOURCES, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)

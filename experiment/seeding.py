"""Named random streams, all grown from one seed.

    seeds = Seeds(7)
    rng = seeds.generator("actor", 0, "policy")     # the same stream in every process, in any order of calls
    seed = seeds.integer("env", 3)                  # for what wants a number: Gymnasium, torch.Generator

Components that are added later, or made in another order, leave the streams of the others as they were.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

Name = str | int


@dataclass(frozen=True)
class Seeds:
    """Independent random streams by name. `seed` is any non-negative integer."""

    seed: int

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"a seed is a non-negative integer, not {self.seed!r}")

    def generator(self, *names: Name) -> np.random.Generator:
        """A fresh generator at the start of the stream of these names."""
        return np.random.Generator(np.random.PCG64(self._sequence("generator", names)))

    def integer(self, *names: Name) -> int:
        """A number in [0, 2**63) that belongs to these names."""
        return int(self._sequence("integer", names).generate_state(1, np.uint64)[0]) >> 1

    def _sequence(self, kind: str, names: tuple[Name, ...]) -> np.random.SeedSequence:
        # `kind` keeps integer("x") from being the first word that seeds generator("x").
        return np.random.SeedSequence(self.seed, spawn_key=_words(kind, names))


def _words(kind: str, names: tuple[Name, ...]) -> tuple[int, ...]:
    """Four 32-bit words from the names: stable across processes and machines, unlike `hash`."""
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise TypeError(f"a stream is named by str and int, not {name!r}")
    # JSON keeps 1 apart from "1" and ("a", "b") apart from ("ab",).
    digest = hashlib.blake2b(json.dumps([kind, *names]).encode(), digest_size=16).digest()
    return tuple(int(word) for word in np.frombuffer(digest, dtype="<u4"))

"""Rows that tell their number, experience that consists of them, and whether two records are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.records import Episodes, Experience, Transition
from envs.api import Array


def experience(rows: Any, actor: int = 0) -> Experience:
    return Experience(rows, steps=0, episodes=Episodes([], []), version=0, actor=actor)


def rows_of(numbers: Array, masked: bool = False) -> Transition:
    """CartPole-sized rows that tell their number in every field."""
    numbers = np.asarray(numbers)
    obs = np.repeat(numbers[:, None], 4, 1).astype(np.float32)
    mask = np.stack([numbers % 2 == 0, numbers % 3 == 0], 1) if masked else None
    return Transition(obs, numbers.astype(np.int64), obs[:, 0] / 2, obs[:, 0] / 4, obs + 1, mask)


def assert_equal(a: Any, b: Any) -> None:
    """Two NamedTuples of arrays, bit for bit, dtypes included."""
    assert type(a) is type(b)
    for name, x, y in zip(a._fields, a, b, strict=True):
        assert (x is None) == (y is None), name
        if isinstance(x, dict):
            assert x.keys() == y.keys() and all((x[key] == y[key]).all() for key in x), name
        elif x is not None:
            assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x, y, err_msg=name)

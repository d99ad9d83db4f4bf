"""Small data sets that ship with scikit-learn, as rows to learn from and rows to measure by.

    data = dataset("digits", held_out=0.2, rng=np.random.default_rng(0))
    data.train.inputs     # [1437, 64] float32
    data.train.targets    # [1437] int64
    data.classes          # 10

Which rows are held out is up to `rng` alone. scikit-learn is loaded when a set is asked for.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Name = Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]


class Labelled(NamedTuple):
    inputs: Array  # [n, F] float32
    targets: Array  # [n] int64, classes from 0 on; or numbers, [n, D] float32


class Data(NamedTuple):
    """Numbers are in units of the training rows' deviation, from their mean on: so a constant predicts with a mean
    squared error of about 1."""

    train: Labelled
    held_out: Labelled
    classes: int | None  # how many; None where the targets are numbers


def dataset(name: Name, held_out: float, rng: np.random.Generator, fold: int = 0, columns: bool = True) -> Data:
    """The set of this name, split and standardized. held_out: the fraction that isn't learned from; fold: which one.
    columns: each by itself; else all inputs are divided by one number, so that those of pictures stay comparable.

    Raises ValueError where there is no scikit-learn, and where nothing would be left on one side.
    """
    rows = read(name)
    train, rest = split(rows, held_out, rng, fold)
    classes = None if rows.targets.ndim > 1 else int(rows.targets.max()) + 1
    inputs = (standardized if columns else scaled)(train.inputs, rest.inputs)
    targets = standardized(train.targets, rest.targets) if classes is None else (train.targets, rest.targets)
    return Data(Labelled(inputs[0], targets[0]), Labelled(inputs[1], targets[1]), classes)


def read(name: Name) -> Labelled:
    """All rows of a set, as they were measured."""
    loader = getattr(_scikit_learn(), f"load_{name}")
    options = {"scaled": False} if name == "diabetes" else {}  # else it comes standardized by all rows
    inputs, targets = loader(return_X_y=True, **options)
    numbers = targets.astype(np.float32)[:, None] if name == "diabetes" else targets.astype(np.int64)
    return Labelled(inputs.astype(np.float32), numbers)


def split(rows: Labelled, fraction: float, rng: np.random.Generator, fold: int = 0) -> tuple[Labelled, Labelled]:
    """Training rows, and as many held out as `fraction` of all, in random order. By the same numbers of `rng`, those
    held out in folds 0, 1, ... are other rows, as long as there are some, so that folds cross-validate: each row
    is held out in one of n folds if the fraction is 1 / n. Raises ValueError where either are none, or there is no such
    fold.
    """
    n = len(rows.inputs)
    first, last = round(n * fraction * fold), round(n * fraction * (fold + 1))
    if not 0 < last - first < n:
        raise ValueError(
            f"{fraction} of {n} rows are {last - first} held out and {n - last + first} to learn from: need both"
        )
    if last > n:
        raise ValueError(f"fold: found {fold}, but with {fraction} of the rows in each there are {int(1 / fraction)}")
    order = rng.permutation(n)
    train, rest = np.concatenate([order[last:], order[:first]]), order[first:last]
    return Labelled(*(column[train] for column in rows)), Labelled(*(column[rest] for column in rows))


def standardized(train: Array, rest: Array) -> tuple[Array, Array]:
    """Both, less the mean and over the deviation of each column of `train`; a column that is constant there is only
    shifted."""
    mean, deviation = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    deviation[deviation == 0] = 1
    first, second = (((part - mean) / deviation).astype(np.float32) for part in (train, rest))
    return first, second


def scaled(train: Array, rest: Array) -> tuple[Array, Array]:
    """Both over the largest number of `train`."""
    most = np.abs(train).max() or 1
    return train / most, rest / most


def _scikit_learn() -> ModuleType:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ValueError(
            "the data sets come with scikit-learn, which isn't here: pip install 'sparring[data]'"
        ) from error
    found: ModuleType = datasets
    return found

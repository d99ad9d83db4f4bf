"""Small data sets that ship with scikit-learn, and one's own arrays, as rows to learn from and rows to measure by.

    data = dataset("digits", held_out=0.2, rng=np.random.default_rng(0))
    data.train.inputs     # [1437, 64] float32
    data.train.targets    # [1437] int64
    data.classes          # 10

Which rows are held out is up to `rng` alone. scikit-learn is loaded when a set is asked for.
"""

from __future__ import annotations

import zipfile
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


def dataset(name: str, held_out: float, rng: np.random.Generator, fold: int = 0, columns: bool = True) -> Data:
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


def read(name: str) -> Labelled:
    """All rows of a set, as they were measured; or those in a file of arrays, FILE.npz. Raises ValueError where there
    is no such file, or it holds something else."""
    if name.endswith(".npz"):
        return _arrays(name)
    loader = getattr(_scikit_learn(), f"load_{name}")
    options = {"scaled": False} if name == "diabetes" else {}  # else it comes standardized by all rows
    inputs, targets = loader(return_X_y=True, **options)
    numbers = targets.astype(np.float32)[:, None] if name == "diabetes" else targets.astype(np.int64)
    return Labelled(inputs.astype(np.float32), numbers)


def _arrays(file: str) -> Labelled:
    """`inputs` [n, ...], each row in a line; and `targets`, of integers [n] classes, else numbers [n] or [n, D]."""
    try:
        with np.load(file) as found:
            inputs, targets = found["inputs"], found["targets"]
        inputs = inputs.reshape(len(inputs), -1).astype(np.float32)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} can't be read as arrays `inputs` and `targets`: {error}") from error
    classes = targets.dtype.kind in "iu" and targets.ndim == 1
    if not classes:
        targets = targets.reshape(len(targets), -1) if targets.ndim and targets.dtype.kind in "fiu" else targets
    if len(inputs) != len(np.atleast_1d(targets)) or not (classes or targets.ndim == 2):
        raise ValueError(
            f"{file}: targets are {targets.dtype} {list(targets.shape)} beside {len(inputs)} inputs; expected as many, "
            "of integers (classes) or floating-point numbers"
        )
    if classes and targets.min(initial=0) < 0:
        raise ValueError(f"{file}: a class is {targets.min()}; expected 0 and more")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ValueError(f"{file}: a number is not finite")
    return Labelled(inputs, targets.astype(np.int64 if classes else np.float32))


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

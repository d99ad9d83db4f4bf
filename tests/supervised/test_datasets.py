"""Data sets: shapes, a split by the seed, and statistics of the training rows alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from supervised.datasets import Array, Data, Labelled, Name, dataset, read, scaled, split, standardized

SHAPES: dict[Name, tuple[int, int, int | None]] = {
    "breast_cancer": (569, 30, 2),
    "diabetes": (442, 10, None),
    "digits": (1797, 64, 10),
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
}


def drawn(name: Name, seed: int = 0) -> Data:
    pytest.importorskip("sklearn")
    return dataset(name, 0.2, np.random.default_rng(seed))


def joined(train: Array, rest: Array) -> list[list[float]]:
    """The rows of both, in an order that doesn't depend on which is which."""
    return sorted(np.concatenate([train, rest]).tolist())


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_types(name: Name) -> None:
    (train, held_out, classes), (rows, features, expected) = drawn(name), SHAPES[name]
    assert (len(held_out.inputs), len(train.inputs)) == (round(rows / 5), rows - round(rows / 5))
    assert classes == expected
    for part in (train, held_out):
        assert (part.inputs.dtype.name, part.inputs.shape[1:]) == ("float32", (features,))
        if classes is None:
            assert (part.targets.dtype.name, part.targets.shape[1:]) == ("float32", (1,))
        else:
            assert (part.targets.dtype.name, part.targets.ndim) == ("int64", 1)
            assert set(part.targets.tolist()) == set(range(classes))


def test_every_name_is_tested() -> None:
    assert set(SHAPES) == set(get_args(Name))


@pytest.mark.parametrize("name", SHAPES)
def test_the_training_rows_are_standardized_and_know_nothing_of_the_others(name: Name) -> None:
    train, held_out, classes = drawn(name)
    columns = [(train.inputs, held_out.inputs)] + ([(train.targets, held_out.targets)] if classes is None else [])
    for learned, rest in columns:
        np.testing.assert_allclose(learned.mean(0), 0, atol=1e-5)
        deviation = learned.std(0, dtype=np.float64)
        assert ((deviation == 0) | (abs(deviation - 1) < 1e-4)).all()
        assert abs(rest.mean(0)).max() > 1e-3, "by statistics of all rows these would be nearer to 0"


def test_the_diabetes_rows_are_read_as_they_were_measured() -> None:
    """scikit-learn would standardize them by all rows, those held out among them."""
    pytest.importorskip("sklearn")
    assert read("diabetes").inputs[:, 0].max() == 79  # years


def test_the_seed_alone_decides_what_is_held_out() -> None:
    one, same, other = drawn("wine", 0), drawn("wine", 0), drawn("wine", 1)
    np.testing.assert_array_equal(one.held_out.targets, same.held_out.targets)
    np.testing.assert_array_equal(one.train.inputs, same.train.inputs)
    assert (one.held_out.targets != other.held_out.targets).any()


def test_a_split_loses_no_row_and_keeps_inputs_with_their_targets() -> None:
    rows = Labelled(np.arange(10, dtype=np.float32)[:, None], np.arange(10))
    train, held_out = split(rows, 0.3, np.random.default_rng(0))
    assert len(held_out.targets) == 3
    assert joined(train.inputs, held_out.inputs) == rows.inputs.tolist()
    for part in (train, held_out):
        np.testing.assert_array_equal(part.inputs[:, 0], part.targets)


@pytest.mark.parametrize("n", [10, 13])
def test_folds_hold_out_every_row_once(n: int) -> None:
    rows = Labelled(np.arange(n, dtype=np.float32)[:, None], np.arange(n))
    folds = [split(rows, 1 / 4, np.random.default_rng(0), fold) for fold in range(4)]
    assert sorted(row for _, rest in folds for row in rest.targets) == list(range(n))
    for train, rest in folds:
        assert sorted([*train.targets, *rest.targets]) == list(range(n))
    with pytest.raises(ValueError, match="fold: found 4, but with 0.25 of the rows in each there are 4"):
        split(rows, 1 / 4, np.random.default_rng(0), 4)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_both_sides_need_rows(fraction: float) -> None:
    rows = Labelled(np.zeros((10, 1), np.float32), np.zeros(10, np.int64))
    with pytest.raises(ValueError, match="of 10 rows"):
        split(rows, fraction, np.random.default_rng(0))


def test_what_is_divided_by_one_number_stays_comparable() -> None:
    train, rest = scaled(np.array([[4.0, -8.0]]), np.array([[16.0, 2.0]]))
    assert (train.tolist(), rest.tolist()) == ([[0.5, -1.0]], [[2.0, 0.25]])


def test_a_column_that_is_constant_is_only_shifted() -> None:
    train, rest = standardized(np.array([[5.0], [5.0]]), np.array([[7.0]]))
    assert train.tolist() == [[0.0], [0.0]] and rest.tolist() == [[2.0]]


def test_what_is_missing_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError, match=r"scikit-learn.*pip install 'sparring\[data\]'"):
        dataset("iris", 0.2, np.random.default_rng(0))


def saved(tmp_path: Path, **arrays: Any) -> str:
    np.savez(tmp_path / "own.npz", **arrays)
    return str(tmp_path / "own.npz")


def test_arrays_of_ones_own_are_read(tmp_path: Path) -> None:
    pictures, classes = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2), np.array([0, 2, 1, 0, 1, 2], np.int8)
    rows = read(saved(tmp_path, inputs=pictures, targets=classes))
    assert (rows.inputs.dtype.name, rows.inputs.shape, rows.targets.dtype.name) == ("float32", (6, 4), "int64")
    np.testing.assert_array_equal(rows.targets, classes)
    file = saved(tmp_path, inputs=pictures, targets=np.arange(6.0))
    assert read(file).targets.tolist() == [[0], [1], [2], [3], [4], [5]]
    assert dataset(file, 0.5, np.random.default_rng(0)).classes is None


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"inputs": np.zeros((3, 1))}, "can't be read as arrays `inputs` and `targets`: .*targets"),
        ({"inputs": np.zeros((3, 1)), "targets": np.zeros(2, int)}, r"int64 \[2\] beside 3 inputs"),
        ({"inputs": np.zeros((3, 1)), "targets": np.array(["a", "b", "c"])}, "floating-point numbers"),
        ({"inputs": np.array(["a", "b"]), "targets": np.zeros(2, int)}, "can't be read"),
        ({"inputs": np.zeros((3, 1)), "targets": np.array([0, 1, -1])}, "a class is -1"),
        ({"inputs": np.full((3, 1), np.nan), "targets": np.zeros(3, int)}, "not finite"),
        ({"inputs": np.zeros((3, 1)), "targets": np.array(["a", 1, None], object)}, "can't be read"),
    ],
)
def test_what_is_wrong_with_arrays_is_told(arrays: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        read(saved(tmp_path, **arrays))


def test_files_that_hold_no_arrays_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    for file in ("text.npz", "nowhere.npz"):
        with pytest.raises(ValueError, match=f"{file} can't be read"):
            read(str(tmp_path / file))

"""Boards that look the same from elsewhere: which cells, planes and actions change places.

All are written as `envs.api.Symmetry` says: for each new place, the old one that comes there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.api import Array, Symmetry


def identity(observed: int, actions: int) -> Symmetry:
    return Symmetry(np.arange(observed), np.arange(actions))


def square(size: int, others: int = 0) -> list[Symmetry]:
    """The eight of a square board whose actions are its cells, then `others` that stay where they are."""
    turned = [np.rot90(_grid(size, size), quarters) for quarters in range(4)]
    return [_of_cells(cells, others) for way in turned for cells in (way, way[:, ::-1])]


def crossed(size: int, others: int = 0) -> list[Symmetry]:
    """Of these the four that are left where the diagonals must stay diagonals of the same stones: Othello's start."""
    cells = _grid(size, size)
    return [_of_cells(way, others) for way in (cells, cells[::-1, ::-1], cells.T, cells[::-1, ::-1].T)]


def columns_mirrored(rows: int, columns: int) -> list[Symmetry]:
    """A mirror, where an action is a column."""
    cells = _grid(rows, columns)
    return [identity(cells.size, columns), Symmetry(cells[:, ::-1].ravel(), np.arange(columns)[::-1])]


def steps_mirrored(rows: int, columns: int, directions: Sequence[int], kinds: int) -> list[Symmetry]:
    """A mirror, where an action is a cell, one of the directions, and one of `kinds`; `directions` are as mirrored."""
    cells, choices = _grid(rows, columns), len(directions) * kinds
    within = (np.asarray(directions)[:, None] * kinds + np.arange(kinds)).ravel()
    mirrored = cells[:, ::-1].ravel()
    actions = (mirrored[:, None] * choices + within).ravel()
    return [identity(cells.size, cells.size * choices), Symmetry(mirrored, actions)]


def half_turned(rows: int, columns: int, planes: Sequence[int]) -> list[Symmetry]:
    """Upside down, where an action is a cell; `planes` are those that come to the places of all planes."""
    cells = _grid(rows, columns)
    half = cells[::-1, ::-1].ravel()
    observed = (np.asarray(planes)[:, None] * cells.size + half).ravel()
    return [identity(observed.size, cells.size), Symmetry(observed, half)]


def _grid(rows: int, columns: int) -> Array:
    return np.arange(rows * columns).reshape(rows, columns)


def _of_cells(cells: Array, others: int) -> Symmetry:
    moved = cells.ravel()
    return Symmetry(moved, np.concatenate([moved, cells.size + np.arange(others)]))

"""A board as text and as a picture."""

from __future__ import annotations

import numpy as np

from envs.api import Array
from envs.games.rules import Grid

PIXELS = 32  # of a cell
BOARD, LINE = (222, 184, 135), (139, 101, 61)
STONES = ((25, 25, 25), (245, 245, 245))  # of seats 0 and 1


def board_text(grid: Grid, cells: Array) -> str:
    """Files and ranks around cells [rows, columns] as `NativeGame.cells` tells them: . empty, x seat 0, o seat 1."""
    ranks = range(grid.rows, 0, -1) if grid.counts_up else range(1, grid.rows + 1)
    width = len(str(grid.rows))
    lines = [f"{rank:{width}} {' '.join('.xo'[cell] for cell in row)}" for rank, row in zip(ranks, cells, strict=True)]
    files = [grid.letters[column % len(grid.letters)] for column in range(grid.columns)]
    lines.append(" " * (width + 1) + " ".join(files))
    return "\n".join(" " * (index if grid.slanted else 0) + line for index, line in enumerate(lines))


def board_picture(grid: Grid, cells: Array) -> Array:
    """Discs on a board, RGB, uint8 [H, W, 3]."""
    slant = PIXELS // 2 if grid.slanted else 0
    picture = np.full((grid.rows * PIXELS, grid.columns * PIXELS + (grid.rows - 1) * slant, 3), 255, np.uint8)
    across = np.arange(PIXELS) - (PIXELS - 1) / 2
    distance = np.hypot(across[:, None], across)
    border = np.maximum(abs(across)[:, None], abs(across)) > PIXELS / 2 - 1
    for row, column in np.ndindex(grid.rows, grid.columns):
        left = column * PIXELS + row * slant
        cell = picture[row * PIXELS : (row + 1) * PIXELS, left : left + PIXELS]
        cell[:] = BOARD
        cell[border] = LINE
        if cells[row, column]:
            cell[distance < 0.42 * PIXELS] = LINE
            cell[distance < 0.39 * PIXELS] = STONES[cells[row, column] - 1]
    return picture

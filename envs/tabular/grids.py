"""Grids that are walked cell by cell; states are (row, column), row 0 at the top. Nobody gets over an edge of the grid.

The numbers of examples and exercises are those of Sutton & Barto, Reinforcement Learning, 2nd edition.
"""

from __future__ import annotations

from itertools import product

from envs.tabular.mdp import MDP

Cell = tuple[int, int]
MOVES: dict[str, Cell] = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}
DIAGONAL: dict[str, Cell] = {"up-right": (-1, 1), "down-right": (1, 1), "down-left": (1, -1), "up-left": (-1, -1)}
WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)  # how many rows each column of the windy grid blows upwards


def cells(rows: int, columns: int) -> list[Cell]:
    """Row by row. Raises ValueError for a grid without cells."""
    if rows < 1 or columns < 1:
        raise ValueError(f"a grid has at least one row and one column, not {rows} x {columns}")
    return list(product(range(rows), range(columns)))


def after(cell: Cell, move: Cell, rows: int, columns: int) -> Cell:
    """Where a move leads that stays on the grid, each coordinate by itself."""
    return min(max(cell[0] + move[0], 0), rows - 1), min(max(cell[1] + move[1], 0), columns - 1)


def gridworld(rows: int = 4, columns: int = 4) -> MDP:
    """Example 4.1: each move costs 1, until the first or the last cell is reached. Begins in any of the others."""
    every = cells(rows, columns)
    inner = every[1:-1]
    dynamics = {
        (cell, name): [(1.0, after(cell, move, rows, columns), -1.0)] for cell in inner for name, move in MOVES.items()
    }
    return MDP.of("gridworld", dynamics, dict.fromkeys(inner, 1 / max(len(inner), 1)), every)


def jumping_gridworld() -> MDP:
    """Example 3.5, without end: whatever one does in (0, 1) leads to (4, 1) and pays 10, in (0, 3) to (2, 3) and pays
    5; a move off the grid costs 1. Begins anywhere."""
    jumps = {(0, 1): ((4, 1), 10.0), (0, 3): ((2, 3), 5.0)}
    every = cells(5, 5)
    dynamics = {}
    for cell, (name, move) in product(every, MOVES.items()):
        there = after(cell, move, 5, 5)
        dynamics[cell, name] = [(1.0, *jumps.get(cell, (there, -1.0 if there == cell else 0.0)))]
    return MDP.of("jumping_gridworld", dynamics, dict.fromkeys(every, 1 / 25))


def windy_gridworld(moves: int = 4, stochastic: bool = False) -> MDP:
    """Example 6.5: from (3, 0) to (3, 7) at -1 a step, while the wind of the column that is left blows upwards.

    moves: 4, or 8 with the diagonal ones, or 9 with standing still (exercise 6.9). stochastic: where there is wind, it
    is as likely one row stronger or weaker (exercise 6.10). Raises ValueError for another number of moves.
    """
    if moves not in (4, 8, 9):
        raise ValueError(f"windy_gridworld: moves is {moves}, expected 4, 8 or 9")
    steps = dict([*MOVES.items(), *DIAGONAL.items(), ("stay", (0, 0))][:moves])
    goal, rows, columns = (3, 7), 7, len(WIND)
    every = cells(rows, columns)
    dynamics = {}
    for cell, (name, (down, right)) in product(every, steps.items()):
        winds = [WIND[cell[1]] + gust for gust in ((-1, 0, 1) if stochastic and WIND[cell[1]] else (0,))]
        if cell != goal:
            dynamics[cell, name] = [
                (1 / len(winds), after(cell, (down - wind, right), rows, columns), -1.0) for wind in winds
            ]
    return MDP.of("windy_gridworld", dynamics, {(3, 0): 1.0}, every)


def cliff_walking(rows: int = 4, columns: int = 12) -> MDP:
    """Example 6.6: from the lower left corner to the lower right one at -1 a step. Between them is a cliff: who steps
    there loses 100 and is back at the start. Cells and moves are numbered as in Gymnasium's CliffWalking."""
    every = cells(rows, columns)
    start, goal = (rows - 1, 0), (rows - 1, columns - 1)
    dynamics = {}
    for cell, (name, move) in product(every, MOVES.items()):
        there = after(cell, move, rows, columns)
        fallen = there[0] == rows - 1 and there not in (start, goal)
        if cell != goal:
            dynamics[cell, name] = [(1.0, start, -100.0) if fallen else (1.0, there, -1.0)]
    return MDP.of("cliff_walking", dynamics, {start: 1.0}, every)

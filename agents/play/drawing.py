"""How the native board games are drawn and clicked: the clicks that make a move, and what moves are called.

    drawing = drawing_of(make_game("breakthrough"))
    drawing.cells(positions)     # 0 empty, 1 and 2 the stones of seats 0 and 1; the first row is at the top
    drawing.clicks(action)       # [[cell], [cell]]: a stone of one's own, then where it goes
    drawing.label(action)        # "b2c3"

A cell is its place in `cells`, counted row by row. Labels are those of the games' players, and of OpenSpiel: a letter
for the column and a number for the row.
"""

from __future__ import annotations

from envs.api import Game, Positions
from envs.games.native import NativeGame
from envs.games.rules import Grid


class Drawing:
    """Of one native board game."""

    def __init__(self, game: NativeGame, grid: Grid) -> None:
        self.game, self.grid = game, grid
        self.rows, self.columns = grid.rows, grid.columns
        letters = list(grid.letters)
        self.files = (letters + [a + b for a in letters for b in letters])[: self.columns]
        numbers = [str(row + 1) for row in range(self.rows)]
        self.ranks = numbers[::-1] if grid.counts_up else numbers  # from top to bottom

    def cells(self, positions: Positions) -> list[int]:
        """Of one position [1, W]: [rows * columns], row by row from the top."""
        return [int(cell) for cell in self.game.cells(positions)[0].ravel()]

    def clicks(self, action: int) -> list[list[int]]:
        """One after another, the cells that may be clicked to choose an action; none for a pass, which has no place."""
        if self.grid.clicked == "column":
            return [[row * self.columns + action for row in range(self.rows)]]
        if self.grid.clicked == "step":
            cell, direction = action // 12, action // 2 % 6
            target = cell + (self.columns if direction < 3 else -self.columns) + direction % 3 - 1
            return [[self._seen(cell)], [self._seen(target)]]
        return [] if action == self.rows * self.columns else [[self._seen(action)]]

    def label(self, action: int) -> str:
        """The name of an action, which no other legal action has."""
        if self.grid.clicked == "column":
            return self.files[action]
        places = [divmod(cell, self.columns) for (cell,) in self.clicks(action)]
        return "".join(self.files[column] + self.ranks[row] for row, column in places) or "pass"

    def _seen(self, cell: int) -> int:
        """Where a cell of the rules is on the board that is seen."""
        row, column = divmod(cell, self.columns)
        return (self.rows - 1 - row if self.grid.upwards else row) * self.columns + column


def drawing_of(game: Game) -> Drawing | None:
    """None for a game that has no board of ours."""
    if not isinstance(game, NativeGame) or game.rules.grid is None:
        return None
    return Drawing(game, game.rules.grid)

"""Samples per insert: how many updates are due after how many environment steps."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

from agents.api import State


class EveryCollection:
    """As many updates after each collection; one: on-policy learning."""

    def __init__(self, updates: int = 1) -> None:
        self.updates = updates

    def due(self, steps: int) -> int:
        return self.updates

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass


class PerStep:
    """`updates_per_step` updates for every environment step after the first `start`; fractions add up.

    Reckoned in exact fractions of the decimal number: after k steps floor(k * updates_per_step) updates were due.
    """

    def __init__(self, updates_per_step: float, start: int) -> None:
        self.rate, self.start = Fraction(str(updates_per_step)), start
        self.made = 0

    def due(self, steps: int) -> int:
        """Updates to make now that `steps` steps were made in all."""
        due = max(0, int(self.rate * max(0, steps - self.start)) - self.made)
        self.made += due
        return due

    def state_dict(self) -> State:
        return {"made": self.made}

    def load_state_dict(self, state: State) -> None:
        self.made = state["made"]


class Counted(Protocol):
    added: int  # rows ever


class PerInsert:
    """Like PerStep, reckoned by the rows that a memory was given: for actors that don't deliver a row for each step."""

    def __init__(self, table: Counted, updates_per_row: float, start: int) -> None:
        self.table, self.ratio = table, PerStep(updates_per_row, start)

    def due(self, steps: int) -> int:
        return self.ratio.due(self.table.added)

    def state_dict(self) -> State:
        return self.ratio.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.ratio.load_state_dict(state)

from __future__ import annotations

from types import CodeType
from typing import Any

from scripts.mutants import mutants

SOURCE = """
def loss(error, weight):
    '''1 + 1'''
    if error > 0 and weight:
        return -0.5 * error
    return error - weight
"""


def test_every_operator_and_number_is_changed_once() -> None:
    found = [(mutant.line, mutant.was, mutant.now) for mutant in mutants(SOURCE, "loss.py")]
    assert sorted(found) == [
        (4, "0", "1"),
        (4, "error > 0", "error >= 0"),
        (4, "error > 0 and weight", "error > 0 or weight"),
        (5, "-0.5", "+0.5"),
        (5, "-0.5 * error", "-0.5 / error"),
        (5, "0.5", "1.5"),
        (6, "error - weight", "error + weight"),
    ]


def test_a_mutant_differs_in_its_change_alone() -> None:
    arguments = ((2.0, 3.0), (2.0, 0.0), (0.0, 3.0), (0.5, 3.0), (-1.0, 3.0))

    def results(code: CodeType | str) -> tuple[float, ...]:
        space: dict[str, Any] = {}
        exec(code, space)
        return tuple(space["loss"](*both) for both in arguments)

    found = [results(mutant.code) for mutant in mutants(SOURCE, "loss.py")]
    assert len({results(SOURCE), *found}) == 1 + len(found) == 8

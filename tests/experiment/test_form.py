from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiment.form import require_form, take_over

FORM = {
    "weights": np.zeros(4, np.float32), "table": {"rows": np.zeros((5, 3)), "highest": 1.0}, "made": 3, "on": True,
    "name": "mean", "lengths": [], "counts": [1, 2], "last": None, "waiting": {}, "moment": np.float32(0),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"weights": np.ones(7, np.float32), "lengths": [3, 4], "counts": [1]},  # memories grow
        {"last": np.zeros(3), "waiting": {"0": np.zeros(2)}, "later": "unknown to what has just begun"},
        {"moment": np.zeros((), np.float32)},  # as a checkpoint gives a scalar back
    ],
)
def test_what_may_differ(change: dict[str, Any]) -> None:
    require_form(FORM | change, FORM)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"weights": np.zeros(4)}, r"state/weights is float64 \[4\], expected float32 \[4\]"),
        ({"weights": np.zeros((4, 1), np.float32)}, r"state/weights is float32 \[4, 1\]"),
        ({"weights": "many"}, "state/weights is str 'many'"),
        ({"table": {"rows": np.zeros((5, 2)), "highest": 1.0}}, r"state/table/rows is float64 \[5, 2\]"),
        ({"table": {"rows": np.zeros((5, 3))}}, "state/table lacks highest, and has rows"),
        ({"table": 7}, "state/table is int 7, expected names with values"),
        ({"made": 3.5}, "state/made is float 3.5, expected int"),
        ({"made": True}, "state/made is bool True, expected int"),
        ({"on": 1}, "state/on is int 1, expected bool"),
        ({"name": None}, "state/name is NoneType None, expected str"),
        ({"lengths": ["many"]}, "state/lengths/0 is str 'many', expected a number"),
        ({"counts": [1, "two"]}, "state/counts/1 is str 'two', expected int"),
        ({"waiting": []}, "state/waiting is list"),
    ],
)
def test_what_is_refused_by_its_path(change: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        require_form(FORM | change, FORM)


def test_what_does_not_fit_is_not_loaded() -> None:
    class Counter:
        made = 3

        def state_dict(self) -> dict[str, Any]:
            return {"made": self.made}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.made = state["made"]

    counter = Counter()
    with pytest.raises(ValueError, match="state/made"):
        take_over(counter, {"made": "many"})
    assert counter.made == 3
    take_over(counter, {"made": 5})
    assert counter.made == 5

from __future__ import annotations

import pytest

from envs.names import parameters, split


def test_a_name_is_split() -> None:
    assert split(" hex(board_size=5) ", "a game") == ("hex", "board_size=5")
    assert split("FrozenLake-v1", "a world") == ("FrozenLake-v1", "")
    with pytest.raises(ValueError, match=r"'hex\(' is not the name of a game"):
        split("hex(", "a game")


def test_parameters_are_plain_values() -> None:
    told = parameters("x", "a=-3, b=.5,c=True,d=8x8,")
    assert told == {"a": -3, "b": 0.5, "c": True, "d": "8x8"}
    assert isinstance(told["a"], int) and isinstance(told["b"], float)
    with pytest.raises(ValueError, match="x: '4' is not of the form parameter=value"):
        parameters("x", "4")

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from envs.tabular.machines import StateMachine, latch

STRINGS = [string for length in range(7) for string in product(("slow", "fast"), repeat=length)]


def test_who_sets_off_keeps_moving() -> None:
    for string in STRINGS:
        expected = ["moving" if "fast" in string[: n + 1] else "standing" for n in range(len(string))]
        assert latch().run(string) == expected


@pytest.mark.parametrize("bias", [8.0, 0.0])
def test_a_recurrent_cell_with_weights_by_hand_is_the_machine(bias: float) -> None:
    """s_t = tanh(8 s_{t-1} + 8 x_t + 8) with -1 for standing and slow, on every string of up to six inputs; without the
    bias, the broken variant, it is undecided after (moving, slow)."""
    cell = torch.nn.RNNCell(1, 1).double()
    with torch.no_grad():
        for parameter, value in zip(cell.parameters(), (8.0, 8.0, bias, 0.0), strict=True):
            parameter.fill_(value)
    right = 0
    for string in STRINGS:
        state, shown = torch.full((1, 1), -1.0, dtype=torch.float64), []
        for given in string:
            state = cell(torch.full((1, 1), 1.0 if given == "fast" else -1.0, dtype=torch.float64), state)
            shown.append("moving" if state.item() > 0.5 else "standing")
        right += shown == latch().run(string)
    assert (right == len(STRINGS)) == (bias == 8.0)


def test_a_machine_is_a_markov_process_without_chance() -> None:
    mdp = latch().mdp()
    assert mdp.transition.tolist() == [[[1, 0], [0, 1]], [[0, 1], [0, 1]]]
    assert not mdp.reward.any() and mdp.start.tolist() == [1, 0]
    state = 0
    for given, after in zip(("slow", "fast", "slow"), latch().run(["slow", "fast", "slow"])):
        state = int(np.argmax(mdp.transition[state, mdp.action(given)]))
        assert mdp.states[state] == after


def test_states_may_show_something_else() -> None:
    parity = StateMachine({(s, x): s ^ x for s in (0, 1) for x in (0, 1)}, 0, {0: "even", 1: "odd"})
    assert parity.run([1, 1, 0, 1]) == ["odd", "even", "even", "odd"]


@pytest.mark.parametrize(
    ("following", "start", "output", "why"),
    [
        ({("a", 0): "a", ("b", 1): "a"}, "a", None, r"not what follows \('a', 1\)"),
        ({("a", 0): "b"}, "a", None, "'b' is no state"),
        ({("a", 0): "a"}, "c", None, "'c' is no state"),
        ({("a", 0): "a"}, "a", {}, "'a' has no output"),
    ],
)
def test_what_is_no_machine_is_refused(following: Any, start: Any, output: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        StateMachine(following, start, output)

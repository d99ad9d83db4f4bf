"""How many updates are due, at any pace."""

from __future__ import annotations

from agents.experience.memory.ratio import EveryCollection, PerStep


def test_per_step_makes_up_for_fractions() -> None:
    ratio = PerStep(0.29, start=10)
    made = [ratio.due(steps) for steps in range(0, 111)]
    assert sum(made[:11]) == 0
    assert sum(made) == 29  # 0.29 * 100 is 28.999999999999996 in floats
    assert int(0.29 * 100) == 28
    assert set(made) == {0, 1}


def test_per_step_does_not_depend_on_the_pace_and_resumes() -> None:
    fast, slow = PerStep(2.5, start=7), PerStep(2.5, start=7)
    total = sum(fast.due(steps) for steps in range(0, 101))
    first = slow.due(50)
    other = PerStep(2.5, start=7)
    other.load_state_dict(slow.state_dict())
    assert first + other.due(100) == total == 232
    assert other.due(100) == 0
    assert EveryCollection().due(5) == EveryCollection().due(500) == 1

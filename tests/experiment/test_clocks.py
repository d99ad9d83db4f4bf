from __future__ import annotations

import pytest

from experiment.clocks import Clocks, Every, Timetable


def test_every_is_true_once_per_multiple() -> None:
    due = Every(10)
    assert [steps for steps in range(0, 45, 4) if due(steps)] == [12, 20, 32, 40]
    assert [Every(10)(9), Every(10)(10), Every(10)(35)] == [False, True, True]
    due = Every(10)
    assert [due(35), due(39), due(40)] == [True, False, True]
    assert not any(map(Every(0), range(100)))
    with pytest.raises(ValueError, match="interval"):
        Every(-1)


def test_every_goes_on_where_it_was() -> None:
    for pause in range(0, 50, 4):
        straight, first, second = Every(10), Every(10), Every(10)
        expected = [straight(steps) for steps in range(0, 50, 4)]
        before = [first(steps) for steps in range(0, pause, 4)]
        second.load_state_dict(first.state_dict())
        assert before + [second(steps) for steps in range(pause, 50, 4)] == expected


def test_doubling_comes_at_the_powers_of_two_beside_the_interval() -> None:
    due = Every(10, doubling=True)
    assert [steps for steps in range(1, 41) if due(steps)] == [1, 2, 4, 8, 10, 16, 20, 30, 32, 40]
    due = Every(0, doubling=True)
    assert [steps for steps in range(3, 40, 3) if due(steps)] == [3, 6, 9, 18, 33]  # passed over counts as reached


@pytest.mark.parametrize("doubling", [False, True])
def test_a_pause_is_the_next_time_that_something_is_due(doubling: bool) -> None:
    clocks = Clocks(Timetable(budget=47, log=5, evaluate=12, save=0, doubling=doubling))
    expected = {5, 10, 12, 15, 20, 24, 25, 30, 35, 36, 40, 45, 47} | ({1, 2, 4, 8, 16, 32} if doubling else set())
    steps, pauses = 0, []
    while steps < 47:
        steps = clocks.pause(steps)
        pauses.append(steps)
    assert pauses == sorted(expected)


def test_clocks_go_on_where_they_were() -> None:
    timetable = Timetable(budget=100, log=7, evaluate=0, save=11, doubling=True)
    first, second = Clocks(timetable), Clocks(timetable)
    for steps in range(30):
        first.should_log(steps), first.should_evaluate(steps), first.should_save(steps)
    second.load_state_dict(first.state_dict())
    for steps in range(30, 100, 3):
        assert first.should_log(steps) == second.should_log(steps)
        assert first.should_evaluate(steps) == second.should_evaluate(steps)
        assert first.should_save(steps) == second.should_save(steps)

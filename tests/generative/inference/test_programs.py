"""Probabilistic programs whose posteriors are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from generative.inference.distributions import Bernoulli, Beta, Categorical, Gaussian
from generative.inference.programs import (
    Impossible,
    Posterior,
    condition,
    enumerate_,
    importance,
    metropolis,
    observe,
    rejection,
    sample,
    variational,
)

FAIR = Bernoulli(0.5)


def sum_of_three() -> int:
    """a + b + c, where a + b is 1."""
    a, b, c = (sample(name, FAIR) for name in "abc")
    condition(a + b == 1)
    return int(a + b + c)


def alarm(john: bool, mary: bool | None) -> Callable[[], bool]:
    def program() -> bool:
        burglary, quake = sample("burglary", Bernoulli(0.001)), sample("quake", Bernoulli(0.002))
        chance = {(True, True): 0.95, (True, False): 0.94, (False, True): 0.29, (False, False): 0.001}
        rings = sample("alarm", Bernoulli(chance[burglary, quake]))
        observe("john", Bernoulli(0.9 if rings else 0.05), john)
        if mary is not None:
            observe("mary", Bernoulli(0.7 if rings else 0.01), mary)
        return bool(burglary)

    return program


def sprinkler(wet: bool = True) -> tuple[bool, bool]:
    cloudy = sample("cloudy", FAIR)
    sprinkles = sample("sprinkler", Bernoulli(0.1 if cloudy else 0.5))
    rain = sample("rain", Bernoulli(0.8 if cloudy else 0.2))
    chance = {(True, True): 0.99, (True, False): 0.9, (False, True): 0.9, (False, False): 0.0}
    observe("wet", Bernoulli(chance[sprinkles, rain]), wet)
    return sprinkles, rain


def two_of_three() -> bool:
    flips = [sample(i, FAIR) for i in range(3)]
    condition(sum(flips) >= 2)
    return bool(flips[0])


def even_flips() -> int:
    """Flips until the first head, of which there were an even number."""
    count = 1
    while not sample(count, FAIR):
        count += 1
    condition(count % 2 == 0)
    return count


def measured() -> float:
    mean = sample("mean", Gaussian(0.0, 10.0))
    for number, value in enumerate((2.1, 1.9, 2.3)):
        observe(number, Gaussian(mean, 1.0), value)
    return float(mean)


def coin() -> float:
    """Heads 7 times of 10, in this order."""
    heads = sample("heads", Beta(1.0, 1.0))
    for number in range(10):
        observe(number, Bernoulli(heads), number < 7)
    return float(heads)


def umbrella() -> bool:
    rain = sample(0, FAIR)
    for day, carried in enumerate((True, True, False, True, True), 1):
        rain = sample(day, Bernoulli(0.7 if rain else 0.3))
        observe(f"umbrella {day}", Bernoulli(0.9 if rain else 0.2), carried)
    return bool(rain)


# Exact ----------------------------------------------------------------------------------------------------------------


def test_a_sum_given_a_part_of_it() -> None:
    assert enumerate_(sum_of_three).table() == {1: pytest.approx(0.5), 2: pytest.approx(0.5)}


def test_who_rang() -> None:
    assert enumerate_(alarm(True, True)).probability() == pytest.approx(0.284171835, abs=1e-9)
    assert enumerate_(alarm(True, None)).probability() == pytest.approx(0.016283730, abs=1e-9)


def test_why_the_grass_is_wet() -> None:
    found = enumerate_(sprinkler)
    assert math.exp(found.log_evidence) == pytest.approx(0.6471)
    assert found.probability(lambda pair: pair[0]) == pytest.approx(0.429763561, abs=1e-9)
    assert found.probability(lambda pair: pair[1]) == pytest.approx(0.707927677, abs=1e-9)


def test_flips() -> None:
    assert enumerate_(two_of_three).probability() == pytest.approx(0.75)
    found = enumerate_(even_flips)  # without end: what is left weighs less than 1e-12 of what was found
    assert found.table()[2] == pytest.approx(0.75) and math.exp(found.log_evidence) == pytest.approx(1 / 3)


def test_a_filter_of_rain() -> None:
    found = enumerate_(umbrella)
    assert found.probability() == pytest.approx(0.867338890, abs=1e-9)
    assert found.log_evidence == pytest.approx(-3.372502044, abs=1e-9)


# By draws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("infer", [rejection, importance, metropolis])
@pytest.mark.parametrize(("program", "exact"), [(sum_of_three, 0.5), (two_of_three, 0.75), (even_flips, 0.75)])
def test_draws_agree_with_what_is_exact(
    infer: Callable[..., Posterior], program: Callable[[], int], exact: float
) -> None:
    """4 standard errors; a chain's draws are taken to be worth a tenth, weighed ones a quarter."""
    likely = {sum_of_three: lambda value: value == 1, even_flips: lambda value: value == 2}.get(program, bool)
    count = 4000
    found = infer(program, count, np.random.default_rng(0)).probability(likely)
    worth = count / 10 if infer is metropolis else count / 4
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / worth))


@pytest.mark.parametrize("infer", [importance, metropolis])
def test_numbers_that_cant_be_counted(infer: Callable[..., Posterior]) -> None:
    """The mean of three measurements: N(2.093023256, .332225914). A coin: mean 2 / 3, log evidence -7.185387012."""
    found = infer(measured, 10_000, np.random.default_rng(0))
    assert found.mean() == pytest.approx(2.093023256, abs=4 * math.sqrt(0.332225914 / 250))
    assert found.variance() == pytest.approx(0.332225914, rel=4 * math.sqrt(2 / 250))
    coins = infer(coin, 10_000, np.random.default_rng(1))
    assert coins.mean() == pytest.approx(2 / 3, abs=4 * math.sqrt(0.0171 / 500))
    if infer is importance:
        assert coins.log_evidence == pytest.approx(-7.185387012, abs=0.05)
    with pytest.raises(ValueError, match="can't be counted"):
        enumerate_(measured)


def test_a_guide_comes_near() -> None:
    """Normal posteriors are reached; of two draws that only count together the bound stays below the evidence."""
    found = variational(measured, np.random.default_rng(0), steps=1000, rate=0.1, count=4000)
    assert found.mean() == pytest.approx(2.093, abs=0.05) and found.variance() == pytest.approx(0.332, abs=0.05)
    exact = enumerate_(umbrella)
    near = variational(umbrella, np.random.default_rng(0), steps=200, rate=0.1, count=2000)
    assert exact.log_evidence - 0.5 < near.log_evidence < exact.log_evidence
    assert near.probability() == pytest.approx(exact.probability(), abs=0.1)
    with pytest.raises(ValueError, match="can't be, given what was seen"):
        variational(sum_of_three, np.random.default_rng(0))
    with pytest.raises(ValueError, match="have no family"):
        variational(coin, np.random.default_rng(0))


# What goes wrong ------------------------------------------------------------------------------------------------------


def never() -> bool:
    heads = sample("heads", FAIR)
    condition(heads == 2)
    return bool(heads)


def test_what_cant_be_is_told() -> None:
    rng = np.random.default_rng(0)
    for infer in (importance, rejection, metropolis):
        with pytest.raises(Impossible):
            infer(never, 10, rng)
    with pytest.raises(Impossible):
        enumerate_(never)


def test_mistakes_are_told() -> None:
    def twice() -> bool:
        return bool(sample("a", FAIR) and sample("a", FAIR))

    with pytest.raises(ValueError, match="two draws of one run are named 'a'"):
        enumerate_(twice)
    with pytest.raises(RuntimeError, match="belong into a program"):
        sample("a", FAIR)
    with pytest.raises(ValueError, match="rejection wants probabilities"):
        rejection(lambda: observe("x", Gaussian(0.0, 0.01), 0.0), 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="raise the tolerance"):
        enumerate_(even_flips, tolerance=0.0, limit=100)


def test_values_that_a_draw_has_only_in_some_runs() -> None:
    """A die of as many sides as the first one shows; 2 was seen: 1/2 : 1/3 for two or three sides."""

    def program() -> int:
        sides = sample("sides", Categorical((1, 2, 3), (1 / 3, 1 / 3, 1 / 3)))
        shown = sample("shown", Categorical(tuple(range(1, sides + 1)), (1 / sides,) * sides))
        condition(shown == 2)
        return int(sides)

    assert enumerate_(program).table() == {2: pytest.approx(0.6), 3: pytest.approx(0.4)}
    chain = metropolis(program, 8000, np.random.default_rng(0))
    assert chain.table()[2] == pytest.approx(0.6, abs=4 * math.sqrt(0.24 / 800))
